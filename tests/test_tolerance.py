"""The derivation: what it allows for, and the smallest defects that it sees. See test_summation_orders too."""

from math import expm1, log1p

import numpy as np
import pytest
from orders import ORDERS, Sums
from rounded import Machine

from conformance.case import Array, Case, Parameters, Question, Scale
from conformance.golden import GoldenSet
from conformance.tolerance import ARITHMETICS, bounds
from conformance.tolerance.inputs import components_of
from conformance.verdict import margins, tolerances


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_a_stated_small_defect_is_seen_by_every_small_case(golden: GoldenSet, dtype: str) -> None:
    """4096 u in every gradient element, which is 2.4e-4 in float32 and 4.5e-13 in float64, fails each untied case."""
    defect = 4096 * ARITHMETICS[dtype].unit
    judged = 0
    for case in golden.cases:
        gradient = components_of(case.truth.gradient)
        if case.has_ties or case.question.prediction[0].size > 256 or _cancels(case) or not case.question.holds(dtype):
            continue
        if not np.any(np.isfinite(gradient) & (gradient != 0)):
            continue
        _, _, of_gradient = tolerances(case, dtype)
        assert _worst(gradient * (1 + defect), gradient, of_gradient) > 1, case.question.case_id
        judged += 1
    assert judged > 100


def test_a_defect_of_the_value_is_seen_by_every_small_case_in_double(golden: GoldenSet) -> None:
    """2^-32 of the value, or of the photons that it is a difference of."""
    judged = 0
    for case in golden.cases:
        value = case.truth.value
        if case.question.prediction[0].size > 256 or not np.any(value) or not np.all(np.isfinite(value)):
            continue
        if case.question.parameters.constant == "stirling" and np.any(_counts(case.question) == 1):
            continue  # the constant jumps there
        if case.question.case_id in ("l2-double-close", "mae-double-close"):
            continue  # a difference of 2^-16 to 2^-48 of two numbers: no more digits are left
        _, of_value, _ = tolerances(case, "float64")
        photons = _photons(case.question) if case.question.loss == "poisson_nll" else 0.0
        assert _worst(value + 2.0**-32 * (np.abs(value) + photons), value, of_value) > 1, case.question.case_id
        judged += 1
    assert judged > 150


def _cancels(case: Case) -> bool:
    """Return whether rates are within noise of many counts, where autodiff of the formula as it stands cancels."""
    return case.question.case_id.startswith(("nll-shot-noise", "nll-double-close"))


def _counts(question: Question) -> Array:
    scale = question.parameters.scale
    assert scale is not None
    return np.where(question.valid, np.square(scale.value * question.target), 0.0)


def _photons(question: Question) -> float:
    weighted = question.weight * _counts(question)
    return float(np.sum(weighted)) if question.value_shape == () else float(np.max(weighted))


def _worst(actual: Array, expected: Array, tolerance: Array) -> float:
    judged = np.isfinite(expected)
    return float(np.max(margins(actual[judged], expected[judged], tolerance[judged])))


def _flat(numbers: list[float]) -> np.ndarray:
    return np.array(numbers).reshape(1, 1, 1, -1)


def _in_order(name: str, terms: Array) -> float:
    """Sum in float32, in the order of that name."""
    order = [order for order in ORDERS if order.name == name]
    everything = np.arange(terms.size)[None, :]
    sums = Sums(Machine("plain"), everything, terms.size, order)
    return float(sums.total(terms.reshape(1, -1).astype(np.float32)).item())


def test_terms_that_a_sum_absorbs_are_allowed_for() -> None:
    """1 and 4095 terms just below half an ulp of 1: summed from the largest down, float32 returns 1."""
    small = [2.0**-25] * 4095
    question = Question(
        "absorbed", "amplitude_mae", Parameters(reduction="sum"), _flat([1.0, *small]), _flat([0.0] * 4096)
    )
    exact = 1 + 4095 * 2.0**-25
    assert _in_order("descending", question.prediction) == 1
    derived = bounds(question, np.array(exact), np.ones(question.prediction.shape, np.int8), "float32")
    assert exact - 1 <= derived.value <= 4 * (exact - 1) * 2


