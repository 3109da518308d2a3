"""Whether the processor computes in the precision that a version was exported for."""

import json
from pathlib import Path

from gannet_client.contract import CARD_FILE

_CPUINFO = Path("/proc/cpuinfo")
_COMPUTES_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
_LONGEST_CARD = 2**20
"""Characters; a longer file is no model card."""


def advice(version: Path, cpuinfo: str | None) -> str | None:
    """What to do about a version that is slow on a processor; None if nothing.

    Args:
        version: Its directory; what has no model card gives no advice.
        cpuinfo: The processor's features, separated by white space; None if they are not known.
    """
    if cpuinfo is None or computes_bfloat16(cpuinfo) or not _is_bfloat16(version):
        return None
    return (
        "expected a processor with avx512_bf16 or amx_bf16, since its convolutions are in bfloat16; "
        "on this one export it with --precision float32, which is faster"
    )


def computes_bfloat16(cpuinfo: str) -> bool:
    """Whether the features of a processor, separated by white space, have bfloat16 among them.

    >>> computes_bfloat16("flags : fpu avx512f avx512_bf16"), computes_bfloat16("flags : fpu avx512f")
    (True, False)
    """
    return not _COMPUTES_BFLOAT16.isdisjoint(cpuinfo.split())


def read_cpuinfo() -> str | None:
    """The features of this machine's processor; None where Linux does not tell them."""
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _is_bfloat16(version: Path) -> bool:
    try:
        with (version / CARD_FILE).open(encoding="utf-8") as file:
            card = json.loads(file.read(_LONGEST_CARD))
        return bool(card["graph"]["precision"] == "bfloat16")
    except (OSError, ValueError, LookupError, TypeError):
        return False
