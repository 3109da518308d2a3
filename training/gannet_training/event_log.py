"""TensorBoard's log of a run."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf


class EventLog:
    """Writes scalars and pictures that TensorBoard reads.

    Args:
        directory: of the log; made if missing.
    """

    def __init__(self, directory: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(directory))

    def start(self, step: int) -> None:
        """Say that what follows begins at a step: TensorBoard forgets what it knows from there on."""
        session = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        event = tf.compat.v1.Event(step=step, session_log=session)
        # There is no function for it: `tf.summary` cannot write any event but a summary.
        tf.raw_ops.ImportEvent(writer=self._writer._resource, event=event.SerializeToString())

    def write_scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write numbers by name; those that were not measured are left out."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if value is not None and math.isfinite(value):
                    tf.summary.scalar(name, value)

    def write_picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Write one picture, uint8 [H, W, C]."""
        with self._writer.as_default(step=step):
            tf.summary.image(name, picture[None])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
