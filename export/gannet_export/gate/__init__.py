"""The gate before publication: another process loads an export as TensorFlow Serving does, and tries it."""

from gannet_export.gate.keeper import Gatekeeper, gatekeeper
from gannet_export.gate.trial import TOLERANCES, Tolerance, Trial
from gannet_export.gate.verdict import ExportRefused, Finding, Verdict

__all__ = [
    "TOLERANCES",
    "ExportRefused",
    "Finding",
    "Gatekeeper",
    "Tolerance",
    "Trial",
    "Verdict",
    "gatekeeper",
]
