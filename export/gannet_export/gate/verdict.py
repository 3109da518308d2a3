"""What the gate says of an export."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from gannet_client.errors import ModelError

SHOWN = 20
"""Failed checks in a message; all of them are in the verdict."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its kind, for example "golden".
        where: the signature, and how many rows it was asked for.
        passed: whether what was expected was received.
        expected: in words.
        received: in words.
        difference: of the answer from the generator's own: "images" in units of [-1, 1], "pixels" in grey
            levels.
    """

    check: str
    where: str
    passed: bool
    expected: str
    received: str
    difference: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.check}, {self.where}: expected {self.expected}, received {self.received}"


@dataclass(frozen=True)
class Verdict:
    """All that the gate found.

    Attributes:
        checks: how many of each kind were made.
        failed: those that failed, in order.
        differences: the largest from the generator's own images, by unit.
    """

    checks: dict[str, int]
    failed: tuple[Finding, ...] = ()
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the export may be published."""
        return not self.failed

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Verdict":
        """Sum findings up."""
        made = list(findings)
        differences: dict[str, float] = {}
        for finding in made:
            for unit, value in finding.difference.items():
                differences[unit] = max(differences.get(unit, 0.0), value)
        checks = dict(Counter(finding.check for finding in made))
        return cls(checks, tuple(finding for finding in made if not finding.passed), differences)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "Verdict":
        """Read what :meth:`json` gave."""
        failed = tuple(Finding(passed=False, **finding) for finding in values["failed"])
        return cls(values["checks"], failed, values["differences"])

    def json(self) -> dict[str, Any]:
        """As JSON values, for the model card and for programs."""
        failed = [
            {key: value for key, value in asdict(finding).items() if key not in ("passed", "difference")}
            for finding in self.failed
        ]
        return {
            "passed": self.passed,
            "checks": self.checks,
            "failed": failed,
            "differences": self.differences,
        }


class ExportRefused(ModelError):
    """The export does not pass the gate; nothing was published.

    Attributes:
        verdict: what was found.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        shown = [f"  {finding}" for finding in verdict.failed[:SHOWN]]
        if len(verdict.failed) > SHOWN:
            shown.append(f"  and {len(verdict.failed) - SHOWN} more")
        made = sum(verdict.checks.values())
        counts = f"{len(verdict.failed)} of {made} checks failed"
        first = f"the gate refused the export, {counts}; nothing was published"
        super().__init__("\n".join([f"{first}:", *shown]))
