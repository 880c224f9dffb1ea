"""The derivation, two-sided: no order of summation exceeds it, and a stated smallest defect does."""

from collections.abc import Callable
from fractions import Fraction
from math import expm1, log1p

import numpy as np
import pytest

from conformance.case import Array, Case, Parameters, Question, Scale
from conformance.golden import GoldenSet
from conformance.tolerance import ARITHMETICS, bounds
from conformance.tolerance.sums import energy_error, lowest_bit
from conformance.verdict import margins, tolerances

Sum = Callable[[Array], np.floating]


def _sequential(terms: Array) -> np.floating:
    total = terms.dtype.type(0)
    for term in terms:
        total = total + term
    return total


def _tree(terms: Array) -> np.floating:
    terms = terms[np.random.default_rng(1).permutation(terms.size)]
    while terms.size > 1:
        paired = terms[: terms.size // 2 * 2]
        terms = np.concatenate([paired[::2] + paired[1::2], terms[paired.size :]])
    return terms[0]


ORDERS: dict[str, Sum] = {
    "sequential": _sequential,
    "reversed": lambda x: _sequential(x[::-1]),
    "ascending": lambda x: _sequential(x[np.argsort(np.abs(x))]),
    "descending": lambda x: _sequential(x[np.argsort(-np.abs(x))]),
    "blocks": lambda x: _sequential(np.array([_sequential(block) for block in np.array_split(x, 7)], x.dtype)),
    "tree": _tree,
}


def _l2_by_hand(question: Question, total: Sum, dtype: str, reciprocal: bool) -> tuple[np.floating, Array]:
    """Loss 1 and its gradient in plain NumPy of one dtype, every sum in the given order."""
    p, t = question.prediction.astype(dtype), question.target.astype(dtype)
    kind = p.dtype.type
    gradient = np.zeros_like(p)
    losses = []
    weight = kind(1) / kind(p.size)
    for b in range(p.shape[0]):
        x, y = p[b].ravel(), t[b].ravel()
        p_norm, t_norm = (np.sqrt(total(a * a)) for a in (x, y))
        dark = p_norm <= question.parameters.eps
        p_norm, t_norm = (np.maximum(norm, kind(question.parameters.eps)) for norm in (p_norm, t_norm))
        unit, other = (x * (kind(1) / p_norm), y * (kind(1) / t_norm)) if reciprocal else (x / p_norm, y / t_norm)
        sign = np.sign(unit - other)
        losses.append(np.abs(unit - other))
        coupling = kind(0) if dark else total(weight * sign * unit)
        gradient[b] = ((weight * sign - coupling * unit) / p_norm).reshape(p[b].shape)
    return weight * total(np.concatenate(losses)), gradient


def _l2_mean_cases(golden: GoldenSet) -> list[Case]:
    return [
        case
        for case in golden.cases
        if case.question.loss == "amplitude_l2_mae"
        and case.question.parameters.reduction == "mean"
        and case.question.parameters.gain == "unit_l2"
        and not case.has_ties
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_no_order_of_summation_exceeds_the_tolerance(golden: GoldenSet, order: str, dtype: str) -> None:
    cases = _l2_mean_cases(golden)
    assert len(cases) >= 15
    for case in cases:
        _, of_value, of_gradient = tolerances(case, dtype)
        for reciprocal in (False, True):
            value, gradient = _l2_by_hand(case.question, ORDERS[order], dtype, reciprocal)
            assert margins(np.float64(value), case.truth.value, of_value).max() <= 1, case.question.case_id
            assert margins(gradient.astype(float), case.truth.gradient, of_gradient).max() <= 1, case.question.case_id


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_a_stated_small_defect_is_seen_by_every_small_case(golden: GoldenSet, dtype: str) -> None:
    """4096 u in every gradient element, which is 2.4e-4 in float32 and 4.5e-13 in float64, fails each untied case."""
    defect = 4096 * ARITHMETICS[dtype].unit
    for case in golden.cases:
        if case.has_ties or case.question.prediction[0].size > 256 or not np.any(case.truth.gradient):
            continue
        _, _, of_gradient = tolerances(case, dtype)
        assert margins(case.truth.gradient * (1 + defect), case.truth.gradient, of_gradient).max() > 1, (
            case.question.case_id
        )


def _flat(numbers: list[float]) -> np.ndarray:
    return np.array(numbers).reshape(1, 1, 1, -1)


def test_terms_that_a_sum_absorbs_are_allowed_for() -> None:
    """1 and 4095 terms just below half an ulp of 1: summed from the largest down, float32 returns 1."""
    small = [2.0**-25] * 4095
    question = Question(
        "absorbed", "amplitude_mae", Parameters(reduction="sum"), _flat([1.0, *small]), _flat([0.0] * 4096)
    )
    exact = 1 + 4095 * 2.0**-25
    assert ORDERS["descending"](np.float32(question.prediction.ravel())) == 1
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
    assert ORDERS["sequential"](np.float32((sign * p).ravel())) == 0
    lost = question.weight / norm * p / norm * np.sum(sign * p) / norm
    derived = bounds(question, np.ones(()), sign.astype(np.int8), "float32")
    assert np.all(lost <= derived.gradient)
    (bright,) = {float(derived.gradient[0, 0, 0, 0])}
    assert bright <= 32 * float(lost[0, 0, 0, 0])


def test_growth_does_not_vanish_at_double_precision() -> None:
    unit = 2.0**-53
    assert (1 + unit) ** 4 - 1 == 0.0
    assert ARITHMETICS["float64"].grow(4) == expm1(4 * log1p(unit)) > 0


@pytest.mark.parametrize(
    ("numbers", "bits"),
    [([1.0, 3.0, 6.0, 0.0, 2.0**-30, 5 * 2.0**20], [1.0, 1.0, 2.0, np.inf, 2.0**-30, 2.0**20])],
)
def test_the_lowest_bit_of_a_number(numbers: list[float], bits: list[float]) -> None:
    assert lowest_bit(np.array(numbers)).tolist() == bits


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_sums_declared_exact_are_exact_in_every_order(golden: GoldenSet, dtype: str) -> None:
    declared = 0
    for case in golden.cases:
        for amplitudes in (case.question.prediction, case.question.target):
            for b, error in enumerate(energy_error(amplitudes, ARITHMETICS[dtype]).ravel()):
                if error != 0 or amplitudes[b].size > 256:
                    continue
                declared += 1
                terms = amplitudes[b].ravel().astype(dtype)
                exact = sum(Fraction(float(term)) ** 2 for term in terms)
                assert all(Fraction(float(total(terms * terms))) == exact for total in ORDERS.values())
    assert declared > 50


def test_a_sum_that_needs_25_bits_is_not_declared_exact() -> None:
    wide = np.array([4096.0, 1.0]).reshape(1, 1, 1, 2)
    assert energy_error(wide, ARITHMETICS["float32"]).item() > 0
    assert energy_error(wide, ARITHMETICS["float64"]).item() == 0


def test_squares_that_underflow_are_not_declared_exact() -> None:
    tiny = np.full((1, 1, 1, 2), 2.0**-70)
    assert energy_error(tiny, ARITHMETICS["float32"]).item() > 0.5
    assert energy_error(tiny, ARITHMETICS["float64"]).item() == 0


def test_a_sign_that_rounding_decides_is_open_by_the_whole_jump() -> None:
    """phat and that differ by far less than their rounding: a correct codepath may have +1, 0 or -1 there."""
    p = np.array([1.0, 1.0, 1.0]).reshape(1, 1, 1, 3)
    t = np.array([1.0 + 2.0**-23, 1.0, 1.0 - 2.0**-23]).reshape(1, 1, 1, 3)
    question = Question("open", "amplitude_l2_mae", Parameters(), p, t)
    sign = np.array([-1, 0, 1], np.int8).reshape(p.shape)
    derived = bounds(question, np.zeros(()), sign, "float32")
    assert derived.unsettled.all()
    slope = question.weight / 3**0.5
    assert (derived.gradient > slope * np.array([2, 1, 2]).reshape(p.shape)).all()


@pytest.mark.parametrize(
    ("p", "t", "tied"),
    [
        ([2.0, 4.0], [1.0, 2.0], [True, True]),
        ([3.0, 6.0], [1.0, 2.0], [False, False]),
        ([0.0, 5.0], [0.0, 2.0], [True, False]),
        ([1.0, 2.0], [2.0, 1.0], [False, False]),
        ([2.0**-60, 2.0**-61], [2.0**-60, 2.0**-60], [True, False]),
        ([2.0**-60, 2.0**-61], [2.0**-61, 2.0**-62], [False, False]),
    ],
    ids=["double", "triple", "dead-pixel", "permuted", "both-below-eps", "double-below-eps"],
)
def test_only_ties_that_rounding_preserves_are_held_against_a_codepath(
    p: list[float], t: list[float], tied: list[bool]
) -> None:
    shape = (1, 1, 1, 2)
    prediction, target = np.array(p).reshape(shape), np.array(t).reshape(shape)
    question = Question("ties", "amplitude_l2_mae", Parameters(), prediction, target)
    derived = bounds(question, np.zeros(()), np.zeros(shape, np.int8), "float32")
    assert derived.tied.ravel().tolist() == tied
    assert not np.any(derived.tied & derived.unsettled)


def test_near_the_norm_eps_both_regimes_are_allowed() -> None:
    shape = (1, 1, 1, 2)
    prediction = np.array([3.0, 4.0000001]).reshape(shape)
    question = Question("edge", "amplitude_l2_mae", Parameters(eps=5.0), prediction, np.ones(shape))
    derived = bounds(question, np.zeros(()), np.ones(shape, np.int8), "float32")
    coupled = prediction / 5 * np.sum(prediction / 5) * question.weight / 5
    assert np.all(derived.gradient >= coupled)


def test_the_poisson_tolerance_grows_with_a_derived_scale_and_at_the_jump_of_stirling() -> None:
    shape = (1, 1, 1, 2)
    p, t = np.array([3.0, 5.0]).reshape(shape), np.array([1.0, 4.0]).reshape(shape)

    def value(scale: Scale, constant: str = "none") -> float:
        question = Question("nll", "poisson_nll", Parameters(scale=scale, constant=constant), p, t)
        return float(bounds(question, np.zeros(()), None, "float32").value)

    given, derived = Scale(1.0), Scale(1.0, "dataset", 17.0 / 2)
    assert value(derived) > value(given)
    assert value(given, "stirling") > 0.04 > value(Scale(1.5), "stirling")


@pytest.mark.parametrize(("loss", "dtype"), [("amplitude_mae", "float16"), ("huber", "float32")])
def test_unknown_names_are_refused(loss: str, dtype: str) -> None:
    ones = np.ones((1, 1, 1, 1))
    question = Question("x", loss, Parameters(), ones, ones)
    with pytest.raises(ValueError, match=r"float16|huber"):
        bounds(question, np.zeros(()), np.zeros((1, 1, 1, 1), np.int8), dtype)
    if loss == "amplitude_mae":
        with pytest.raises(ValueError, match="signs"):
            bounds(question, np.zeros(()), None, "float32")


@pytest.mark.parametrize("name", ["l2-below-eps", "l2-dark-prediction"])
def test_below_eps_the_gradient_is_held_as_tightly_as_above(golden: GoldenSet, name: str) -> None:
    """There is no norm to be wrong about there: the constant 1 / eps, a weight, a sign."""
    (case,) = [case for case in golden.cases if case.question.case_id == name]
    for dtype, arithmetic in ARITHMETICS.items():
        _, _, of_gradient = tolerances(case, dtype)
        assert np.all(of_gradient[0] <= 32 * arithmetic.unit * np.abs(case.truth.gradient[0]))
