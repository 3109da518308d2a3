"""The command `gannet`: what it lists and how it fails."""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from gannet_client import __version__, cli
from gannet_client.commands import group

OUR_COMMANDS = [
    entry for entry in entry_points(group="gannet.commands") if entry.dist.name == "gannet-toolkit"
]


def script(*arguments: str) -> list[str]:
    """The program as a process of its own."""
    return [sys.executable, "-c", "from gannet_client.cli import main; main()", *arguments]


# What it lists.


def test_the_version(gannet: Any) -> None:
    assert gannet("--version") == (0, f"gannet, version {__version__}\n", "")


def test_help_lists_every_command_and_imports_none() -> None:
    program = """
import sys
from gannet_client.cli import main
try:
    main()
finally:
    heavy = ("tensorflow", "keras", "grpc", "numpy", "gannet_training", "gannet_serving", "gannet_export")
    assert not [name for name in sys.modules if name.startswith(heavy)], sorted(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    for entry in OUR_COMMANDS:
        assert f"  {entry.name} " in done.stdout
        assert group.SUMMARIES[entry.name].split()[0] in done.stdout


@pytest.mark.parametrize("entry", OUR_COMMANDS, ids=lambda entry: entry.name)
def test_the_listed_summary_is_the_commands_own(entry: Any) -> None:
    assert group.SUMMARIES[entry.name] == entry.load().get_short_help_str(limit=1000)


def test_every_summary_belongs_to_a_command() -> None:
    assert sorted(group.SUMMARIES) == sorted(entry.name for entry in OUR_COMMANDS)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: Any) -> Path:
    """Another distribution that brings the commands `paint` and, in vain, `generate`."""
    info = tmp_path / "gannet_paint-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gannet-paint\nVersion: 2.1\n")
    commands = "paint = paint_commands:paint\ngenerate = paint_commands:paint\n"
    (info / "entry_points.txt").write_text(f"[gannet.commands]\n{commands}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(group, "gannet", group.LazyGroup("gannet"))
    monkeypatch.delitem(sys.modules, "paint_commands", raising=False)
    return tmp_path / "paint_commands.py"


def test_commands_of_other_distributions_are_listed_by_their_origin(foreign: Path, gannet: Any) -> None:
    foreign.write_text("raise SystemExit('imported')")
    code, out, _ = gannet("--help")
    assert code == 0
    listed = {
        line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.startswith("  ")
    }
    assert listed["paint"] == "From gannet-paint 2.1."
    assert listed["generate"] == "Draw images from a served model."


def test_commands_of_other_distributions_run(foreign: Path, gannet: Any) -> None:
    foreign.write_text(
        "import click\npaint = click.Command('paint', callback=lambda: click.echo('painted'))\n"
    )
    assert gannet("paint") == (0, "painted\n", "")


def test_an_unknown_command_gets_the_nearest_name(gannet: Any) -> None:
    code, out, err = gannet("genrate")
    assert (code, out) == (2, "")
    assert err == "gannet: No such command 'genrate'. Did you mean 'generate'?; see 'gannet --help'\n"
    assert "Known: bench, doctor, export, generate" in gannet("xyz")[2]


# How it fails.


def fails(foreign: Path, gannet: Any, body: str) -> tuple[int, str, str]:
    """Runs the command `paint` whose body is the given line."""
    foreign.write_text(f"import click\n@click.command()\ndef paint():\n    {body}\n")
    return gannet("paint")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("GannetError", 1),
        ("UsageError", 2),
        ("ServerUnreachable", 3),
        ("ModelError", 4),
        ("RequestRejected", 1),
        ("RequestTimeout", 124),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(foreign: Path, gannet: Any, error: str, code: int) -> None:
    body = f"import gannet_client; raise gannet_client.{error}('it is so')"
    assert fails(foreign, gannet, body) == (code, "", "gannet: it is so\n")


def test_nothing_that_an_error_quotes_steers_the_terminal(foreign: Path, gannet: Any) -> None:
    quoted = "first: \x1b]0;title\x07\r\nsecond: \x9b2J \u202e\udcff\tGénérateur"
    body = f"import gannet_client; raise gannet_client.ModelError({quoted!a})"
    shown = r"first: \x1b]0;title\x07\r" + "\n" + r"second: \x9b2J \u202e\udcff\tGénérateur"
    assert fails(foreign, gannet, body) == (4, "", f"gannet: {shown}\n")


@pytest.mark.parametrize("body", ["return 4", "click.get_current_context().exit(4)", "raise SystemExit(4)"])
def test_a_command_may_choose_its_exit_code(foreign: Path, gannet: Any, body: str) -> None:
    assert fails(foreign, gannet, body) == (4, "", "")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("1 / 0", ZeroDivisionError),
        ("raise EOFError", EOFError),
        ("raise BrokenPipeError", BrokenPipeError),
        ("import no_such_module", ModuleNotFoundError),
        ("import PIL.no_such_module", ModuleNotFoundError),
    ],
)
def test_a_bug_keeps_its_traceback(
    foreign: Path, monkeypatch: Any, body: str, error: type[Exception]
) -> None:
    foreign.write_text(f"import click\n@click.command()\ndef paint():\n    {body}\n")
    monkeypatch.setattr(sys, "argv", ["gannet", "paint"])
    with pytest.raises(error):
        cli.main()


@pytest.mark.parametrize(
    ("module", "extra"),
    [("PIL", "cli"), ("tensorflow", "export"), ("sklearn", "train"), ("pydantic", "train")],
)
def test_a_missing_library_names_its_extra(
    foreign: Path, gannet: Any, monkeypatch: Any, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = fails(foreign, gannet, f"import {module}")
    assert (code, out) == (2, "")
    assert err == f"gannet: this needs {module}, which is missing; pip install 'gannet-toolkit[{extra}]'\n"


def test_the_extra_named_is_that_of_the_package_which_needs_it(
    tmp_path: Path, gannet: Any, foreign: Path, monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "gannet_serving", raising=False)
    body = "exec(compile('import tensorflow', 'x', 'exec'), {'__name__': 'gannet_serving.session'})"
    assert "pip install 'gannet-toolkit[serve]'" in fails(foreign, gannet, body)[2]


def test_without_click_the_extra_is_named() -> None:
    program = "import sys; sys.modules['click'] = None; from gannet_client.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gannet: this needs click, which is missing; pip install 'gannet-toolkit[cli]'\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer) as pipe:
        done = subprocess.run(script("--help"), stdout=pipe, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")


def test_without_arguments_the_help_is_shown(gannet: Any) -> None:
    code, out, err = gannet()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: gannet [OPTIONS] COMMAND")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
def test_a_stdout_that_takes_nothing_is_one_line(redirection: str, reason: str, unbuffered: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *script("--help")],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert (done.returncode, done.stderr) == (1, f"gannet: cannot write to stdout: {reason}\n")


def test_an_error_without_stderr_keeps_its_exit_code_and_stays_off_stdout() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *script("nope")], stdout=subprocess.PIPE, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_an_interrupt_is_quiet(target: str, fake: Any) -> None:
    fake.release.clear()
    command = script(
        "generate", "--server", target, "--model", "digits", "--seeds", "1", "--grid", os.devnull
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not fake.requests and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")
