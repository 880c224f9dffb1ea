"""Both sides of a law: what a shipped loss answers, and how far a correct answer may be from the truth."""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import plain_formulas
from hypothesis import settings

from conformance.backends import Answer, Backend, load_backend
from conformance.case import Array, Parameters, Question
from conformance.tolerance import ARITHMETICS, Bounds, bounds, computing_dtype
from conformance.tolerance.inputs import amplitudes, components_of
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import lowest_bit

FRAMEWORKS = ("jax", "torch", "tensorflow")
DTYPES = ("float32", "float64")
COMPILED = {"jax": "jit", "torch": "eager", "tensorflow": "function"}
"""The fastest way of each framework to answer hundreds of questions of one shape."""
LAWFUL = settings(
    derandomize=True,  # the same examples in every run: a red one can be run again
    database=None,
    deadline=None,
    max_examples=int(os.environ.get("PTYCHO_LAW_EXAMPLES", "15")),
)
OWN_ROUNDING = ARITHMETICS["float64"].grow(8)
"""Relative error of what a test itself computes from two answers, in float64."""


@dataclass(frozen=True)
class Side:
    """One side of a law. Complex gradients and their tolerances have a last axis of two components."""

    value: Array
    gradient: Array
    of_value: Array
    of_gradient: Array
    bounds: Bounds


BACKENDS: dict[str, Backend] = {name: load_backend(name) for name in FRAMEWORKS}
"""Loaded before anything is drawn: Hypothesis draws the constants of modules that it finds loaded, too."""


def question(
    loss: str, prediction: Array, target: Array, mask: Any = None, view_ids: Any = None, **options: Any
) -> Question:
    """Return a question; ids are dropped where the scope has no use for them, so that one draw serves every scope."""
    ids = view_ids if options.get("scope") == "view" else None
    return Question("law", loss, Parameters(**options), prediction, target, mask, ids)


def answer(framework: str, asked: Question, dtype: str, mode: str | None = None, loss_scale: float = 1.0) -> Answer:
    """Return the shipped loss's answer; the codepath is looked up without the scale's value, and compiled once."""
    shipped, scale = asked, asked.parameters.scale
    if scale is not None:
        shipped = replace(asked, parameters=replace(asked.parameters, scale=replace(scale, value=1.0)))
    mode = mode or COMPILED[framework]
    codepath = BACKENDS[framework].shipped(shipped)
    got = BACKENDS[framework].answer(codepath, asked, dtype=dtype, mode=mode, device="cpu", loss_scale=loss_scale)
    assert not got.misdeeds
    assert got.value_dtype == computing_dtype(dtype) and got.value.shape == asked.value_shape
    return got


def signs(asked: Question) -> Array:
    """Return the exact sign of phat - that, or of p - t for the legacy loss, compared as squares of integers."""
    arrays = [np.where(asked.valid, array, 0) for array in (asked.prediction, asked.target)]
    if asked.parameters.domain == "field":
        parts = [part for array in arrays for part in (array.real, array.imag)]
    else:
        parts = [array.real for array in arrays]
    unit = float(np.min(lowest_bit(np.stack(parts))))
    if unit == np.inf:
        return np.zeros(asked.prediction.shape, np.int8)
    whole = [np.array([int(x) for x in (part / unit).ravel()], object).reshape(part.shape) for part in parts]
    if asked.parameters.domain == "field":
        p, t = (whole[i] * whole[i] + whole[i + 1] * whole[i + 1] for i in (0, 2))
    elif asked.parameters.domain == "amplitude":
        p, t = (number * np.abs(number) for number in whole)
    else:
        p, t = whole
    if asked.loss == "amplitude_mae":
        return _sign(p - t)
    label = Scopes(asked).label
    floor = Fraction(asked.parameters.eps) ** 2 / Fraction(unit) ** (1 if asked.parameters.domain == "intensity" else 2)
    energies = []
    for number in (p, t):
        each = np.abs(number).sum((2, 3))
        total = np.array([max(each[label == one].sum(), floor) for one in range(label.max() + 1)], object)
        energies.append(total[label][:, :, None, None])
    return _sign(p * energies[1] - t * energies[0])


