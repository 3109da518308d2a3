"""The programs as processes: what they print, when they answer, how they end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import numpy as np
import pytest

from tests.serving.conftest import Pause
from tests.serving.processes import ENVIRONMENT, Process, command, run

NOISE = np.ones((1, 4), np.float32)
PIPE_BYTES = 65536


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
    process.read_log_until("AVAILABLE")
    process.send(signal.SIGTERM)
    process.read_log_until("stopping")
    later, code = connect(address).prediction, grpc.StatusCode.INVALID_ARGUMENT
    while code is grpc.StatusCode.INVALID_ARGUMENT:  # that of an empty request: not closed yet
        code = later.Predict.future(predict_request("pausing", {}), timeout=30).exception().code()
    assert code is grpc.StatusCode.UNAVAILABLE
    pause.end()
    assert running.result().model_spec.version.value == 1
    assert process.end() == (0, "")
    bad, pausing = tmp_path / "bad" / "1", tmp_path / "pausing" / "1"
    unloaded = "INFO model pausing version 1: unloaded"  # unless that takes more than a second
    assert sorted({*without_times(process.log), unloaded}) == sorted(
        [
            f"INFO model bad version 1: loading from {bad}",
            f"INFO model pausing version 1: loading from {pausing}",
            "ERROR model bad version 1: failed: NOT_FOUND: Specified file path does not appear to contain a "
            "SavedModel bundle (should have a file called `saved_model.pb`) "
            f"Specified file path: {bad}",
            "INFO model pausing version 1: AVAILABLE",
            f"INFO listening on {address}",
            "INFO stopping; running requests have 8 s to end",
            unloaded,
        ]
    )


def test_serve_takes_models_that_come_later_and_ends_on_ctrl_c(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """And answers REST, and logs JSON, where that is asked for."""
    process = start("gannet", "serve", tmp_path, "--port=0", "--rest-port=0", "--log-format=json")
    first = json.loads(process.read_log_until(""))
    assert first["level"] == "WARNING"
    assert first["message"].startswith("no model in")
    assert datetime.fromisoformat(first["time"]).tzinfo
    stubs = connect(process.read_stdout_line().strip())
    url = process.read_stdout_line().strip()
    assert url.startswith("http://127.0.0.1:")
    (tmp_path / "gen").mkdir()
    saved_models.write_gen(tmp_path / "gen" / "3")
    process.read_log_until("model gen version 3: AVAILABLE")
    response = stubs.prediction.Predict(predict_request("gen", {"noise": NOISE}), timeout=30)
    assert response.model_spec.version.value == 3
    with urlopen(f"{url}/models/gen", timeout=30) as status:
        assert json.load(status)["model_version_status"][0]["state"] == "AVAILABLE"
    process.send(signal.SIGINT)
    assert process.end() == (130, "")
    assert all(json.loads(line)["message"] for line in process.log)


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
        "--access_log",
    )
    process.read_log_until("WARNING --xla_cpu_compilation_enabled has no effect in this server")
    process.read_log_until(f"listening on unix:{socket_path}")
    file.with_suffix(".new").write_text(f"model_config_list {{ {entries[0]} {entries[1]} }}")
    file.with_suffix(".new").rename(file)  # read once a second, an empty one as well
    process.read_log_until("model two version 1: AVAILABLE")
    stubs = connect(f"unix:{socket_path}")
    for name in ("one", "two"):
        response = stubs.prediction.Predict(predict_request(name, {"noise": NOISE}), timeout=30)
        assert response.model_spec.name == name
    line = len(process.read_log_until("entrypoint=GRPC method=Predict model=two version=1 .* code=OK"))
    for _ in range(2 * PIPE_BYTES // line):  # a log that nobody reads stops nobody
        assert stubs.prediction.Predict(predict_request("one", {"noise": NOISE}), timeout=30)
    process.send(signal.SIGTERM)
    assert process.end() == (0, "")


@pytest.mark.slow
def test_requests_beyond_their_grace_do_not_hold_up_the_end(
    start: Callable[..., Process],
    connect: Callable[[str], Any],
    saved_models: Any,
    pause: Any,
    predict_request: Callable[..., Any],
    tmp_path: Path,
) -> None:
    (tmp_path / "pausing").mkdir()
    saved_models.write_pausing(tmp_path / "pausing" / "1")
    process = start("gannet", "serve", tmp_path, "--port=0", "--rest-port=0")
    address = process.read_stdout_line().strip()
    url = process.read_stdout_line().strip()
    running = connect(address).prediction.Predict.future(predict_request("pausing", pause.inputs), timeout=60)
    pause.wait_until_running()
    other = Pause(tmp_path / "pausing")
    body = json.dumps({"inputs": [pipe.decode() for pipe in other.inputs["pipes"]]}).encode()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(urlopen, f"{url}/models/pausing:predict", body, 60)
        other.wait_until_running()
        process.send(signal.SIGTERM)
        assert process.end() == (0, "")
        assert asked.exception() is not None
    assert running.exception().code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_model_server_without_a_loadable_version_fails(
    log_format: str, saved_models: Any, tmp_path: Path, free_port: int
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
        f"--log_format={log_format}",
    )
    assert (done.returncode, done.stdout) == (4, "")
    last = done.stderr.splitlines()[-1]
    if log_format == "json":
        events = [json.loads(line) for line in done.stderr.splitlines()]
        last = f"gannet-model-server: {events[-1]['message']}"
    assert last == (
        "gannet-model-server: Failed to start server. Error: UNKNOWN: "
        "1 servable(s) did not become available: {{{name: bad version: 1} "
        "due to error: OUT_OF_RANGE: Read less bytes than requested}, }"
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


@pytest.mark.parametrize("stderr", ["&-", *(["/dev/full"] if Path("/dev/full").exists() else [])])
def test_serve_needs_no_stderr(stderr: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", f'exec "$@" 2>{stderr}', "sh", *command("gannet", "serve", tmp_path, "--port", "0")],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
