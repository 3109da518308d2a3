"""`gannet-model-server`: the embedded server under TensorFlow Serving's flags."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gannet_client.errors import ModelError, UsageError
from gannet_serving.flags import Command, flags, read, warn_of_ignored

if TYPE_CHECKING:
    from gannet_serving.manager import ModelManager
    from gannet_serving.options import ServerOptions
    from gannet_serving.sources import Source

_FAILED = "Failed to start server. Error: "


@click.pass_context
def _main(context: click.Context, /, **values: Any) -> int:
    """Serve models over gRPC as TensorFlow Serving does, under its flags.

    Needs --model_base_path or --model_config_file. The ports open once every model has a version that is
    loaded. As long as a base path is missing or has no versions, the server waits for one to come; if none of
    a model's versions can be loaded, it ends with exit code 4.
    """
    from gannet_serving.logs import configure_logging
    from gannet_serving.process import require_libraries, run

    options = read(values)
    source = _source(options)
    require_libraries()
    configure_logging(options.log_format)
    warn_of_ignored(context)

    from gannet_serving.manager import ModelManager

    manager = ModelManager(source, options)
    return run(manager, options, settled=lambda: _require_available(manager))


def _source(options: "ServerOptions") -> "Source":
    from gannet_serving.config import models
    from gannet_serving.sources import ConfigFile, Fixed

    if options.model_config_file:
        return ConfigFile(Path(options.model_config_file), options.model_config_file_poll_wait_seconds)
    if not options.model_base_path:
        raise UsageError(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
            " Pass --model_base_path=DIRECTORY or --model_config_file=FILE"
        )
    return Fixed(models({options.model_name: Path(options.model_base_path).absolute()}))


def _require_available(manager: "ModelManager") -> None:
    failures = manager.failures()
    if failures:
        listed = " ".join("".join(failures).split())
        raise ModelError(
            f"{_FAILED}UNKNOWN: {len(failures)} servable(s) did not become available: {{{listed} }}"
        )


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"Gannet ModelServer: {version('gannet-toolkit')}")
        click.echo(f"TensorFlow Library: {version('tensorflow')}")
        context.exit()


_version = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show versions.",
)
model_server = Command(
    "gannet-model-server", callback=_main, params=[*flags(), _version], help=_main.__doc__, epilog=None
)
