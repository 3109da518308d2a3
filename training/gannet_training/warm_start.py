"""Start from the weights of another model."""

import logging
from pathlib import Path

import keras
import numpy as np

from gannet_client.errors import UsageError
from gannet_training.adversarial import AdversarialModel
from gannet_training.run import Run

log = logging.getLogger(__name__)


def warm_start(model: AdversarialModel, networks: dict[str, keras.Model], source: str) -> None:
    """Copy into a model every weight of other networks that stands at the same place and has the same shape.

    Args:
        model: to start.
        networks: by the name of the attribute that takes their weights: `generator`, `discriminator`,
            `ema_generator`.
        source: where they come from, for the log, which lists what matched.

    Raises:
        UsageError: not one weight matches.
    """
    taken = 0
    for name, network in networks.items():
        target = getattr(model, name)
        places = list(zip(network.weights, target.weights, strict=False))
        fitting = [(old, new) for old, new in places if tuple(old.shape) == tuple(new.shape)]
        for old, new in fitting:
            new.assign(np.asarray(old))
        taken += len(fitting)
        fresh = [weight.path for weight in target.weights if not any(weight is new for _, new in fitting)]
        left = f"; starting anew: {', '.join(fresh)}" if fresh else ""
        log.info("%s: %d of %d weights from %s%s", name, len(fitting), len(target.weights), source, left)
    if not taken:
        raise UsageError(f"no weight of {source} has the place and shape of one here; expected like networks")


def saved_generator(file: Path) -> dict[str, keras.Model]:
    """Read a generator from a `.keras` file, for the generator and its moving average.

    Raises:
        UsageError: the file cannot be read as a Keras model.
    """
    try:
        generator = keras.models.load_model(file, compile=False)
    except (OSError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise UsageError(f"cannot read a Keras model from {file}: {reason}") from error
    return {"generator": generator, "ema_generator": generator}


def is_run(path: Path) -> bool:
    """Tell a run directory from anything else, and anything else from a `.keras` file.

    Raises:
        UsageError: the path is neither.
    """
    if path.is_dir():
        Run.open(path)
        return True
    if path.suffix != ".keras" or not path.is_file():
        raise UsageError(f"expected a run directory or a .keras file to start from, received {path}")
    return False
