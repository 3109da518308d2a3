"""`gannet serving render`: what it refuses, what it writes, and that a server reads it."""

import os
import resource
import signal
import stat
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from gannet_client.errors import UsageError
from gannet_serving.commands.serve import serve
from gannet_serving.commands.serving import serving
from gannet_serving.production.rendering import FILES
from tests.certificates import issue, write_pems
from tests.ports import free_ports
from tests.serving.processes import Process
from tests.serving.production.commands import Render

REFUSALS = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text())["case"]


@pytest.mark.parametrize("case", REFUSALS, ids=[case["name"] for case in REFUSALS])
def test_refusal(case: dict[str, str], render: Render, folder: Path) -> None:
    result = render(case["settings"])
    assert isinstance(result.exception, UsageError)
    message = str(result.exception).removeprefix(f"{folder / 'serving.toml'}: ")
    assert message == case["message"].replace("$here", str(folder))
    assert not (folder / "config").exists()


def test_a_file_that_is_not_there(folder: Path) -> None:
    result = CliRunner().invoke(serving, ["render", str(folder / "no.toml"), "--out", str(folder / "config")])
    assert str(result.exception) == f"cannot read {folder / 'no.toml'}: No such file or directory"


def test_every_policy_and_label(render: Render, folder: Path) -> None:
    for name in ("two", "all", "some"):
        for number in (3, 4, 5):
            (folder / "models" / name / str(number)).mkdir(parents=True)
    result = render(
        "mounted_at = '/srv/'\n[models.gen]\n"
        "[models.two]\nversions = { latest = 2 }\nlabels = { a = 4, b = 5 }\n"
        "[models.all]\nversions = 'all'\n[models.some]\nversions = [3, 5]\n[models.far]\npath = 'gs://bucket/far'"
    )
    assert result.exit_code == 0, result.exception
    config = text_format.Parse((folder / "config" / "models.config").read_text(), ModelServerConfig())
    models = {model.name: model for model in config.model_config_list.config}
    assert {name: model.base_path for name, model in models.items()} == {
        **{name: f"/srv/{name}" for name in ("gen", "two", "all", "some")},
        "far": "gs://bucket/far",
    }
    assert {model.model_platform for model in models.values()} == {"tensorflow"}
    policies = {name: model.model_version_policy for name, model in models.items()}
    assert policies["gen"].WhichOneof("policy_choice") is None
    assert policies["two"].latest.num_versions == 2
    assert policies["all"].WhichOneof("policy_choice") == "all"
    assert list(policies["some"].specific.versions) == [3, 5]
    assert dict(models["two"].version_labels) == {"a": 4, "b": 5}
    arguments = (folder / "config" / "arguments.txt").read_text().splitlines()
    assert "--allow_version_labels_for_unavailable_models=true" in arguments


def test_nothing_stays_that_is_no_longer_asked_for(render: Render, folder: Path) -> None:
    assert render("[models.gen]").exit_code == 0
    written = {path.name for path in (folder / "config").iterdir()}
    always = {"arguments.txt", "compose.env", "models.config"}
    assert written == {*always, "batching.config", "monitoring.config"}
    result = render("batching = false\n[monitoring]\nenabled = false\n[models.gen]")
    assert result.output.split() == [str(folder / "config" / name) for name in sorted(always)]
    assert {path.name for path in (folder / "config").iterdir()} == always


def test_compose_runs_the_image_that_was_checked(render: Render, folder: Path) -> None:
    assert render("image = 'tensorflow/serving:2.19.1'\n[models.gen]").exit_code == 0
    file = folder / "config" / "compose.env"
    assert file.read_text() == "GANNET_SERVING_IMAGE=tensorflow/serving:2.19.1\n"
    assert render("[models.gen]", "--image", "here:5000/serving:2.20.0-gpu").exit_code == 0
    assert file.read_text() == "GANNET_SERVING_IMAGE=here:5000/serving:2.20.0-gpu\n"


def test_compose_runs_the_server_as_who_can_read_its_key(render: Render, folder: Path) -> None:
    write_pems(folder)
    assert render(TestTls.SETTINGS).exit_code == 0
    key = (folder / "config" / "ssl.config").stat()
    _, user = (folder / "config" / "compose.env").read_text().splitlines()
    assert user == f"GANNET_USER={key.st_uid}:{key.st_gid}"
    assert key.st_uid == (os.getuid() or 10001)


def test_every_user_can_read_what_a_careful_one_writes(render: Render, folder: Path) -> None:
    write_pems(folder)
    before = os.umask(0o077)
    try:
        assert render(TestTls.SETTINGS, "--out", str(folder / "new" / "config")).exit_code == 0
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "new" / "config").iterdir()}
    assert modes.pop("ssl.config") == 0o600
    assert set(modes.values()) == {0o644}
    assert stat.S_IMODE((folder / "new" / "config").stat().st_mode) == 0o755


def test_a_directory_that_cannot_be(render: Render, folder: Path) -> None:
    out = folder / "serving.toml" / "config"
    message = str(render("[models.gen]", "--out", str(out)).exception)
    assert message == f"cannot write the configuration into {out}: Not a directory"


