"""The reference of the export says what the command does."""

from pathlib import Path

import click

from gannet_training.commands.export import export

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "export.md"


def test_every_option_is_told() -> None:
    rows = [line.split("|")[1:-1] for line in REFERENCE.read_text(encoding="utf-8").splitlines()]
    told = {cells[0].strip(" `"): cells[2].strip() for cells in rows if cells and cells[0].startswith(" `--")}
    options = [parameter for parameter in export.params if isinstance(parameter, click.Option)]
    assert told == {option.opts[0]: (option.help or "").split("  [")[0] for option in options}
