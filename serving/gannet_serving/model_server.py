"""`gannet-model-server`: the embedded server under TensorFlow Serving's flags."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gannet_client.contract import GRPC_PORT, LOOPBACK
from gannet_client.errors import ModelError

if TYPE_CHECKING:
    from gannet_serving.manager import ModelManager


@click.command()
@click.option(
    "--port", default=GRPC_PORT, type=click.IntRange(1, 65535), show_default=True, help="TCP port for gRPC."
)
@click.option("--host", default=LOOPBACK, show_default=True, help="Address of the interface to listen on.")
@click.option("--model_name", default="default", show_default=True, help="The name that requests use.")
@click.option(
    "--model_base_path",
    type=click.Path(path_type=Path),
    required=True,
    help="The directory whose numbered subdirectories are the model's versions.",
)
def model_server(port: int, host: str, model_name: str, model_base_path: Path) -> int:
    """Serve one model over gRPC as TensorFlow Serving does.

    The port opens once a version is loaded. As long as the base path is missing or has no versions, the
    server waits for one to come; if there are versions and none can be loaded, it ends with exit code 4.
    """
    from gannet_serving.manager import ModelManager
    from gannet_serving.process import configure_logging, require_libraries, run

    require_libraries()
    configure_logging()
    base_path = model_base_path.absolute()
    manager = ModelManager(lambda: {model_name: base_path})
    return run(manager, host, port, settled=lambda: _require_available(manager, model_name))


def _require_available(manager: "ModelManager", name: str) -> None:
    statuses = manager.statuses(name)
    failures = [(number, failure) for number, _, failure in statuses if failure]
    if len(failures) == len(statuses):
        listed = "".join(
            f"{{{{name: {name} version: {n}}} due to error: {failure}}}, " for n, failure in failures
        )
        raise ModelError(
            f"Failed to start server. Error: UNKNOWN: {len(failures)} servable(s) did not become available: "
            f"{{{' '.join(listed.split())} }}"
        )
