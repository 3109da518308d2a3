"""What a model takes beside seeds or noise: its conditions, as its card names them."""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from gannet_client import contract
from gannet_client.checks import check_range
from gannet_client.codec import Array
from gannet_client.errors import INSTALL_OTHER, ModelError, UsageError

Classes: TypeAlias = int | str | Sequence[int | str] | Array
"""A class for all images, or one for each: its name, or its number from 0 on; -1: drawn from the seed.

A string is a name if there is such a class, else a number; behind a plus sign, `"+2"`, a number always.
"""
Truncation: TypeAlias = float | Sequence[float] | Array
"""How far all images, or each, may go from the average one: 0 is the average, 1 the image's own."""
Codes: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | Array
"""K continuous codes for all images, or a row of K for each; NaN: drawn from the seed."""

_LISTED: Final = 20
_NUMBER: Final = re.compile(r"\+[0-9]+")
_MAX_CODES: Final = 1 << 16


@dataclass(frozen=True)
class Conditions:
    """The conditions of one version of a model.

    Attributes:
        class_names: The names of its classes by label; empty for a model without classes.
        codes: How many continuous codes it takes.
        truncation: Whether it can be truncated.
    """

    class_names: tuple[str, ...] = ()
    codes: int = 0
    truncation: bool = False

    @classmethod
    def of_card(cls, card: dict[str, Any], what: str) -> Self:
        """Reads them from a model card.

        Raises:
            ModelError: The model has a condition that this release does not know.
        """
        names = [str(name) for name in card.get("conditions") or []]
        if not set(names) <= set(contract.CONDITIONS):
            known = ", ".join(contract.CONDITIONS)
            told = f"{what} takes {', '.join(names)}; this release knows {known} alone"
            raise ModelError(told, advice=INSTALL_OTHER)
        return cls(
            tuple(map(str, card["classes"])) if contract.LABELS in names else (),
            check_range("codes", card["codes"], 1, _MAX_CODES) if contract.CODES in names else 0,
            contract.TRUNCATION in names,
        )

    def resolve(
        self,
        count: int,
        what: str,
        *,
        classes: Classes | None = None,
        truncation: Truncation | None = None,
        codes: Codes | None = None,
    ) -> dict[str, Array]:
        """The inputs that a choice means, filled in where it is silent; only those that the model has.

        Raises:
            UsageError: The model has no such condition, or the choice does not fit it.

        >>> Conditions(truncation=True).resolve(2, "the model", truncation=0.5)
        {'truncation': array([0.5, 0.5], dtype=float32)}
        """
        found = {
            contract.LABELS: resolve_labels(classes, self.class_names, count, what),
            contract.CODES: _resolve_codes(codes, self.codes, count, what),
            contract.TRUNCATION: _resolve_truncation(truncation, self.truncation, count, what),
        }
        return {name: rows for name, rows in found.items() if rows is not None}

    def open(self, inputs: dict[str, Array]) -> str | None:
        """The first option that leaves something to be drawn; None if all is settled."""
        if contract.LABELS in inputs and (inputs[contract.LABELS] == contract.ANY_CLASS).any():
            return "classes"
        if contract.CODES in inputs and np.isnan(inputs[contract.CODES]).any():
            return "codes"
        return None


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
        _refuse(classes, "classes", where)
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
    if isinstance(item, str) and item in class_names and not _NUMBER.fullmatch(item):
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


def _resolve_codes(codes: Codes | None, width: int, count: int, where: str) -> Array | None:
    if not width:
        _refuse(codes, "codes", where)
        return None
    rows = _floats("codes", np.nan if codes is None else codes)
    shapes = ((),) if codes is None else ((width,), (count, width))
    if rows.shape not in shapes or np.isinf(rows).any():
        raise UsageError(
            f"{where} takes codes [{width}] for all images or [{count}, {width}], finite or NaN; received "
            f"{_received(rows)}"
        )
    return np.broadcast_to(rows, (count, width))


def _resolve_truncation(truncation: Truncation | None, taken: bool, count: int, where: str) -> Array | None:
    if not taken:
        _refuse(truncation, "truncation", where)
        return None
    rows = _floats("truncation", contract.NO_TRUNCATION if truncation is None else truncation)
    if rows.shape not in ((), (count,)) or not np.isfinite(rows).all():
        raise UsageError(
            f"{where} takes one finite truncation for all {count} images or one for each; received "
            f"{_received(rows)}"
        )
    return np.broadcast_to(rows, count)


def _refuse(choice: object, option: str, where: str) -> None:
    if choice is not None:
        raise UsageError(f"{where} has no {option}; leave {'them' if option != 'truncation' else 'it'} out")


def _floats(option: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"{option} must be numbers; received {value!r:.80}") from None


def _received(rows: Array) -> str:
    values = "" if np.isfinite(rows).all() else " with values that are not finite"
    return f"{list(rows.shape)}{values}"
