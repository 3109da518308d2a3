"""The programs before they serve: what they say when asked wrongly, for help, or without their libraries."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.processes import PROGRAMS, run


@pytest.mark.parametrize(
    ("program", "arguments", "line"),
    [
        (
            "gannet",
            ["serve", "{missing}"],
            "gannet: {missing} is not a directory; expected one that holds models",
        ),
        ("gannet", ["serve", "{file}"], "gannet: {file} is not a directory; expected one that holds models"),
        (
            "gannet",
            ["serve", "{models}", "--port", "{taken}"],
            "gannet: cannot listen on 127.0.0.1:{taken}: ",
        ),
        (
            "gannet-model-server",
            ["--model_base_path={models}", "--port={taken}"],
            "gannet-model-server: cannot listen on 127.0.0.1:{taken}: Address already in use; choose another",
        ),
        (
            "gannet",
            ["serve", "{models}", "--port", "0", "--rest-port", "{taken}"],
            "gannet: cannot listen on 127.0.0.1:{taken}: Address already in use; choose another port or",
        ),
        (
            "gannet-model-server",
            [
                "--model_base_path={models}",
                "--port=0",
                "--grpc_socket_path={missing}",
                "--ssl_config_file={file}",
            ],
            "gannet-model-server: --ssl_config_file {file}: server_key: expected a private key in PEM form",
        ),
        (
            "gannet",
            ["serve", "{models}", "--host", "a..b"],
            "gannet: cannot listen on a..b:8500: this is no name of a host; choose another",
        ),
        (
            "gannet",
            ["serve", "{models}", "--memory", "1g"],
            "gannet: --memory is for --engine docker, received it with --engine embedded; leave it out",
        ),
        (
            "gannet",
            ["serve", "{models}", "--engine", "docker", "--log-format", "json"],
            "gannet: --log-format is for --engine embedded, received it with --engine docker; leave it out",
        ),
    ],
)
def test_usage_errors(program: str, arguments: list[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {
            "missing": tmp_path / "missing",
            "file": tmp_path / "file",
            "models": tmp_path,
            "taken": taken.getsockname()[1],
        }
        done = run(program, *(argument.format(**values) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(line.format(**values))


@pytest.mark.parametrize(
    "code",
    [
        "from gannet_serving.model_server import model_server as command",
        "from gannet_serving.commands.serve import serve as command",
    ],
)
def test_help_is_shown_without_tensorflow(code: str) -> None:
    script = f"{code}; import sys; command(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "--port" in done.stdout
    assert "tensorflow" not in done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("module", ["tensorflow", "tensorflow_serving"])
@pytest.mark.parametrize(
    ("program", "arguments"),
    [("gannet", ["serve", "{models}"]), ("gannet-model-server", ["--model_base_path={models}"])],
)
def test_without_the_libraries_of_a_server_nothing_starts(
    program: str, arguments: list[str], module: str, tmp_path: Path
) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; {PROGRAMS[program]}"
    done = subprocess.run(
        [sys.executable, "-c", script, *(argument.format(models=tmp_path) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{program}: this needs {module}, which is missing; pip install 'gannet-toolkit[serve]'\n"
    )
