"""The corpus as a whole: every option is asked, the stored arrays hold NaN and inf exactly where a case says so."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest

from fixtures.case import Amplitudes, Case, NonFinite
from fixtures.cases import CASES
from fixtures.fields import quarter_turn, waves
from fixtures.masks import NOTHING_VALID, scattered
from fixtures.patterns import ODD, SMALL, noise
from fixtures.record import record_of
from fixtures.selection import Mask, select

L2, MAE, NLL = "amplitude_l2_mae", "amplitude_mae", "poisson_nll"
SOME = Case("some", L2, noise(1, SMALL), noise(2, SMALL), "why", "catches")
BY_ID = {case.id: case for case in CASES}
SCOPES, DOMAINS = ("sample", "patch", "view", "batch"), ("amplitude", "intensity", "field")
AMPLITUDE_REDUCTIONS, NLL_REDUCTIONS = ("mean", "sum", "sample", "none"), ("mean", "sum", "sample_sum", "none")
SIDES = ("prediction", "target")


@cache
def arrays_of(case_id: str) -> dict[str, np.ndarray]:
    return record_of(BY_ID[case_id])[0]


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        *((L2, {"scope": s, "wrt": w}) for s, w in product(SCOPES, SIDES)),
        *((L2, {"scope": s, "gain": "unit_rms"}) for s in SCOPES),
        *((loss, {"domain": d, "wrt": w}) for loss, d, w in product((L2, MAE), DOMAINS, SIDES)),
        *((loss, {"reduction": r}) for loss, r in product((L2, MAE), AMPLITUDE_REDUCTIONS)),
        *((NLL, {"reduction": r}) for r in NLL_REDUCTIONS),
        *((NLL, {"constant": c}) for c in ("none", "lgamma", "stirling", "saturated")),
        *((NLL, {"rate_guard": g}) for g in ("none", "clamp", "log_add")),
        *((NLL, {"normaliser": n}) for n in ("none", "batch_mean_amplitude", "frozen_mean_intensity")),
    ],
    ids=str,
)
def test_every_option_is_asked(loss: str, wanted: dict[str, str]) -> None:
    assert any(case.loss == loss and all(getattr(case, k) == v for k, v in wanted.items()) for case in CASES)


@pytest.mark.parametrize(("loss", "scope"), [*((L2, scope) for scope in SCOPES), (MAE, "sample"), (NLL, "sample")])
def test_every_loss_and_scope_is_asked_with_nan_under_a_mask(loss: str, scope: str) -> None:
    assert any(case.poison and case.loss == loss and case.scope == scope for case in CASES)


@pytest.mark.parametrize(("loss", "side", "number"), list(product((L2, MAE, NLL), SIDES, ("nan", "inf"))))
def test_every_loss_is_asked_with_a_number_that_is_not_finite(loss: str, side: str, number: str) -> None:
    assert any(
        case.loss == loss and {(n.array, n.number) for n in case.non_finite} == {(side, number)} for case in CASES
    )


@pytest.mark.parametrize(("loss", "number"), list(product((L2, MAE, NLL), ("nan", "inf"))))
def test_every_loss_is_asked_with_a_number_that_is_not_finite_on_both_sides(loss: str, number: str) -> None:
    wanted = {(side, number) for side in SIDES}
    assert any(case.loss == loss and {(n.array, n.number) for n in case.non_finite} == wanted for case in CASES)


@pytest.mark.parametrize("loss", [L2, MAE, NLL])
def test_every_loss_is_asked_with_minus_infinity_and_with_infinity_under_a_mask(loss: str) -> None:
    cases = [case for case in CASES if case.loss == loss]
    assert any({n.number for n in case.non_finite} == {"-inf"} for case in cases)
    hidden = [case for case in cases if case.poison == "inf"]
    assert hidden and all(np.all(np.isinf(arrays_of(c.id)["target"].ravel()[~np.array(c.valid)])) for c in hidden)


def test_nan_is_stored_exactly_where_a_case_says_so() -> None:
    for case in (case for case in CASES if case.mask is not None or case.non_finite):
        arrays = arrays_of(case.id)
        for side in SIDES:
            expected = ~np.array(case.valid) if case.poison else np.zeros(len(case.valid), bool)
            for bad in case.non_finite:
                expected[bad.index] |= bad.array == side and not np.isfinite(float(bad.number))
            assert np.array_equal(~np.isfinite(arrays[side]).ravel(), expected), (case.id, side)


def test_only_declared_answers_are_not_finite() -> None:
    infinite = {"nll-infinite", "nll-infinite-per-element", "nll-infinite-saturated", "nll-dark-prediction"}
    for case in CASES:
        arrays = arrays_of(case.id)
        finite = np.all(np.isfinite(arrays["value"])) and np.all(np.isfinite(arrays["gradient"]))
        assert finite == (not case.non_finite and case.id not in infinite), case.id
        if case.non_finite:
            assert np.isnan(arrays["value"]) and np.all(np.isnan(arrays["gradient"])), case.id


def test_no_golden_number_is_a_negative_zero() -> None:
    for case in CASES:
        arrays = arrays_of(case.id)
        numbers = [arrays["value"].ravel(), arrays["gradient"].real.ravel(), arrays["gradient"].imag.ravel()]
        assert not any(np.any((x == 0) & np.signbit(x)) for x in numbers), case.id


def test_an_infinite_loss_has_one_infinite_slope_for_each_hole() -> None:
    arrays = arrays_of("nll-infinite")
    assert arrays["value"] == np.inf
    assert np.array_equal(arrays["gradient"] == -np.inf, arrays["prediction"] == 0)
    assert np.count_nonzero(arrays["prediction"] == 0) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scope": "view"}, "view_ids go with scope view"),
        ({"view_ids": (1, 2)}, "view_ids go with scope view"),
        ({"rate_guard": "clamp"}, "a floor goes with a guard"),
        ({"normaliser_value": Fraction(1)}, "goes with the normaliser frozen_mean_intensity"),
        ({"poison": "nan"}, "poison needs a mask"),
        ({"reduction": "none", "non_finite": (NonFinite("target", 0, "nan"),)}, "non-finite cases return one number"),
        ({"mask": NOTHING_VALID, "non_finite": (NonFinite("target", 0, "nan"),)}, "not finite is masked"),
        ({"domain": "field"}, "imaginary parts go with the domain field"),
        ({"target": noise(2, ODD)}, "differ in shape"),
        ({"domain": "intensity", "target": Amplitudes(SMALL, [Fraction(-1)] * 128)}, "an intensity is below 0"),
    ],
    ids=lambda x: x if isinstance(x, str) else "-".join(x),
)
def test_cases_that_contradict_themselves_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"case some: .*{message}"):
        replace(SOME, **changes)


def test_masks_are_refused_unless_they_fill_their_shape_and_broadcast() -> None:
    with pytest.raises(ValueError, match="wants so many numbers 0 or 1"):
        Mask((1, 1, 2, 2), [0, 1, 2, 1])
    with pytest.raises(ValueError, match="does not broadcast"):
        Mask((1, 1, 2, 1), [0, 1]).spread(SMALL)


def test_masks_spread_as_numpy_broadcasts() -> None:
    shape = (2, 3, 4, 5)
    for own in product(*((1, n) for n in shape)):
        bits = scattered(5, own).bits
        expected = np.broadcast_to(np.array(bits, bool).reshape(own), shape)
        assert Mask(own, bits).spread(shape) == expected.ravel().tolist()


def test_weights_add_up_to_the_numbers_returned() -> None:
    """A mean of nothing has no weight; reduction sample returns one mean for each sample that has a valid pixel."""
    uneven = scattered(900, SMALL)
    assert sum(select(SMALL, "mean", mask=uneven).weights) == 1
    assert sum(select(SMALL, "sample", mask=uneven).weights) == 2
    assert sum(select(SMALL, "sum", mask=uneven).weights) == sum(uneven.bits)
    assert sum(select(SMALL, "mean", mask=NOTHING_VALID).weights) == 0


def test_waves_have_two_parts_and_a_quarter_turn_keeps_their_moduli() -> None:
    some = waves(3, SMALL)
    turned = quarter_turn(some)
    squares = [[re * re + im * im for re, im in zip(x.numbers, x.imaginary)] for x in (some, turned)]
    assert squares[0] == squares[1]
    assert all(re and im for re, im in zip(some.numbers, some.imaginary))
    assert {(re > 0, im > 0) for re, im in zip(some.numbers, some.imaginary)} == set(product((True, False), repeat=2))
