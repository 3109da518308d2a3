"""The command `gannet`: a group whose subcommands come from the entry-point group `gannet.commands`."""

from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

from gannet_client import __version__

ENTRY_POINTS: Final = "gannet.commands"
DISTRIBUTION: Final = "gannet-toolkit"

SUMMARIES: Final = {
    "bench": "Measure how many images servers draw, and how long callers wait.",
    "doctor": (
        "Tell what is wrong with models directories, configurations or a running server, and what to do."
    ),
    "export": "Export a generator as a version that TensorFlow Serving serves.",
    "generate": "Draw images from a served model.",
    "interpolate": "Draw the way from one image to the next, as a strip or an animation.",
    "models": "List, show, verify and remove the versions of a models directory.",
    "ready": "Tell by the exit code whether a model can be asked for images on every server.",
    "sample": "Draw images from a run's checkpoint.",
    "serve": "Serve every model of the directory MODELS over gRPC, and over REST where that is asked for.",
    "serving": "Configure a TensorFlow Serving.",
    "show": "Print how the image in a PNG FILE was drawn, and the command that draws it again.",
    "status": "Print the state of a model's versions on every server.",
    "train": "Train a GAN and write a run directory.",
}
"""The short help of our own commands, so that `gannet --help` need not import them."""


class LazyGroup(click.Group):
    """Loads a subcommand only when it is used."""

    @cached_property
    def installed(self) -> dict[str, EntryPoint]:
        """The entry points by name; where two distributions claim a name, it is ours."""
        return {entry.name: entry for entry in sorted(entry_points(group=ENTRY_POINTS), key=_is_ours)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all subcommands."""
        return sorted(self.installed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported now."""
        entry = self.installed.get(cmd_name)
        command: click.Command | None = entry.load() if entry else None
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the subcommand, or fails with the nearest name."""
        name = args[0]
        if name not in self.installed and not name.startswith("-"):
            near = get_close_matches(name, self.installed, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(self.list_commands(ctx))}."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of subcommands without importing any."""
        rows = [(name, _summary(self.installed[name])) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="gannet")
def gannet() -> None:
    """Takes a GAN from training to production.

    `gannet COMMAND --help` tells more about a command.
    """


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == DISTRIBUTION


def _summary(entry: EntryPoint) -> str:
    if _is_ours(entry):
        return SUMMARIES[entry.name]
    return f"From {entry.dist.name} {entry.dist.version}." if entry.dist else entry.value