def _sign(numbers: Array) -> Array:
    return (numbers > 0).astype(np.int8) - (numbers < 0).astype(np.int8)


def side(framework: str, asked: Question, dtype: str, mode: str | None = None) -> Side:
    """Ask a shipped loss, and derive the tolerances of its answer from the question."""
    got = answer(framework, asked, dtype, mode)
    derived = tolerances_of(asked, dtype)
    return Side(got.value, components_of(got.gradient), derived.value, derived.gradient, derived)


def tolerances_of(asked: Question, dtype: str) -> Bounds:
    """Derive the tolerances of an answer from the question."""
    arrays = (asked.prediction, asked.target, asked.mask, asked.view_ids)
    content = tuple(None if array is None else (array.shape, array.tobytes()) for array in arrays)
    return _derived(_Key((asked.loss, asked.parameters, content), asked), dtype)


class _Key:
    """A question that is equal to another one of the same content: all frameworks are asked the same ones."""

    def __init__(self, content: Any, asked: Question) -> None:
        self.content, self.asked = content, asked

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.content == other.content


@lru_cache(maxsize=512)
def _derived(key: _Key, dtype: str) -> Bounds:
    asked = key.asked
    return bounds(asked, plain_value(asked), None if asked.loss == "poisson_nll" else signs(asked), dtype)


def plain_value(asked: Question) -> Array:
    """Return the value by the contract's formulas in float64: the bounds need its size, for the last roundings."""
    options, valid = asked.parameters, asked.valid
    made = amplitudes(replace(asked, parameters=replace(options, wrt="prediction")))
    p, t, s = made.own, made.other, options.scale.value if options.scale else 1.0
    if asked.loss == "poisson_nll":
        elements, _ = plain_formulas.nll(p, t, s, options.constant, options.rate_guard, options.rate_floor or 0.0)
        mean = np.sum(t) / max(valid.sum(), 1) + 1e-8
        elements = elements / {"none": 1.0, "batch_mean_amplitude": mean}.get(
            options.normaliser, options.normaliser_value or 1.0
        )
    elif asked.loss == "amplitude_mae":
        elements = np.abs(s * (p - t))
    else:
        label = np.broadcast_to(Scopes(asked).label[:, :, None, None], p.shape)
        elements, _, _ = plain_formulas.l2(p, t, valid, label, np.ones(p.shape), options.eps, options.gain)
    return np.asarray(plain_formulas.reduce(elements, valid, options.reduction))


def require_near(actual: Array, expected: Array, allowed: Array, quantity: str) -> None:
    """Fail unless the two differ by at most `allowed`, and what computing them in float64 may have added."""
    actual, expected, allowed = np.broadcast_arrays(actual, expected, allowed)
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(actual - expected) <= allowed + OWN_ROUNDING * (np.abs(actual) + np.abs(expected)))
    where = tuple(np.argwhere(far)[0]) if far.any() else ()
    assert not far.any(), (
        f"{quantity}{[int(i) for i in where]}: got {actual[where]:.17g}, wanted {expected[where]:.17g} "
        f"+- {allowed[where]:.3g}, {int(far.sum())} of {far.size} off"
    )


def require_bits(actual: Array, expected: Array, quantity: str) -> None:
    """Fail unless the two are the same numbers, zeros of either sign being one; a NaN is the same as nothing."""
    far = ~(np.asarray(actual) == np.asarray(expected))
    where = tuple(np.argwhere(far)[0]) if far.any() else ()
    assert not far.any(), (
        f"{quantity}{[int(i) for i in where]}: got {float(actual[where]).hex()}, "
        f"wanted {float(expected[where]).hex()}, "
        f"{int(far.sum())} of {far.size} differ"
    )


def per_scope(asked: Question, elements: Array) -> Array:
    """Sum (B, C, H, W) over each scope, once per pattern of it."""
    return Scopes(asked).total(elements)
