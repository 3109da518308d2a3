"""Progress on a terminal, and silence elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(
    what: str, total: int | None = None, *, in_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs, if that is a terminal.

    Args:
        what: is done, in a few words.
        total: where the bar is full; None where that is not known.
        in_bytes: count bytes, not things.

    Yields:
        A function that sets how much is done.
    """
    from rich import progress as bars
    from rich.console import Console

    counts = (bars.DownloadColumn(), bars.TransferSpeedColumn()) if in_bytes else (bars.MofNCompleteColumn(),)
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), *counts, bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as display:
        task = display.add_task(what, total=total)
        yield lambda done: display.update(task, completed=done)
