"""`gannet-model-server` as far as its command line goes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from gannet_client import cli
from gannet_client.errors import UsageError
from gannet_serving.flags import Command, flags, read, warn_of_ignored
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.sources import ConfigFile
from gannet_serving.status import StatusError


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def model_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gannet-model-server", *arguments])
        with pytest.raises(SystemExit) as ending:
            cli.run("gannet_serving.model_server:model_server", "gannet-model-server")
        return Ended(int(ending.value.code or 0), *capsys.readouterr())

    return call


def options(*arguments: str) -> ServerOptions:
    @click.pass_context
    def take(context: click.Context, /, **values: Any) -> ServerOptions:
        warn_of_ignored(context)
        return read(values)

    taken = Command("server", callback=take, params=flags()).main(list(arguments), standalone_mode=False)
    assert isinstance(taken, ServerOptions)
    return taken


def test_every_option_is_a_flag_with_its_default() -> None:
    assert options() == ServerOptions()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port=1234", "--host=::1"], {"port": 1234, "host": "::1"}),
        (["--port", "1234", "--model_name", "m"], {"port": 1234, "model_name": "m"}),
        (["--port=0", "--grpc_socket_path=/s"], {"port": None, "grpc_socket_path": "/s"}),
        (["--enable_batching", "--port=7"], {"enable_batching": True, "port": 7}),
        (["--enable_batching=true"], {"enable_batching": True}),
        (["--enable_model_warmup=false"], {"enable_model_warmup": False}),
        (["--enable_model_warmup=0"], {"enable_model_warmup": False}),
        (["--enable_model_warmup", "False"], {"enable_model_warmup": False}),
        (["--enable_batching", "1"], {"enable_batching": True}),
        (["--saved_model_tags=serve,gpu"], {"saved_model_tags": "serve,gpu"}),
        (["--rest_api_port=0"], {"rest_api_port": None}),
        (["--rest_api_port=8501"], {"rest_api_port": 8501}),
    ],
)
def test_values_are_read(arguments: list[str], expected: dict[str, Any]) -> None:
    assert options(*arguments) == ServerOptions(**expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model_nme=m"], "unknown flag --model_nme; the nearest known one is --model_name; see "),
        (["--max_batch_size=4"], "unknown flag --max_batch_size; the nearest known one is --"),
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["--port=0"], "At least one of server_options.grpc_port or server_options.grpc_socket_path must be"),
        (["--port=65536"], "--port: expected a number from 0 to 65535, received 65536"),
        (["--port=x"], "Invalid value for '--port': 'x' is not a valid integer; see"),
        (["--port=8501", "--rest_api_port=8501"], "--rest_api_port cannot be same as --port; both are 8501"),
        (["--file_system_poll_wait_seconds=-1"], "--file_system_poll_wait_seconds: expected seconds, or 0"),
        (
            ["--enable_batching=maybe"],
            "Invalid value for '--enable_batching': expected true, false, 1 or",
        ),
        (
            ["--grpc_channel_arguments=a=1,"],
            "--grpc_channel_arguments: expected KEY=VALUE,KEY=VALUE, received",
        ),
        (["--grpc_channel_arguments=a"], "--grpc_channel_arguments: expected KEY=VALUE,KEY=VALUE, received"),
        (
            ["--batching_parameters_file=/dev/null"],
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.",
        ),
        (
            ["--enable_per_model_batching_parameters"],
            "server_options.enable_per_model_batching_parameters is set without setting "
            "server_options.enable_batching to true.",
        ),
        (
            [f"--tensorflow_{kind}_parallelism=2" for kind in ("session", "intra_op", "inter_op")],
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism)"
            " separately. You cannot configure all.",
        ),
        (["--model_config_file=/no/such"], "cannot read --model_config_file /no/such: No such file or"),
        (["--log_format=xml"], "--log_format: expected text or json, received xml"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], message: str, model_server: Callable[..., Ended]
) -> None:
    ended = model_server(*arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"gannet-model-server: {message}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("model_config_lst {}", "Invalid protobuf file: '{file}': 1:1 : Message type"),
        (
            'model_config_list { config { name: "a" base_path: "b" model_platform: "tensorflow" } }',
            "{file}: Expected model a to have an absolute path or URI; got base_path()=b",
        ),
        ("custom_model_config {}", "{file}: ModelServer does not yet support custom model config."),
        (
            'model_config_list { config { name: "a" base_path: "/b" } }',
            "INVALID_ARGUMENT: Illegal setting neither",
        ),
        (
            'model_config_list { config { name: "a" base_path: "/b" model_type: TENSORFLOW '
            'model_platform: "tensorflow" } }',
            "{file}: Illegal setting both",
        ),
        (
            'model_config_list { config { name: "a" base_path: "/b" model_platform: "tensorflow" '
            'version_labels { key: "stable" value: 1 } } }',
            "FAILED_PRECONDITION: Request to assign label to version 1 of model a, "
            "which is not currently available for inference",
        ),
    ],
)
def test_a_bad_configuration_is_refused(config: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(config)
    with pytest.raises((StatusError, UsageError)) as caught:
        ModelManager(ConfigFile(file)).start()
    assert str(caught.value).startswith(message.format(file=file))


def test_flags_without_effect_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    options(
        "--xla_cpu_compilation_enabled",
        "--per_process_gpu_memory_fraction=0.5",
        "--prefer_tflite_model=false",
        "--flush_filesystem_caches",
    )
    assert caplog.messages == [
        "--per_process_gpu_memory_fraction has no effect in this server",
        "--xla_cpu_compilation_enabled has no effect in this server",
    ]


def test_channel_arguments_are_numbers_where_they_can_be() -> None:
    assert ServerOptions(grpc_channel_arguments="a=5,b=c=d,e=99999999999").channel_arguments == [
        ("a", 5),
        ("b", "c=d"),
        ("e", "99999999999"),
    ]


def test_help_and_version(model_server: Callable[..., Ended]) -> None:
    assert "--model_config_file" in model_server("--help").stdout
    assert model_server("--version").stdout.startswith("Gannet ModelServer: ")
