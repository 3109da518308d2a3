"""`gannet doctor`: what it finds in configurations and running servers."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gannet_client.errors import UsageError
from gannet_serving import LocalServer, ServerOptions
from gannet_serving.commands.serving import serving
from gannet_serving.production.settings import Model, ServingSettings
from tests.certificates import issue, write_pems
from tests.serving.production.commands import examine, findings


def test_a_configuration(models: Path) -> None:
    file = models.parent / "serving.toml"
    file.write_text("[models.gen]\nlabels = { stable = 1 }")
    assert findings(file) == [
        ("error", "models.gen: label stable names version 1; the server would load [2]")
    ]
    file.write_text("[models.gen]")
    assert findings(file) == []
    result = examine(file, models)
    assert (result.stdout, result.stderr) == ("", "nothing is wrong\n")


def test_settings_that_differ_from_those_of_compose(models: Path) -> None:
    file = models.parent / "serving.toml"
    settings = "mounted_at = '/srv'\n[server]\nport = 9000\nrest_port = false\n[monitoring]\nenabled = false"
    file.write_text(f"{settings}\n[models.gen]")
    assert findings(file) == [
        (
            "warning",
            'server.port is 9000, server.rest_port is false, mounted_at is "/srv"; '
            'the files of docker/ expect 8500, 8501, "/models"',
        )
    ]
    models.rename(models.parent / "artifacts")
    file.write_text("models_dir = './artifacts/'\n[models.gen]")
    assert findings(file) == [
        ("warning", 'models_dir is "artifacts"; the files of docker/ expect "models"'),
    ]


def test_the_files_of_docker_expect_the_defaults() -> None:
    docker, usual = Path(__file__).parents[3] / "docker", ServingSettings(models={"gen": Model()})
    compose, prometheus = ((docker / name).read_text() for name in ("compose.yaml", "prometheus.yml"))
    for port in (usual.server.port, usual.server.rest_port):
        assert re.search(rf'127\.0\.0\.1:.*:{port}"', compose)
    assert f":{usual.mounted_at}:ro" in compose
    assert f":{usual.config_dir}:ro" in compose
    assert f"metrics_path: {usual.monitoring.path}\n" in prometheus


def test_rendered_files_that_no_container_can_read(models: Path) -> None:
    file, config = models.parent / "serving.toml", models.parent / "config"
    file.write_text("[models.gen]")
    rendered = CliRunner().invoke(serving, ["render", str(file), "--out", str(config)])
    assert rendered.exit_code == 0, rendered.exception
    assert findings(file) == findings(config) == []
    config.chmod(0o700)
    hidden = "is not readable by all, and a server in a container is another user"
    assert findings(file) == findings(config) == [("warning", f"config {hidden}")]
    config.chmod(0o755)
    (config / "models.config").chmod(0o640)
    assert findings(file) == findings(config) == [("warning", f"models.config {hidden}")]


def test_settings_that_are_newer_than_what_was_rendered(models: Path) -> None:
    file, config = models.parent / "serving.toml", models.parent / "config"
    settings = "[models.gen]\n[tls]\nkey = 'server.key'\ncertificate = 'server.pem'\n"
    file.write_text(settings)
    write_pems(models.parent)
    CliRunner().invoke(serving, ["render", str(file), "--out", str(config)])
    assert findings(file) == []
    file.write_text(f"image = 'tensorflow/serving:2.19.1'\nbatching = false\n{settings}")
    write_pems(models.parent)
    others = "batching.config, ssl.config, arguments.txt, compose.env"
    assert findings(file) == [("warning", f"not what {file} asks for: {others}")]


def test_a_key_that_the_server_cannot_read(models: Path) -> None:
    config = models.parent / "config"
    config.mkdir()
    for name in ("arguments.txt", "compose.env"):
        (config / name).touch()
    (config / "ssl.config").touch(0o600)
    (config / "compose.env").write_text("GANNET_USER=4711:1\n")
    us = f"{os.getuid()}:{os.getgid()}"
    what = f"ssl.config belongs to {us}, and compose.env runs the server as 4711:1"
    assert findings(config) == [("error", what)]
    (config / "compose.env").write_text(f"GANNET_USER={us}\n")
    assert findings(config) == []


def test_a_directory_that_is_called_like_the_rendered_one(models: Path) -> None:
    file = models.parent / "serving.toml"
    file.write_text("[models.gen]")
    (models.parent / "config").mkdir(0o700)
    assert findings(file) == []


def test_a_running_server(served: Any) -> None:
    [found] = findings("--server", served.address, "--model", "nope")
    assert found[0] == "error"
    assert "Could not find any versions of model nope" in found[1]
    assert findings("--server", served.address, "--model", "gen") == [
        ("warning", "the highest version lacks the signatures of Gannet")
    ]


def test_a_version_that_failed_and_would_keep_the_server_from_its_next_start(served: Any) -> None:
    told = examine("--server", served.address, "--model", "broken").stdout.splitlines()
    assert any("version 1" in line and "; move it out of the models directory" in line for line in told), told


def test_a_running_server_with_tls(saved_models: Any, tmp_path: Path) -> None:
    saved_models.write_gen(tmp_path / "models" / "gen" / "1")
    authority, file = write_pems(tmp_path), tmp_path / "serving.toml"
    identity = issue("client", authority)
    (tmp_path / "own.key").write_text(identity.key)
    (tmp_path / "own.pem").write_text(identity.certificate)
    tls = "key = 'server.key'\ncertificate = 'server.pem'\nclient_ca = 'ca.pem'"
    file.write_text(f"[models.gen]\n[tls]\n{tls}")
    CliRunner().invoke(serving, ["render", str(file), "--out", str(tmp_path / "config")])
    options = ServerOptions(ssl_config_file=str(tmp_path / "config" / "ssl.config"))
    with LocalServer(tmp_path / "models", options=options) as server:
        asked = ("--server", server.target.replace("127.0.0.1", "localhost"), "--model", "gen")
        trusted = (*asked, "--ca", tmp_path / "ca.pem")
        for stranger in (asked, trusted):
            [(level, what)] = findings(*stranger)
            assert level == "error"
            assert "whether both or neither use TLS" in what
        known = (*trusted, "--cert", tmp_path / "own.pem", "--key", tmp_path / "own.key")
        assert findings(*known) == [("warning", "the highest version lacks the signatures of Gannet")]
    assert isinstance(examine(*asked, "--ca", tmp_path / "no.pem").exception, UsageError)


def test_a_certificate_that_has_expired(models: Path) -> None:
    file = models.parent / "serving.toml"
    write_pems(models.parent, age=2)
    file.write_text("[tls]\nkey = 'server.key'\ncertificate = 'server.pem'\n[models.gen]")
    [(level, what)] = findings(file)
    assert level == "error"
    assert what.startswith("tls: server_cert: no connection would come about: the certificate is valid from")


def test_no_server() -> None:
    [(level, what)] = findings("--server", "127.0.0.1:1", "--model", "gen")
    assert level == "error"
    assert "no server answers" in what


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--server", "127.0.0.1:1"),
        ("--model", "gen"),
        ("--server", "127.0.0.1:1", "--model", "gen", "--key", "a key without a certificate"),
    ],
)
def test_what_it_must_be_told(arguments: tuple[str, ...]) -> None:
    assert isinstance(examine(*arguments).exception, UsageError)