def test_where_the_disk_is_full_all_stands_as_it_was(render: Render, folder: Path) -> None:
    assert render("[models.gen]").exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "config").iterdir()}
    labels = "".join(f"label-{number} = 2\n" for number in range(1000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # the arguments fit, the models do not
    try:
        result = render(f"batching = false\n[models.gen]\n[models.gen.labels]\n{labels}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert str(result.exception) == f"cannot write the configuration into {folder / 'config'}: File too large"
    assert {path: path.read_bytes() for path in (folder / "config").iterdir()} == before


def test_rest_can_be_left_out(render: Render, folder: Path) -> None:
    result = render("[server]\nrest_port = false\n[monitoring]\nenabled = false\n[models.gen]")
    assert result.exit_code == 0, result.exception
    assert "--rest_api_port=0" in (folder / "config" / "arguments.txt").read_text().splitlines()


def test_further_flags_of_every_type(render: Render, folder: Path) -> None:
    further = {
        "enable_profiler": "false",
        "rest_api_timeout_in_ms": "5",
        "mixed_precision": "'bfloat16'",
        "per_process_gpu_memory_fraction": "1",
        "grpc_channel_arguments": "'grpc.max_connection_age_ms=60000,a=b=c'",
        "prefer_tflite_model": "true",
        "num_tflite_pools": "2",
        "num_request_iterations_for_warmup": "3",
    }
    lines = [f"{name} = {value}" for name, value in further.items()]
    result = render("\n".join(["[models.gen]", "[flags]", *lines]))
    assert result.exit_code == 0, result.exception
    written = (folder / "config" / "arguments.txt").read_text().splitlines()[-len(further) :]
    assert written == [f"--{name}={value.strip(chr(39))}" for name, value in further.items()]


def test_the_largest_numbers(render: Render, folder: Path) -> None:
    most = 2**31 - 1
    result = render(
        f"[server]\nmax_threads = {most}\nload_retry_seconds = {most}\n"
        f"[batching]\nmax_batch_size = {most}\ntimeout_micros = {most}\n[models.gen]"
    )
    assert result.exit_code == 0, result.exception
    assert f"--load_retry_interval_micros={most}000000" in (folder / "config" / "arguments.txt").read_text()


def test_a_refusal_leaves_the_files_of_before(render: Render, folder: Path) -> None:
    render("[models.gen]")
    before = {path: path.read_bytes() for path in (folder / "config").iterdir()}
    assert render("[models.missing]").exit_code
    assert {path: path.read_bytes() for path in (folder / "config").iterdir()} == before


class TestTls:
    SETTINGS = "[tls]\nkey = 'server.key'\ncertificate = 'server.pem'\nclient_ca = 'ca.pem'\n[models.gen]"

    def test_only_its_owner_reads_the_key(self, render: Render, folder: Path) -> None:
        write_pems(folder)
        assert render(self.SETTINGS).exit_code == 0
        file = folder / "config" / "ssl.config"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "--ssl_config_file=/config/ssl.config" in (folder / "config" / "arguments.txt").read_text()

    def test_the_key_of_another_is_refused(self, render: Render, folder: Path) -> None:
        write_pems(folder)
        (folder / "server.key").write_text(issue("other").key)
        assert str(render(self.SETTINGS).exception) == "tls: server_key is not the key of server_cert"

    def test_an_expired_certificate_is_refused(self, render: Render, folder: Path) -> None:
        write_pems(folder, age=2)
        assert str(render(self.SETTINGS).exception).startswith(
            "tls: server_cert: no connection would come about: the certificate is valid from 20"
        )


def test_a_server_reads_it_and_does_all_of_it(
    saved_models: Any, predict_request: Callable[..., Any], tmp_path: Path
) -> None:
    saved_models.write_gen(tmp_path / "models" / "gen" / "1")
    authority = write_pems(tmp_path)
    port, rest_port = free_ports(2)
    (tmp_path / "serving.toml").write_text(
        f"mounted_at = '{tmp_path}/models'\nconfig_dir = '{tmp_path}/config'\n"
        f"[server]\nport = {port}\nrest_port = {rest_port}\n"
        "[tls]\nkey = 'server.key'\ncertificate = 'server.pem'\n"
        "[models.gen]\nlabels = { stable = 1 }\n"
    )
    out = tmp_path / "config"
    result = CliRunner().invoke(serving, ["render", str(tmp_path / "serving.toml"), "--out", str(out)])
    assert result.exit_code == 0, result.exception
    assert {path.name for path in out.iterdir()} == set(FILES)
    server = Process("gannet-model-server", *(out / "arguments.txt").read_text().splitlines())
    try:
        server.read_log_until("listening on")
        credentials = grpc.ssl_channel_credentials(authority.certificate.encode())
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            request = predict_request("gen", {"noise": np.ones((3, 4), np.float32)})
            request.model_spec.version_label = "stable"
            response = PredictionServiceStub(channel).Predict(request, timeout=30)
        assert response.outputs["images"].tensor_content
        metrics = f"http://127.0.0.1:{rest_port}/monitoring/prometheus/metrics"
        with urllib.request.urlopen(metrics, timeout=30) as answer:
            assert b":tensorflow:serving:request_count" in answer.read()
    finally:
        server.kill()


def test_serving_in_docker_takes_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "two words" / "1").mkdir(parents=True)
    result = CliRunner().invoke(serve, [str(tmp_path), "--engine", "docker"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == (
        "model 'two words': expected letters, digits, '_', '-' and '.', which is not first; "
        f"rename its directory in {tmp_path}"
    )
