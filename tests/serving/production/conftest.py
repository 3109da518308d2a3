"""What is rendered and examined: models that are looked at and not loaded."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gannet_client.contract import CARD_FILE
from gannet_serving.commands.serving import serving
from tests.serving.production.commands import Render


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with models that are looked at and not loaded: `gen` 1 and 2, `empty`."""
    for number in (1, 2):
        card = tmp_path / "models" / "gen" / str(number) / CARD_FILE
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"largest_warmed_batch": 32, "libraries": {"tensorflow": "2.20.0"}}))
    (tmp_path / "models" / "empty").mkdir()
    return tmp_path


@pytest.fixture
def render(folder: Path) -> Render:
    """Renders settings into `config`."""

    def render(settings: str, *options: str) -> Result:
        file = folder / "serving.toml"
        file.write_text(settings)
        return CliRunner().invoke(serving, ["render", str(file), "--out", str(folder / "config"), *options])

    return render


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
