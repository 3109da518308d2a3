"""The programs as processes: what they print, when they answer, how they end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

NOISE = np.ones((1, 4), np.float32)
PROGRAMS = {
    "gannet": "from gannet_client.cli import main; main()",
    "gannet-model-server": "from gannet_serving.main import main; main()",
}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}


def command(program: str, *arguments: object) -> list[str]:
    """The program as installed, in this interpreter."""
    return [sys.executable, "-W", "error", "-c", PROGRAMS[program], *map(str, arguments)]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(program, *arguments), capture_output=True, text=True, timeout=120, env=ENVIRONMENT
    )


class Process:
    """A program that runs; its stderr is read line by line."""

    def __init__(self, program: str, *arguments: object) -> None:
        self._popen = subprocess.Popen(
            command(program, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        self.log: list[str] = []

    def read_log_until(self, pattern: str) -> str:
        """Reads stderr up to the line that `pattern` is found in, and returns it."""
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.log.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return self.log[-1]
        raise AssertionError(f"no line with {pattern!r} in {self.log}")

    def read_stdout_line(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was left on stdout."""
        stdout, stderr = self._popen.communicate(timeout=60)
        self.log += stderr.splitlines()
        return self._popen.returncode, stdout

    def kill(self) -> None:
        self._popen.kill()
        self._popen.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start_one(program: str, *arguments: object) -> Process:
        started.append(Process(program, *arguments))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def without_times(log: list[str]) -> list[str]:
    return [re.sub(r"^\S+ \S+ |(?<=AVAILABLE) in .*", "", line) for line in log]


def test_serve_ends_on_sigterm_after_its_running_request(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    pause: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
) -> None:
    for name in ("pausing", "bad"):
        (tmp_path / name).mkdir()
    saved_models.write_pausing(tmp_path / "pausing" / "1")
    (tmp_path / "bad" / "1").mkdir()
    process = start("gannet", "serve", tmp_path, "--port", "0")
    address = process.read_stdout_line().strip()
    running = connect(address).prediction.Predict.future(predict_request("pausing", pause.inputs), timeout=60)
    pause.wait_until_running()
    process.send(signal.SIGTERM)
    process.read_log_until("stopping")
    with pytest.raises(grpc.RpcError) as caught:
        connect(address).prediction.Predict(predict_request("pausing", {}), timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    pause.end()
    assert running.result().model_spec.version.value == 1
    assert process.end() == (0, "")
    bad, pausing = tmp_path / "bad" / "1", tmp_path / "pausing" / "1"
    assert sorted(without_times(process.log)) == sorted(
        [
            f"INFO model bad version 1: loading from {bad}",
            f"INFO model pausing version 1: loading from {pausing}",
            "ERROR model bad version 1: failed: NOT_FOUND: Specified file path does not appear to contain a "
            "SavedModel bundle (should have a file called `saved_model.pb`) "
            f"Specified file path: {bad}",
            "INFO model pausing version 1: AVAILABLE",
            f"INFO listening on {address}",
            "INFO stopping; running requests have 8 s to end",
            "INFO model pausing version 1: unloaded",
        ]
    )


def test_serve_takes_models_that_come_later_and_ends_on_ctrl_c(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
) -> None:
    process = start("gannet", "serve", tmp_path, "--port", "0")
    assert "WARNING no model in" in process.read_log_until("")
    stubs = connect(process.read_stdout_line().strip())
    (tmp_path / "gen").mkdir()
    saved_models.write_gen(tmp_path / "gen" / "3")
    process.read_log_until("model gen version 3: AVAILABLE")
    response = stubs.prediction.Predict(predict_request("gen", {"noise": NOISE}), timeout=30)
    assert response.model_spec.version.value == 3
    process.send(signal.SIGINT)
    assert process.end() == (130, "")


def test_model_server_opens_its_port_once_a_version_is_loaded(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    pause: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
    free_port: int,
) -> None:
    """And, with a request that does not end, ends at once on a second signal."""
    process = start(
        "gannet-model-server",
        f"--port={free_port}",
        "--model_name",
        "m",
        f"--model_base_path={tmp_path / 'm'}",
    )
    process.read_log_until("WARNING model m: cannot read its base path: .*No such file")
    assert not is_open(free_port)
    (tmp_path / "m").mkdir()
    saved_models.write_pausing(tmp_path / "m" / "1")
    process.read_log_until(f"listening on 127.0.0.1:{free_port}")
    running = connect(f"127.0.0.1:{free_port}").prediction.Predict.future(
        predict_request("m", pause.inputs), timeout=60
    )
    pause.wait_until_running()
    process.send(signal.SIGTERM)
    process.read_log_until("stopping")
    process.send(signal.SIGTERM)
    assert process.end() == (128 + signal.SIGTERM, "")
    assert running.exception().code() is grpc.StatusCode.UNAVAILABLE


def test_model_server_serves_a_configuration_file_on_a_socket(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
) -> None:
    for name, offset in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        saved_models.write_gen(tmp_path / name / "1", offset=offset)
    file, socket_path = tmp_path / "models.config", tmp_path / "socket"
    entries = [
        f'config {{ name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" }}'
        for name in ("one", "two")
    ]
    file.write_text(f"model_config_list {{ {entries[0]} }}")
    process = start(
        "gannet-model-server",
        f"--model_config_file={file}",
        "--model_config_file_poll_wait_seconds=1",
        f"--grpc_socket_path={socket_path}",
        "--port=0",
        "--tensorflow_session_parallelism=1",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=60000",
        "--enable_batching",
        "--xla_cpu_compilation_enabled",
    )
    process.read_log_until("WARNING --xla_cpu_compilation_enabled has no effect in this server")
    process.read_log_until(f"listening on unix:{socket_path}")
    file.write_text(f"model_config_list {{ {entries[0]} {entries[1]} }}")
    process.read_log_until("model two version 1: AVAILABLE")
    stubs = connect(f"unix:{socket_path}")
    for name in ("one", "two"):
        response = stubs.prediction.Predict(predict_request(name, {"noise": NOISE}), timeout=30)
        assert response.model_spec.name == name
    process.send(signal.SIGTERM)
    assert process.end() == (0, "")


def test_model_server_does_not_start_on_a_label_without_its_version(tmp_path: Path, free_port: int) -> None:
    file = tmp_path / "models.config"
    file.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}" model_platform: "tensorflow" '
        'version_labels { key: "stable" value: 1 } } }'
    )
    done = run("gannet-model-server", f"--port={free_port}", f"--model_config_file={file}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "gannet-model-server: Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to "
        "version 1 of model m, which is not currently available for inference\n"
    )


