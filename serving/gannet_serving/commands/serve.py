"""`gannet serve`: every model of a directory, for a laptop, a test or a notebook."""

import logging
from pathlib import Path

import click

from gannet_client.contract import GRPC_PORT, LOOPBACK
from gannet_client.errors import UsageError
from gannet_serving.production.image import DEFAULT_IMAGE

_log = logging.getLogger(__name__)

_OF_ONE_ENGINE = {"image": "docker", "memory": "docker", "log_format": "embedded"}


@click.command()
@click.argument("models", type=click.Path(path_type=Path))
@click.option("--host", default=LOOPBACK, show_default=True, help="Address of the interface to listen on.")
@click.option(
    "--port",
    default=GRPC_PORT,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="TCP port for gRPC; 0 for any that is free.",
)
@click.option(
    "--rest-port",
    type=click.IntRange(0, 65535),
    help="TCP port for REST, usually 8501; 0 for any that is free. Without it there is no REST.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the log on stderr, for --engine embedded.",
)
@click.option(
    "--engine",
    type=click.Choice(["embedded", "docker"]),
    default="embedded",
    show_default=True,
    help="What serves: this project's own server, or TensorFlow Serving in a container.",
)
@click.option(
    "--image",
    default=DEFAULT_IMAGE,
    envvar="GANNET_SERVING_IMAGE",
    show_default=True,
    help="Of TensorFlow Serving, for --engine docker.",
)
@click.option(
    "--memory", default="4g", show_default=True, help="Limit of the container, for --engine docker."
)
@click.pass_context
def serve(
    context: click.Context,
    models: Path,
    host: str,
    port: int,
    rest_port: int | None,
    log_format: str,
    engine: str,
    image: str,
    memory: str,
) -> int:
    """Serve every model of the directory MODELS over gRPC, and over REST where that is asked for.

    A model is a subdirectory with numbered versions, as `gannet export` writes it: MODELS/NAME/1. Versions
    that come later are picked up, by the embedded server also models. Prints HOST:PORT once it is ready, then
    the URL of REST if there is one; Ctrl-C or SIGTERM stops it.
    """
    from gannet_serving.logs import configure_logging

    _require_of(engine, context)
    if not models.is_dir():
        raise UsageError(f"{models} is not a directory; expected one that holds models, like {models}/NAME/1")
    configure_logging(log_format)
    if engine == "docker":
        return _serve_in_docker(models.absolute(), image, memory, host, port, rest_port)
    return _serve_here(models.absolute(), host, port, rest_port)


def _require_of(engine: str, context: click.Context) -> None:
    for name, other in _OF_ONE_ENGINE.items():
        if engine != other and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} is for --engine {other}, received it with --engine {engine}; leave it out"
            )


def _serve_here(models: Path, host: str, port: int, rest_port: int | None) -> int:
    from gannet_serving.manager import ModelManager
    from gannet_serving.options import ServerOptions
    from gannet_serving.process import require_libraries, run
    from gannet_serving.sources import Directory
    from gannet_serving.versions import find_models

    require_libraries()
    if not find_models(models):
        _log.warning("%s", _nothing_to_serve(models))
    # What failed once is tried again when its files change; minutes of retries would only hide it.
    options = ServerOptions(host=host, port=port, rest_api_port=rest_port, max_num_load_retries=0)
    return run(ModelManager(Directory(models), options), options, ready=_tell)


def _serve_in_docker(
    models: Path, image: str, memory: str, host: str, port: int, rest_port: int | None
) -> int:
    from gannet_client.extras import require

    require("serve", "pydantic", "tensorflow_serving")
    from gannet_serving.production.container import Published, run
    from gannet_serving.production.settings import require_name
    from gannet_serving.versions import find_models

    names = sorted(find_models(models))
    if not names:
        raise UsageError(
            f"no model in {models}; TensorFlow Serving needs one from the start, like {models}/NAME/1"
        )
    try:
        for name in names:
            require_name(name, "model")
    except ValueError as error:
        raise UsageError(f"{error}; rename its directory in {models}") from None
    return run(models, names, image, Published(host, port, rest_port), memory=memory, ready=_tell)


def _tell(address: str, rest_address: str) -> None:
    print(address, flush=True)
    if rest_address:
        print(f"http://{rest_address}/v1", flush=True)


def _nothing_to_serve(directory: Path) -> str:
    from gannet_serving.versions import find_versions

    if find_versions(directory):
        return f"{directory} holds versions, not models; pass the directory above it"
    return f"no model in {directory} yet; one is picked up when {directory}/NAME/1 appears"
