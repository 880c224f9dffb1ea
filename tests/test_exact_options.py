"""Every golden value and gradient against the contract's formulas in balls, and central differences of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from losses_in_balls import BITS, Index, Numbers, differences, losses, numbers_of

from fixtures.case import Case
from fixtures.cases import CASES
from fixtures.record import record_of

JUDGED = [case for case in CASES if not case.non_finite and not case.id.endswith("-large")]
PROBED = 4
RELATIVE_STEP, STEP_AT_ZERO = 2.0**-120, 2.0**-200
"""A central difference is off by the square of the relative step."""


@pytest.fixture(autouse=True)
def many_bits() -> Iterator[None]:
    before, ctx.prec = ctx.prec, BITS
    yield
    ctx.prec = before


@dataclass(frozen=True)
class Stored:
    """A case as its archive and its record say it."""

    arrays: dict[str, np.ndarray]
    loss: str
    parameters: dict[str, Any]
    valid: np.ndarray
    prediction: Numbers
    target: Numbers

    def terms(self, **changed: str) -> dict[Index, list[arb | float]]:
        parameters, ids = {**self.parameters, **changed}, self.arrays.get("view_ids")
        return losses(self.prediction, self.target, self.loss, parameters, self.valid.shape, ids)

    def total(self) -> arb:
        """The sum of all finite terms, without the constant, which no prediction moves."""
        found = self.terms(constant="none").values()
        return sum((term for terms in found for term in terms if not isinstance(term, float)), arb(0))

    def difference(self, index: Index, part: int) -> arb:
        """Return the central difference quotient of the total in the real or the imaginary part of one element."""
        moved = self.target if self.parameters.get("wrt") == "target" else self.prediction
        kept = moved[index]
        step = abs(kept[part]) * RELATIVE_STEP if kept[part] != 0 else arb(STEP_AT_ZERO)
        sides = []
        for change in (step, -step):
            moved[index] = (kept[0] + change, kept[1]) if part == 0 else (kept[0], kept[1] + change)
            sides.append(self.total())
        moved[index] = kept
        return (sides[0] - sides[1]) / (2 * step)


@cache
def _record(case_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, record, _ = record_of(next(case for case in JUDGED if case.id == case_id))
    return arrays, record


def stored(case: Case) -> Stored:
    arrays, record = _record(case.id)
    shape = arrays["prediction"].shape
    valid = np.broadcast_to(arrays.get("mask", np.ones((1, 1, 1, 1))), shape) > 0
    numbers = numbers_of(arrays["prediction"], valid), numbers_of(arrays["target"], valid)
    return Stored(arrays, record["loss"], record["parameters"], valid, *numbers)


def _near(actual: float, expected: arb, floor: float) -> bool:
    half_ulp = abs(arb(actual)) * arb(2.0**-53) * arb(1 + 2.0**-40)
    return bool(abs(arb(actual) - expected) <= half_ulp + arb(floor))


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.id)
def test_values_are_those_of_the_formulas(case: Case) -> None:
    question = stored(case)
    found = question.terms()
    assert list(np.ndindex(question.arrays["value"].shape)) == list(found)
    for index, terms in found.items():
        actual = float(question.arrays["value"][index])
        if any(isinstance(term, float) for term in terms):
            assert actual == np.inf, index
        else:
            assert _near(actual, sum(terms, arb(0)), 1e-150), index


@pytest.mark.parametrize("case", [case for case in JUDGED if case.loss != "poisson_nll"], ids=lambda case: case.id)
def test_signs_are_those_of_the_differences(case: Case) -> None:
    question = stored(case)
    numbers = question.prediction, question.target
    found = differences(*numbers, question.loss, question.parameters, question.arrays.get("view_ids"))
    expected = np.zeros(question.valid.shape, np.int8)
    for index, difference in found.items():
        expected[index] = 0 if difference.contains(0) else 1 if difference > 0 else -1
    assert np.array_equal(question.arrays["sign"], expected)


def _probed(question: Stored) -> list[Index]:
    """Return a few valid elements of every kind: by sign, by zero or not, and spread over the array."""
    moved = question.arrays[question.parameters.get("wrt", "prediction")]
    signs = question.arrays.get("sign", np.zeros(moved.shape, np.int8))
    kinds: dict[Any, list[Index]] = {}
    for index in np.ndindex(moved.shape):
        if question.valid[index]:
            kind = (int(signs[index]), bool(moved[index] == 0), bool(question.arrays["gradient"][index] == 0))
            kinds.setdefault(kind, []).append(index)
    return [index for found in kinds.values() for index in found[:: max(1, len(found) // PROBED)][:PROBED]]


def _declared(question: Stored, index: Index) -> float | None:
    """Return the gradient where it is declared and no derivative."""
    guard = question.parameters.get("rate_guard")
    rate, counts = question.prediction[index][0], question.target[index][0]
    if guard == "clamp" and question.arrays["sign"][index] == 0:
        return 0.0
    if guard == "none" and rate == 0 and counts != 0:
        return -np.inf
    moved = counts if question.parameters.get("wrt") == "target" else rate
    return 0.0 if question.parameters.get("domain") == "intensity" and moved == 0 else None


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.id)
def test_gradients_are_differences_of_the_formulas(case: Case) -> None:
    question = stored(case)
    gradient = question.arrays["gradient"]
    assert gradient.shape == question.valid.shape
    assert np.all(gradient[~question.valid] == 0)
    largest = float(np.max(np.abs(gradient[np.isfinite(gradient)]), initial=0.0))
    for index in _probed(question):
        actual = complex(gradient[index])
        declared = _declared(question, index)
        if declared is not None:
            assert actual == declared, index
            continue
        for part, component in enumerate((actual.real, actual.imag)[: 2 if gradient.dtype.kind == "c" else 1]):
            assert _near(component, question.difference(index, part), (largest or 1.0) * 2.0**-100), (index, part)
