"""Speed of the one noise, against the same draws under `tf.vectorized_map`.

Both run as a graph in one process, turn by turn, on 64 seeds of width 100. `ratio` is the median of the
other's time over ours; 1 means that the plain loop costs nothing.
"""

import json
import statistics
import time
from collections.abc import Callable

from gannet_training.startup import start_tensorflow

SEEDS, LATENT_DIM, TURNS = 64, 100, 200


def main() -> None:
    start_tensorflow()
    import tensorflow as tf

    from gannet_export import noise

    def row(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal([LATENT_DIM], seed=tf.stack([seed, 0]), alg="philox")

    given = tf.range(SEEDS, dtype=tf.int64)
    ours = tf.function(lambda seeds: noise(seeds, LATENT_DIM))
    theirs = tf.function(lambda seeds: tf.vectorized_map(row, seeds))
    equal = bool(tf.reduce_all(ours(given) == theirs(given)))
    times = [(seconds(ours, given), seconds(theirs, given)) for _ in range(TURNS)]
    detail = {
        "compared with": "tf.vectorized_map over the same draws, same process, interleaved",
        "bits equal": equal,
        "milliseconds": round(1000 * statistics.median(mine for mine, _ in times), 2),
    }
    ratio = statistics.median(other / mine for mine, other in times)
    print(json.dumps({"name": "noise", "ratio": round(ratio, 3), "unit": "1", "detail": detail}))


def seconds(draw: Callable, given: object) -> float:
    started = time.perf_counter()
    draw(given).numpy()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
