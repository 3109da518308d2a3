"""`gannet serving`: TensorFlow Serving itself, configured."""

import logging
from pathlib import Path

import click

_log = logging.getLogger(__name__)


@click.group()
def serving() -> None:
    """Configure a TensorFlow Serving."""


@serving.command()
@click.argument("settings", type=click.Path(path_type=Path), metavar="SERVING.TOML")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory for the files."
)
@click.option(
    "--image", envvar="GANNET_SERVING_IMAGE", help="In place of the image in the file.", metavar="IMAGE"
)
def render(settings: Path, out: Path, image: str | None) -> None:
    """Write what a TensorFlow Serving reads, from one file that is checked.

    models.config, batching.config, monitoring.config and ssl.config are for the directory that the server
    sees as `config_dir`; arguments.txt has its flags, one on a line; compose.env, for `docker compose
    --env-file`, has the image for which they are and who can read them. Prints the paths of what it wrote.
    """
    from gannet_client.extras import require

    require("serve", "pydantic", "tensorflow_serving")
    from gannet_serving.production.checks import check_models
    from gannet_serving.production.rendering import render as texts
    from gannet_serving.production.settings import read_settings
    from gannet_serving.production.writing import server_user, write

    logging.basicConfig(format="%(levelname)s %(message)s")
    wanted = read_settings(settings)
    chosen = image or wanted.image
    files = texts(wanted, chosen, settings.parent, server_user())
    for warning in check_models(wanted, chosen, settings.parent):
        _log.warning("%s", warning)
    write(files, out)
    for name in sorted(files):
        click.echo(out / name)
