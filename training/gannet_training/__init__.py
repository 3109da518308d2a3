"""Trains a generator and judges it; leaves a run directory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gannet_training.adversarial import AdversarialModel
    from gannet_training.config import TrainConfig
    from gannet_training.fused_adam import FusedAdam
    from gannet_training.health import Health
    from gannet_training.pipeline import batches
    from gannet_training.run import Run
    from gannet_training.sampling import sample
    from gannet_training.trainer import build, load, train

__all__ = [
    "AdversarialModel",
    "FusedAdam",
    "Health",
    "Run",
    "TrainConfig",
    "batches",
    "build",
    "load",
    "sample",
    "train",
]

# Loaded on first use (PEP 562): a command's --help does not pay for TensorFlow.
_LAZY = {
    "AdversarialModel": "adversarial",
    "FusedAdam": "fused_adam",
    "Health": "health",
    "Run": "run",
    "TrainConfig": "config",
    "batches": "pipeline",
    "build": "trainer",
    "load": "trainer",
    "sample": "sampling",
    "train": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