def test_a_load_that_hangs_does_not_hold_up_the_end(
    start: Callable[..., Process], saved_models: Any, tmp_path: Path
) -> None:
    (tmp_path / "gen").mkdir()
    version = saved_models.write_gen(tmp_path / "gen" / "1")
    [data] = version.glob("variables/variables.data-*")
    data.unlink()
    os.mkfifo(data)  # whoever opens it waits for a writer
    process = start("gannet", "serve", tmp_path, "--port", "0")
    process.read_log_until("loading from")
    process.send(signal.SIGTERM)
    assert process.end() == (0, "")


def test_model_server_that_waits_for_versions_ends_on_sigterm(
    start: Callable[..., Process], tmp_path: Path, free_port: int
) -> None:
    process = start("gannet-model-server", f"--port={free_port}", f"--model_base_path={tmp_path}")
    process.read_log_until("WARNING model default: no versions below")
    process.send(signal.SIGTERM)
    assert process.end() == (0, "")


def test_model_server_without_a_loadable_version_fails(
    saved_models: Any, tmp_path: Path, free_port: int
) -> None:
    saved_models.write_gen(tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "variables")
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"junk")
    done = run(
        "gannet-model-server",
        f"--port={free_port}",
        "--model_name=bad",
        f"--model_base_path={tmp_path}",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=1",
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines()[-1] == (
        "gannet-model-server: Failed to start server. Error: UNKNOWN: "
        "1 servable(s) did not become available: {{{name: bad version: 1} "
        "due to error: OUT_OF_RANGE: Read less bytes than requested}, }"
    )


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
            ["serve", "{models}", "--host", "a..b"],
            "gannet: cannot listen on a..b:8500: this is no name of a host; choose another",
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


def test_a_name_that_is_no_text_can_be_logged_and_an_idle_server_ends(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start("gannet", "serve", tmp_path, "--port", "0")
    process.read_stdout_line()
    (tmp_path / "\udcff" / "1").mkdir(parents=True)
    process.read_log_until(r"ERROR model \\udcff version 1: failed")
    process.send(signal.SIGTERM)
    assert process.end() == (0, "")
    assert not any("Logging error" in line for line in process.log)


def test_serve_needs_no_stderr(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command("gannet", "serve", tmp_path, "--port", "0")],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
