"""Whether two graphs draw the same images."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import tensorflow as tf

from gannet_export.processor import cpu_session
from gannet_export.rewriting.graph import Graph

ROWS_AT_ONCE = 50
LEVEL = 1 / 127.5
"""One grey level, in units of [-1, 1]."""


@dataclass(frozen=True)
class Bound:
    """How far the images of a rewritten graph may be from the plain graph's.

    Attributes:
        largest: of any value, in units of [-1, 1].
        mean: over all values.
    """

    largest: float
    mean: float


FLOAT32 = Bound(1e-5, 1e-5)
BFLOAT16 = Bound(2 * LEVEL, 0.5 * LEVEL)


class Proof:
    """The images of a function, to compare graphs with; they lie on disk, a few at a time in memory.

    Args:
        function: concrete, of one output: images.
        rows: inputs to draw, by the name of the argument, [N, ...]; N at least 1.
    """

    def __init__(self, function: Any, rows: Mapping[str, np.ndarray]) -> None:
        count = len(next(iter(rows.values())))
        starts = range(0, count, ROWS_AT_ONCE)
        self._feeds = [
            {name: values[start : start + ROWS_AT_ONCE] for name, values in rows.items()} for start in starts
        ]
        with TemporaryFile() as file, tf.device("CPU:0"):
            for feed in self._feeds:
                images = function(*(tf.constant(values) for values in feed.values())).numpy()
                file.write(images.astype(np.float32).tobytes())
            file.flush()
            self._expected = np.memmap(file, np.float32, "r", shape=(count, *images.shape[1:]))

    def holds(self, graph: Graph, bound: Bound) -> bool:
        """Whether a graph draws the images within a bound; images that are not finite are never near."""
        largest, total, first = 0.0, 0.0, 0
        for images in _drawn(graph, self._feeds):
            wanted = self._expected[first : first + len(images)]
            difference = np.abs(images.astype(np.float64) - wanted)
            largest, total = max(largest, float(difference.max())), total + float(difference.sum())
            first += len(images)
            if not largest <= bound.largest:
                return False
        return total / self._expected.size <= bound.mean


def _drawn(graph: Graph, feeds: list[dict[str, np.ndarray]]) -> Iterator[np.ndarray]:
    with closing(cpu_session(tf.Graph())) as session:
        with session.graph.as_default():
            tf.graph_util.import_graph_def(graph.graph_def(), name="")
        for feed in feeds:
            named = {f"{name}:0": values for name, values in feed.items()}
            yield session.run(f"{graph.output}:0", named)