def test_a_coupling_that_a_sum_absorbs_is_allowed_for() -> None:
    """phat = (a, tiny ..., a) with signs (+, + ..., -): in this order float32 finds no coupling at all."""
    p = _flat([1.0, *[2.0**-25] * 4094, 1.0])
    t = np.where(p == 1, _flat([0.5, *[0.0] * 4094, 2.0]), 0.0)
    question = Question("absorbed", "amplitude_l2_mae", Parameters(), p, t)
    norm = np.sqrt(np.sum(p * p))
    sign = np.sign(p / norm - t / np.sqrt(np.sum(t * t)))
    assert sign.ravel().tolist() == [1.0] * 4095 + [-1.0]
    assert _in_order("sequential", sign * p) == 0
    lost = question.weight / norm * p / norm * np.sum(sign * p) / norm
    derived = bounds(question, np.ones(()), sign.astype(np.int8), "float32")
    assert np.all(lost <= derived.gradient)
    (bright,) = {float(derived.gradient[0, 0, 0, 0])}
    assert bright <= 32 * float(lost[0, 0, 0, 0])


def test_growth_does_not_vanish_at_double_precision() -> None:
    unit = 2.0**-53
    assert (1 + unit) ** 4 - 1 == 0.0
    assert ARITHMETICS["float64"].grow(4) == expm1(4 * log1p(unit)) > 0


def test_masked_elements_are_held_to_zero_exactly(golden: GoldenSet) -> None:
    judged = 0
    for case in golden.cases:
        if case.question.mask is None:
            continue
        derived = bounds(case.question, case.truth.value, case.truth.sign, "float32")
        assert not np.any(derived.gradient[~case.question.valid])
        if case.question.parameters.reduction == "none":
            assert not np.any(derived.value[~case.question.valid])
        judged += 1
    assert judged > 30


def test_a_field_has_a_tolerance_per_component() -> None:
    """Along the wave the rounding of the gradient; across it too, for z / |z| is rounded; nothing at z = 0."""
    z, w = _flat([3.0, 0.0, 2.0]) * (0.6 + 0.8j), _flat([1.0, 0.0, 1.0]) * 1j
    question = Question("field", "amplitude_mae", Parameters(domain="field", scale=Scale(1.0)), z, w)
    derived = bounds(question, np.ones(()), np.array([1, 0, 1], np.int8).reshape(z.shape), "float32")
    assert derived.gradient.shape == (*z.shape, 2)
    lit, dark = derived.gradient[0, 0, 0, 0], derived.gradient[0, 0, 0, 1]
    assert np.all((lit > 2.0**-24 * np.array([0.6, 0.8]) / 3) & (lit < 64 * 2.0**-24 / 3))
    assert np.all(dark < 1e-30)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_half_type_adds_the_rounding_of_its_gradient_alone(golden: GoldenSet, dtype: str) -> None:
    (case,) = [case for case in golden.cases if case.question.case_id == "l2-typical"]
    _, wide_value, wide = tolerances(case, "float32")
    _, value, narrow = tolerances(case, dtype)
    unit = {"bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    assert value == wide_value
    lit = case.truth.gradient != 0
    added = (narrow - wide)[lit] / np.abs(case.truth.gradient[lit])
    assert np.all((added >= 2 * unit) & (added <= 4 * unit))


@pytest.mark.parametrize(("loss", "dtype"), [("amplitude_mae", "float16"), ("huber", "float32")])
def test_unknown_names_are_refused(loss: str, dtype: str) -> None:
    ones = np.ones((1, 1, 1, 1))
    question = Question("x", loss, Parameters(), ones, ones)
    with pytest.raises(ValueError, match=r"float16|huber"):
        bounds(question, np.zeros(()), np.zeros((1, 1, 1, 1), np.int8), dtype)
    if loss == "amplitude_mae":
        with pytest.raises(ValueError, match="signs"):
            bounds(question, np.zeros(()), None, "float32")
