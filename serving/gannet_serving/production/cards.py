"""The model card of a version on disk."""

import json
from pathlib import Path
from typing import Any

from gannet_client.contract import CARD_FILE

_MAX_CARD_BYTES = 64 << 20


def read_card(version: Path) -> dict[str, Any] | None:
    """The model card; None for a model of other origin.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no card.
    """
    try:
        with (version / CARD_FILE).open("rb") as file:
            card = json.loads(file.read(_MAX_CARD_BYTES))
    except FileNotFoundError:
        return None
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if not isinstance(card, dict):
        raise ValueError(f"expected an object, received {card!r:.40}")
    return card
