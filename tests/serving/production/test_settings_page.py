"""The page about `serving.toml`."""

import re
import tomllib
from pathlib import Path

from gannet_serving.production.settings import ServingSettings

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "serving-toml.md").read_text("utf-8")


def test_its_example_has_every_setting() -> None:
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    example = tomllib.loads(text)
    settings = ServingSettings(**example)
    assert example.keys() == ServingSettings.model_fields.keys()
    for name in ("server", "batching", "tls", "monitoring"):
        assert example[name].keys() == type(getattr(settings, name)).model_fields.keys()
    assert set().union(*example["models"].values()) == {"path", "versions", "labels"}
