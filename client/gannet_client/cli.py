"""Running a command: `gannet` itself, and any other of Gannet's programs.

Here every error gets its one line and its exit code, also where Click itself is missing.
"""

import os
import pkgutil
import sys
from typing import Final, NoReturn

from gannet_client.errors import GannetError
from gannet_client.extras import missing_extra

_INTERRUPTED: Final = 130


def main() -> NoReturn:
    """The program `gannet`."""
    run("gannet_client.commands.group:gannet", "gannet")


def run(reference: str, name: str) -> NoReturn:
    """Loads a Click command, runs it on the arguments of the process and ends the process.

    A `GannetError` becomes one line on stderr and its exit code, a missing library becomes the name of the
    extra that brings it, Ctrl-C becomes exit code 130. Anything else is a bug and keeps its traceback.

    Args:
        reference: Where the command stands, `package.module:attribute`; imported here, so that whatever its
            module lacks is reported in the same way.
        name: What the program is called.
    """
    sys.exit(_run(reference, name))


def _run(reference: str, name: str) -> int:
    try:
        code = _invoke(reference, name)
        sys.stdout.flush()
        return code
    except GannetError as error:
        return _fail(name, error)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        return _fail(name, missing)
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        return GannetError.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED


def _invoke(reference: str, name: str) -> int:
    command = pkgutil.resolve_name(reference)  # before Click: its package knows which extra it needs
    import click

    try:
        code = command.main(prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:  # Click's wrapping of Ctrl-C, and of an EOFError, which is a bug
        raise abort.__cause__ or abort from None


def _fail(name: str, error: GannetError) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    return error.exit_code


def _reader_has_left() -> bool:
    """Whether stdout leads nowhere (`gannet ... | head`); if so, the interpreter's last flush is spared."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
