"""What a model takes beside seeds: its conditions, as its card names them. Pure, without a network."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np

from gannet_client import contract
from gannet_client.codec import Array
from gannet_client.errors import ModelError, UsageError

Classes: TypeAlias = int | str | Sequence[int | str] | Array
"""A class for all images, or one for each: its name, or its number from 0 on; -1: drawn from the seed."""

_LISTED: Final = 20


@dataclass(frozen=True)
class Conditions:
    """The conditions of one version of a model.

    Attributes:
        version: The version.
        class_names: The names of its classes by label; empty for a model without classes.
    """

    version: int
    class_names: tuple[str, ...] = ()

    @classmethod
    def of_card(cls, card: dict[str, Any], version: int, where: str) -> Self:
        """Reads them from a model card.

        Raises:
            ModelError: The model has a condition that this release does not know.
        """
        conditions = card.get("conditions") or []
        if not set(conditions) <= {contract.LABELS}:
            raise ModelError(
                f"{where}: the model takes {', '.join(map(str, conditions))}; this release knows "
                f"{contract.LABELS} alone: install the release of gannet-toolkit that exported the model"
            )
        return cls(version, tuple(map(str, card.get("classes") or ())) if conditions else ())


def resolve_labels(
    classes: Classes | None, class_names: Sequence[str], count: int, where: str
) -> Array | None:
    """The labels that a choice of classes means.

    Args:
        classes: The choice; None: every class is drawn from its image's seed.
        class_names: The names of the model's classes by label; empty for a model without.
        count: How many images there are.
        where: What the model is called in messages.

    Returns:
        int64 [count], or None for a model without classes.

    Raises:
        UsageError: The model has no classes or not these, or it is not one class per image.

    >>> resolve_labels(["dog", 0, -1], ["cat", "dog"], 3, "the model").tolist()
    [1, 0, -1]
    >>> resolve_labels("dog", ["cat", "dog"], 2, "the model").tolist()
    [1, 1]
    """
    if not class_names:
        if classes is not None:
            raise UsageError(f"{where} has no classes; leave them out")
        return None
    if classes is None:
        classes = contract.ANY_CLASS
    if isinstance(classes, str) or not np.iterable(classes):
        return np.full(count, _label(classes, class_names, where), np.int64)
    labels = [_label(item, class_names, where) for item in classes]
    if len(labels) != count:
        raise UsageError(f"expected one class for all {count} images or one for each; received {len(labels)}")
    return np.array(labels, np.int64)


def one_or_each(classes: Sequence[str]) -> Classes | None:
    """The choice that the command line means: none, one for all images, or one for each.

    >>> one_or_each([]), one_or_each(["cat"]), one_or_each(["cat", "dog"])
    (None, 'cat', ('cat', 'dog'))
    """
    return (classes[0] if len(classes) == 1 else tuple(classes)) if classes else None


def _label(item: Any, class_names: Sequence[str], where: str) -> int:
    """The label of a class: names go first, because some are numbers."""
    if isinstance(item, str) and item in class_names:
        return class_names.index(item)
    try:
        label = int(item) if isinstance(item, str) else operator.index(item)
    except (TypeError, ValueError):
        label = len(class_names)
    if not contract.ANY_CLASS <= label < len(class_names):
        listed = [*class_names[:_LISTED], *(["..."] if len(class_names) > _LISTED else [])]
        raise UsageError(
            f"{where} has no class {item!r}; expected one of: {', '.join(listed)}, or a number from 0 to "
            f"{len(class_names) - 1}"
        )
    return int(label)
