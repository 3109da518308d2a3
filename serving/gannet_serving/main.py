"""The program `gannet-model-server`: without Click, so that it can say that Click is missing."""

from typing import NoReturn

from gannet_client import cli


def main() -> NoReturn:
    """Run the embedded server under TensorFlow Serving's flags."""
    cli.run("gannet_serving.model_server:model_server", "gannet-model-server")
