"""Running a command: `gannet` itself, and any other of Gannet's programs.

Here every error gets its one line and its exit code, also where Click itself is missing.
"""

import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from gannet_client._streams import prepare_streams, stdout_is_lost
from gannet_client.errors import GannetError, UsageError
from gannet_client.extras import missing_extra
from gannet_client.terminal import printable

if TYPE_CHECKING:
    from click import ClickException

_INTERRUPTED: Final = 130


def main() -> NoReturn:
    """The program `gannet`."""
    run("gannet_client.commands.group:gannet", "gannet")


def run(reference: str, name: str) -> NoReturn:
    """Loads a Click command, runs it on the arguments of the process and ends the process.

    A `GannetError` becomes one line on stderr, printable whatever it quotes, and its exit code, a missing
    library becomes the name of the extra that brings it, Ctrl-C becomes exit code 130, a stdout that takes
    nothing becomes exit code 1. Anything else is a bug and keeps its traceback.

    Args:
        reference: Where the command stands, `package.module:attribute`; imported here, so that whatever its
            module lacks is reported in the same way.
        name: What the program is called.
    """
    sys.exit(_run(reference, name))


def _run(reference: str, name: str) -> int:
    prepare_streams()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # what it tells of each attempt, our one line tells, too
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
    except OSError as error:
        if not stdout_is_lost():
            raise
        if isinstance(error, BrokenPipeError):  # `gannet ... | head`: the reader has what it wants
            return GannetError.exit_code
        return _fail(name, GannetError(f"cannot write to stdout: {error.strerror}"))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _invoke(reference: str, name: str) -> int:
    command = pkgutil.resolve_name(reference)  # before Click: its package knows which extra it needs
    import click

    try:
        code = command.main(prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        program = error.ctx.command_path if error.ctx else name
        raise UsageError(f"{_one_line(error)}; see '{program} --help'") from None
    except click.ClickException as error:
        raise GannetError(_one_line(error)) from None
    except click.Abort as abort:  # Click's wrapping of Ctrl-C, and of an EOFError, which is a bug
        raise abort.__cause__ or abort from None


def _fail(name: str, error: GannetError) -> int:
    # What a gate refuses takes a line for each failed check.
    print(printable(f"{name}: {error}", keep="\n"), file=sys.stderr)
    return error.exit_code


def _one_line(error: "ClickException") -> str:
    return " ".join(error.format_message().split()).removesuffix(".")
