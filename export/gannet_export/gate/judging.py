"""The checks of the gate, in the order in which they are made."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from gannet_client import contract
from gannet_export.gate.signatures import signature_findings
from gannet_export.gate.trial import Trial
from gannet_export.gate.verdict import Finding
from gannet_export.golden import Golden
from gannet_export.servable import to_pixels
from gannet_export.warmup import read_warmup

IMAGES = "images"
SLACK = 1e-5
"""By which rounding may leave [-1, 1]."""
Rows: TypeAlias = tuple[int, int]
"""The first of the golden rows that were asked for, and the one behind the last."""
Answers: TypeAlias = dict[tuple[str, Rows], np.ndarray]
_DRAWN = {
    contract.PIXELS: "by_noise",
    contract.PNG: "by_noise",
    contract.SEEDED_PIXELS: "by_seeds",
    contract.SEEDED_PNG: "by_seeds",
}
_BROKEN = (tf.errors.OpError, OSError, ValueError, KeyError, TypeError, RuntimeError, DecodeError)
"""What a SavedModel, or a file beside it, that is not what it should be may raise."""


def findings(trial: Trial) -> Iterator[Finding]:
    """Make all checks of an export; those that need what another found broken are left out."""
    golden = Golden.load(trial.golden)
    expected = "a SavedModel that loads in the Session that TensorFlow Serving uses"
    with closing(tf.compat.v1.Session(graph=tf.Graph())) as session:
        try:
            loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(trial.directory))
        except _BROKEN as error:
            yield Finding("load", "the whole export", False, expected, _reason(error))
            return
        yield Finding("load", "the whole export", True, expected, expected)
        compiled = compiled_functions(session.graph)
        yield Finding(
            "load",
            "functions for XLA, which TensorFlow Serving does not compile",
            not compiled,
            "none",
            f"{len(compiled)}; leave out jit_compile, or export without --plain",
        )
        signatures = dict(loaded.signature_def)
        yield from signature_findings(signatures, golden)
        yield from _Examination(trial, golden, session, signatures).findings()


def compiled_functions(graph: tf.Graph) -> list[str]:
    """The names of the functions that XLA must compile."""
    functions = graph.as_graph_def().library.function
    return [function.signature.name for function in functions if function.attr["_XlaMustCompile"].b]


class _Examination:
    """What a loaded export answers."""

    def __init__(self, trial: Trial, golden: Golden, session: Any, signatures: dict[str, Any]) -> None:
        self._trial = trial
        self._golden = golden
        self._session = session
        self._signatures: dict[str, Any] = {
            name: signatures[name] for name in contract.SIGNATURES if name in signatures
        }
        self._answers: Answers = {}

    def findings(self) -> Iterator[Finding]:
        for rows in self._requests():
            for name in self._signatures:
                yield from self._golden_answer(name, rows)
        yield from self._range()
        yield from self._independence()
        yield from self._determinism()
        yield from self._warm_up()

    def _requests(self) -> list[Rows]:
        """No row, one, two, the largest batch; then what is left, for example of many classes."""
        largest, count = self._trial.largest_batch, len(self._golden)
        sizes = sorted({0, 1, 2, largest})
        rest = range(largest, count, largest)
        return [(0, size) for size in sizes] + [(start, min(start + largest, count)) for start in rest]

    def _golden_answer(self, name: str, rows: Rows) -> Iterator[Finding]:
        where = f"'{name}' of {rows[1] - rows[0]} rows"
        try:
            answer = self._run(name, self._inputs(name, slice(*rows)))
            drawn = self._decoded(answer) if name in (contract.PNG, contract.SEEDED_PNG) else answer
            finding = self._compared(where, name, drawn, slice(*rows))
        except _BROKEN as error:
            yield Finding("golden", where, False, "an answer", _reason(error))
            return
        self._answers[name, rows] = answer
        yield finding

    def _compared(self, where: str, name: str, answer: np.ndarray, rows: slice) -> Finding:
        if name == contract.CARD:
            wrong = [card for card in answer if json.loads(card) != self._trial.card]
            same = not wrong and len(answer) == rows.stop - rows.start
            return Finding("golden", where, same, "the model card in every row", "another text")
        tolerance, unit, expected = self._expected(name, rows)
        kind, wanted = f"{answer.dtype} {list(answer.shape)}", f"{expected.dtype} {list(expected.shape)}"
        if kind != wanted:
            return Finding("golden", where, False, wanted, kind)
        difference = _difference(answer, expected)
        return Finding(
            "golden",
            where,
            # Not `difference > tolerance`, which lets NaN pass.
            bool(difference <= tolerance),
            f"the generator's own values within {tolerance:.3g}",
            f"a difference of {difference:.3g}",
            {unit: difference} if np.isfinite(difference) else {},
        )

    def _expected(self, name: str, rows: slice) -> tuple[float, str, np.ndarray]:
        if name == contract.LATENTS:
            return 0.0, contract.NOISE, self._golden.given[contract.NOISE][rows]
        if name == contract.SERVING_DEFAULT:
            return self._trial.tolerance.images, IMAGES, self._golden.by_noise[rows]
        images = getattr(self._golden, _DRAWN[name])[rows]
        return self._trial.tolerance.pixels, contract.PIXELS, to_pixels(tf.constant(images)).numpy()

    def _range(self) -> Iterator[Finding]:
        for (name, (start, end)), images in self._answers.items():
            if name == contract.SERVING_DEFAULT and images.size:
                low, high = float(images.min()), float(images.max())
                yield Finding(
                    "range",
                    f"'{name}' of {end - start} rows",
                    low >= -1 - SLACK and high <= 1 + SLACK,
                    "finite images in [-1, 1]",
                    f"values from {low:.4g} to {high:.4g}; end the generator in tanh, or clip what it draws",
                )

    def _independence(self) -> Iterator[Finding]:
        largest = 0, self._trial.largest_batch
        for name in (contract.PIXELS, contract.SEEDED_PIXELS):
            for rows in ((0, 1), (0, min(2, largest[1]))):
                few, many = self._answers.get((name, rows)), self._answers.get((name, largest))
                if few is not None and many is not None and few.shape[1:] == many.shape[1:]:
                    yield self._near(
                        "independence",
                        f"'{name}' of {rows[1]} and of {largest[1]} rows",
                        _difference(few, many[: rows[1]]),
                        "images that depend on their own row alone",
                        "beside other rows; take out of the generator what mixes them",
                    )

    def _determinism(self) -> Iterator[Finding]:
        rows = 0, self._trial.largest_batch
        for name in (contract.SERVING_DEFAULT, contract.SEEDED_PIXELS):
            first = self._answers.get((name, rows))
            if first is None:
                continue
            where = f"'{name}' of {len(first)} rows"
            difference = _difference(self._run(name, self._inputs(name, slice(*rows))), first)
            received = f"a difference of {difference:.3g}; take out of the generator what draws at random"
            yield Finding("determinism", where, difference == 0, "the same answer twice", received)
        seeded = self._answers.get((contract.SEEDED_PIXELS, rows))
        if seeded is not None:
            turned = slice(rows[1] - 1, None, -1)
            backwards = self._run(contract.SEEDED_PIXELS, self._inputs(contract.SEEDED_PIXELS, turned))
            yield self._near(
                "determinism",
                f"'{contract.SEEDED_PIXELS}' of {rows[1]} rows",
                _difference(backwards[::-1], seeded),
                "the images of the same seeds in another order",
                "",
            )

    def _warm_up(self) -> Iterator[Finding]:
        played: dict[str, list[int]] = {}
        try:
            for name, values in read_warmup(self._trial.directory):
                self._run(name, values)
                played.setdefault(name, []).append(len(next(iter(values.values()))))
        except _BROKEN as error:
            yield Finding("warm-up", contract.WARMUP_FILE, False, "requests that run", _reason(error))
            return
        expected = f"requests of {self._trial.warmed} rows"
        yield Finding("warm-up", contract.WARMUP_FILE, played == self._trial.warmed, expected, f"{played}")

    def _near(self, check: str, where: str, difference: float, expected: str, received: str) -> Finding:
        told = f"a difference of {difference:.3g} grey levels {received}".strip()
        return Finding(check, where, bool(difference <= self._trial.tolerance.rows), expected, told)

    def _inputs(self, name: str, rows: slice) -> dict[str, np.ndarray]:
        return {alias: self._golden.given[alias][rows] for alias in self._signatures[name].inputs}

    def _run(self, name: str, given: dict[str, np.ndarray]) -> np.ndarray:
        signature = self._signatures[name]
        (output,) = signature.outputs.values()
        feeds = {tensor.name: given[alias] for alias, tensor in signature.inputs.items()}
        return np.asarray(self._session.run(output.name, feeds))

    def _decoded(self, files: np.ndarray) -> np.ndarray:
        shape = self._golden.by_noise.shape[1:]
        images = [tf.io.decode_png(file).numpy() for file in files]
        return np.reshape(np.asarray(images, np.uint8), (-1, *shape))


def _difference(answer: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(answer.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))


def _reason(error: Exception) -> str:
    """The line of a message that says why; TensorFlow puts others before it."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Graph execution error", "Detected at"))]
    return told[0] if told else repr(error)
