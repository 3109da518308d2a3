"""Whether two graphs draw the same images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

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

    def holds(self, images: np.ndarray, expected: np.ndarray) -> bool:
        """Compare; images that are not finite are never near."""
        difference = np.abs(images.astype(np.float64) - expected)
        return bool(difference.max() <= self.largest and difference.mean() <= self.mean)


FLOAT32 = Bound(1e-5, 1e-5)
BFLOAT16 = Bound(2 * LEVEL, 0.5 * LEVEL)


def drawn(graph: Graph, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draw the images of a graph.

    Args:
        graph: with one placeholder for each name.
        rows: by the name of the placeholder, [N, ...]; N at least 1.
    """
    count = len(next(iter(rows.values())))
    # On a GPU the two graphs would differ by the rounding of its fast convolutions.
    config = config_pb2.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
        chunks = [
            session.run(
                f"{graph.output}:0",
                {f"{name}:0": values[start : start + ROWS_AT_ONCE] for name, values in rows.items()},
            )
            for start in range(0, count, ROWS_AT_ONCE)
        ]
    return np.concatenate(chunks)
