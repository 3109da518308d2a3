"""Training speed of the 32x32x3 DCGAN, batch 64, against the usual ways to write its step.

Compared turn by turn, each side in a process of its own, see `dcgan_steps.py`: `tutorial`, the step of the
common Keras tutorials; `hand_written`, a plain `tf.function` of Gannet's mathematics; `pytorch`, the same
mathematics there. `ratio` is Gannet's images per second over theirs, the median over turns. On a machine that
does something else as well, the threads of PyTorch suffer most. Exits with 1 below the bounds.
"""

import json
import statistics
import sys

import dcgan_steps
from interleaved import ratio, seconds_per_step

BOUNDS = {"tutorial": 1.18, "hand_written": 0.95, "pytorch": 0.95}
TURNS, STEPS, WARM_UP = 11, 4, 3


def main() -> None:
    sides = {name: f"dcgan_steps:{name}" for name in ("gannet", *BOUNDS)}
    seconds = seconds_per_step(list(sides.values()), turns=TURNS, steps=STEPS, warm_up=WARM_UP)
    missed = False
    for name, bound in BOUNDS.items():
        measured = ratio(seconds[sides["gannet"]], seconds[sides[name]])
        speeds = {
            shown: round(dcgan_steps.BATCH / statistics.median(seconds[sides[shown]]), 1)
            for shown in ("gannet", name)
        }
        detail = {"compared with": name, "bound": bound, "images_per_second": speeds}
        print(json.dumps({"name": f"train_step_{name}", "ratio": measured, "unit": "1", "detail": detail}))
        missed |= measured < bound
    sys.exit(missed)


if __name__ == "__main__":
    main()
