"""`gannet doctor`: what it finds, and that it finds nothing where nothing is wrong."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gannet_client.contract import CARD_FILE
from gannet_client.errors import UsageError
from gannet_serving import LocalServer, ServerOptions
from gannet_serving.commands.doctor import doctor
from gannet_serving.commands.serving import serving
from gannet_serving.production.settings import Model, ServingSettings
from tests.certificates import issue, write_pems


def examine(*arguments: object) -> Result:
    return CliRunner().invoke(doctor, [str(argument) for argument in arguments], standalone_mode=False)


def findings(*arguments: object) -> list[tuple[str, str]]:
    """Level and text of each finding; the exit code is 1 if one is an error."""
    result = examine(*arguments, "--json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert result.return_value == int(any(finding["level"] == "error" for finding in found))
    return [(finding["level"], finding["what"]) for finding in found]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`gen` with two versions of a model that looks right."""
    models = tmp_path / "models"
    for number in (1, 2):
        version = models / "gen" / str(number)
        (version / "assets.extra").mkdir(parents=True)
        (version / "saved_model.pb").write_bytes(b"graph")
        card = {"files": {"saved_model.pb": hashlib.sha256(b"graph").hexdigest()}}
        (version / CARD_FILE).write_text(json.dumps(card))
    return models


def break_nothing(models: Path) -> None:
    (models / ".lock").touch()
    (models / "gen" / ".staging-1").mkdir()
    (models / "gen" / "labels.json").write_text('{"stable": 2}')


def remove_the_graph(models: Path) -> None:
    (models / "gen" / "2" / "saved_model.pb").unlink()


def forget_the_number(models: Path) -> None:
    (models / "flat").mkdir()
    (models / "flat" / "saved_model.pb").touch()


def make_an_empty_model(models: Path) -> None:
    (models / "ümläut").mkdir()


def label_what_is_gone(models: Path) -> None:
    (models / "gen" / "labels.json").write_text('{"canary": 3}')


def write_junk_labels(models: Path) -> None:
    (models / "gen" / "labels.json").write_text("[]")


def bring_a_foreign_model(models: Path) -> None:
    (models / "gen" / "1" / CARD_FILE).unlink()


def damage_the_graph(models: Path) -> None:
    (models / "gen" / "2" / "saved_model.pb").write_bytes(b"groph")


def lose_a_variable(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text(json.dumps({"files": {"variables/x": "0", "v": "1"}}))


def write_a_junk_card(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text("junk")


def write_a_card_that_is_a_list(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text("[]")


def link_to_nowhere(models: Path) -> None:
    (models / "gen" / "2" / "link").symlink_to("nowhere")


def publish_a_file(models: Path) -> None:
    (models / "gen" / "3").touch()


def hide_the_models(models: Path) -> None:
    models.chmod(0o750)


def hide_a_model(models: Path) -> None:
    (models / "gen").chmod(0o711)


def hide_a_file(models: Path) -> None:
    (models / "gen" / "1" / "saved_model.pb").chmod(0o600)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (break_nothing, []),
        (
            remove_the_graph,
            [("error", "has no saved_model.pb: it would not load, and be tried again and again")],
        ),
        (forget_the_number, [("error", "holds a SavedModel itself; a server finds no version")]),
        (
            make_an_empty_model,
            [("error", "has no directory that is named by a number; a server finds no version")],
        ),
        (label_what_is_gone, [("error", "label canary names version 3, which is not there")]),
        (
            write_junk_labels,
            [("error", "cannot be read: AttributeError(\"'list' object has no attribute 'items'\")")],
        ),
        (
            bring_a_foreign_model,
            [
                (
                    "warning",
                    "has no model card: Gannet did not export it, clients know its signatures alone",
                )
            ],
        ),
        (damage_the_graph, [("error", "saved_model.pb is not as it was exported")]),
        (lose_a_variable, [("error", "v and 1 more is not as it was exported")]),
        (
            write_a_junk_card,
            [
                (
                    "error",
                    "assets.extra/gannet.json is no model card: Expecting value: line 1 column 1 (char 0)",
                )
            ],
        ),
        (
            write_a_card_that_is_a_list,
            [("error", "assets.extra/gannet.json is no model card: expected an object, received []")],
        ),
        (link_to_nowhere, [("error", "cannot be read: No such file or directory")]),
        (publish_a_file, [("error", "cannot be read: Not a directory")]),
        (
            hide_the_models,
            [("warning", "models is not readable by all, and a server in a container is another user")],
        ),
        (
            hide_a_model,
            [("warning", "gen is not readable by all, and a server in a container is another user")],
        ),
        (
            hide_a_file,
            [
                (
                    "warning",
                    "saved_model.pb is not readable by all, and a server in a container is another user",
                )
            ],
        ),
    ],
)
def test_a_models_directory(
    change: Callable[[Path], None], expected: list[tuple[str, str]], models: Path
) -> None:
    change(models)
    assert findings(models) == expected


def test_a_damaged_version_has_a_cure(models: Path) -> None:
    damage_the_graph(models)
    assert f"see gannet models verify {models} gen/2, " in examine(models).stdout


@contextmanager
def kept_from_us(path: Path) -> Iterator[None]:
    """A path that this process may not read; root takes the part of a user who is nobody."""
    user = os.geteuid()
    path.chmod(0)
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(0o755)


@pytest.mark.parametrize("hidden", [".", "gen", "gen/2", "gen/2/assets.extra"])
def test_what_belongs_to_another_user(
    hidden: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # those above it are private, too
    tmp_path.chmod(0o755)
    with kept_from_us(models / hidden):
        assert ("error", "cannot be read: Permission denied") in findings("models")


def test_places_that_are_no_models_directory(models: Path, tmp_path: Path) -> None:
    assert findings(tmp_path / "missing") == [("error", "cannot be read: No such file or directory")]
    assert findings(models / "gen") == [
        ("error", "holds versions, so it is a model and not a directory of models")
    ]
    (tmp_path / "none").mkdir()
    assert findings(tmp_path / "none") == [("error", "holds no model")]


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
    (config / "ssl.config").touch(0o600)
    assert findings(file) == findings(config) == []
    config.chmod(0o700)
    hidden = "is not readable by all, and a server in a container is another user"
    assert findings(file) == findings(config) == [("warning", f"config {hidden}")]
    config.chmod(0o755)
    (config / "models.config").chmod(0o640)
    assert findings(file) == findings(config) == [("warning", f"models.config {hidden}")]


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
            assert "whether it wants TLS" in what
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


@pytest.mark.parametrize("arguments", [(), ("--server", "127.0.0.1:1"), ("--model", "gen")])
def test_what_it_must_be_told(arguments: tuple[str, ...]) -> None:
    assert isinstance(examine(*arguments).exception, UsageError)
