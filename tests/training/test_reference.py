"""The reference of training lists every option as the command has it."""

from pathlib import Path

import click

from gannet_training.commands.train import train
from gannet_training.run import _ENTRIES
from gannet_training.symptoms import COLLAPSED_DIVERSITY, DEAD, SATURATED, VANISHED_GRADIENT, non_finite

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "training.md"


def row(option: click.Option) -> str:
    meaning, _, default = (option.help or "").partition("  [default: ")
    if option.show_default:
        default = str(option.default)
    return f"| `{option.opts[0]}` | {default.removesuffix(']')} | {meaning} |"


def test_every_option_has_its_row() -> None:
    rows = [row(option) for option in train.params if isinstance(option, click.Option)]
    page = PAGE.read_text(encoding="utf-8")
    missing = [line for line in rows if line not in page.splitlines()]
    assert not missing, "put these rows into the table of the page:\n" + "\n".join(missing)
    assert sum(line.startswith("| `--") for line in page.splitlines()) == len(rows)


def test_every_symptom_and_entry_is_told() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for symptom in (SATURATED, DEAD, VANISHED_GRADIENT, COLLAPSED_DIVERSITY, non_finite("d_loss")):
        assert f"| {symptom.name} |" in page
    for entry in _ENTRIES:
        assert f"`{entry}" in page
