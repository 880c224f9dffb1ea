"""The TensorFlow Poisson NLL, every option of it, against plain NumPy formulas, and at counts where those cancel."""

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import plain_formulas as plain
import pytest
import tensorflow as tf
from roundings import SHORT, SIX_DIGITS, apart, narrowed, require_close
from tapes import ENDS, MODES, graded, grader

from conformance.codepaths import tensorflow_losses as losses

SHAPE = (3, 4, 5, 2)
CONSTANTS = ("none", "lgamma", "stirling", "saturated")
REDUCTIONS = ("mean", "sum", "sample_sum", "none")
GUARDS = ("none", "clamp", "log_add")


def arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rates and counts from 1e-4 to 1e4 on both sides of |v| = 1/4, dead pixels, zero counts, signed amplitudes."""
    draw = np.random.default_rng(seed)
    t = 2.0 ** draw.integers(-6, 7, SHAPE) * draw.integers(128, 256, SHAPE) / 128
    p = t * draw.choice([0.01, 0.7, 0.9, 0.999, 1, 1.001, 1.1, 1.4, 60], SHAPE)
    p[0, 0], t[0, :2] = 0, 0
    p[2, 3, 0] *= -1
    t[2, 3, 1] *= -1
    return t, p


def poisoned(array: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return np.where(valid, array, np.resize([np.nan, np.inf], array.shape))


def close(actual: Any, expected: Any, size: Any = None) -> None:
    require_close(actual, expected, apart(math.prod(SHAPE)), size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_constant_and_reduction(guard: str, mode: str) -> None:
    t, p = arrays()
    floor = None if guard == "none" else 2.0**-5
    detector = np.random.default_rng(2).random((1, 4, 5, 1)) < 0.7
    for constant, reduction, mask in zip(CONSTANTS, REDUCTIONS, (detector, None) * 2):
        valid = plain.everywhere(mask, SHAPE)
        value, of_p, _ = graded(
            lambda *pair, constant=constant, reduction=reduction, mask=mask: losses.poisson_nll(
                *pair, 1.5, mask=mask, constant=constant, reduction=reduction, rate_guard=guard, rate_floor=floor
            ), mode, poisoned(t, valid), poisoned(p, valid),
        )  # fmt: skip
        elements, slope = plain.nll(p, t, 1.5, constant, guard, floor or 0.0)
        close(value, plain.reduce(elements, valid, reduction))
        close(of_p, np.where(valid, plain.weights(valid, reduction) * slope, 0))
        assert np.all(of_p[~valid] == 0)


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("constant", CONSTANTS)
def test_every_constant_without_reduction_and_its_gradient_with_respect_to_the_target(constant: str, mode: str) -> None:
    t, p = arrays()
    t = np.where(np.abs((1.5 * t) ** 2 - 1) < 1e-2, 2 * t, t)  # the constant `stirling` jumps there
    plus, minus = t * (1 + 1e-6), t * (1 - 1e-6)
    for guard, floor in (("none", None), ("clamp", 2.0**-5), ("log_add", 2.0**-5)):
        options = {"constant": constant, "rate_guard": guard, "rate_floor": floor}
        value, _, of_t = graded(
            lambda *pair, options=options: losses.poisson_nll(*pair, 1.5, reduction="none", **options), mode, t, p
        )
        high, wanted, low = (plain.nll(p, x, 1.5, constant, guard, floor or 0.0)[0] for x in (plus, t, minus))
        k, rate, moved = (1.5 * t) ** 2, (1.5 * p) ** 2, np.where(t == 0, 1, plus - minus)
        added = 1 + rate + k * (1 + sum(np.abs(np.log(np.where(each == 0, 1, each))) for each in (k, rate)))
        close(value, wanted, added)
        close(of_t, (high - low) / moved, added / np.abs(moved))
        assert np.all(of_t[t == 0] == 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_edges_without_a_guard(dtype: str, mode: str) -> None:
    p = np.array([0, -0.0, 0, -0.0, 3, -3]).reshape(1, 1, 6, 1).astype(dtype)
    t = np.array([0, 0, 2, 2, 0, 0]).reshape(1, 1, 6, 1).astype(dtype)
    for constant in CONSTANTS:
        value, of_p, of_t = graded(
            lambda *pair, constant=constant: losses.poisson_nll(*pair, 1.0, constant=constant, reduction="none"),
            mode, t, p,
        )  # fmt: skip
        require_close(value.ravel(), [0, 0, np.inf, np.inf, 9, 9], apart(dtype=dtype, steps=SHORT))
        assert of_p.ravel().tolist() == [0, 0, -np.inf, -np.inf, 6, -6]
        assert of_t.ravel().tolist() == [0, 0, np.inf, np.inf, 0, 0]


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("guard", GUARDS)
def test_a_number_that_is_not_finite_is_never_hidden(guard: str, mode: str) -> None:
    for constant in CONSTANTS:
        run = grader(
            lambda *pair, constant=constant: losses.poisson_nll(
                *pair, 2.0, constant=constant, rate_guard=guard, rate_floor=None if guard == "none" else 1e-3
            ), mode,
        )  # fmt: skip
        for number in (np.nan, np.inf):
            for which in (0, 1):
                pair = [np.where(array == 0, 1, array) for array in arrays()]
                pair[which][0, 0, 0, 0] = number
                assert not np.isfinite(run(*pair)[0])
                pair[1 - which][0, 0, 0, 0] = 0
                assert not np.isfinite(run(*pair)[0])


@pytest.mark.parametrize("mode", ENDS)
def test_nothing_valid_is_zero_with_gradient_zero(mode: str) -> None:
    rubbish = np.full(SHAPE, np.nan, "f4")
    mask = np.zeros((1, 1, 1, 1))
    for reduction, constant in zip(REDUCTIONS, CONSTANTS):
        answers = graded(
            lambda *pair, constant=constant, reduction=reduction: losses.poisson_nll(
                *pair, losses.intensity_scale(pair[0], 1e6, mask=mask), mask=mask, constant=constant,
                reduction=reduction, normaliser="batch_mean_amplitude",
            ), mode, rubbish, rubbish,
        )  # fmt: skip
        assert all(np.all(answer == 0) for answer in answers)


@pytest.mark.parametrize("mode", ENDS)
def test_normalisers_divide_the_result_and_get_no_gradient(mode: str) -> None:
    t, p = arrays()
    mask = np.random.default_rng(2).random(SHAPE) < 0.7
    elements, slope = plain.nll(p, t, 3.0, "none")
    mean = t[mask].mean() + 1e-8
    for reduction, divisor, option in (
        ("sample_sum", mean, {"normaliser": "batch_mean_amplitude"}),
        ("none", 7.0, {"normaliser": "frozen_mean_intensity", "normaliser_value": 7.0}),
    ):

        def nll(*pair: Any, reduction: str = reduction, option: dict[str, Any] = option) -> Any:
            return losses.poisson_nll(*pair, 3.0, mask=mask, reduction=reduction, **option)

        value, of_p, of_t = graded(nll, mode, t, p)
        weight = plain.weights(mask, reduction) / divisor
        lit = np.where(p == 0, 1, 3 * p)
        close(value, plain.reduce(elements, mask, reduction) / divisor)
        close(of_p, weight * slope)
        close(of_t, weight * -18 * t * np.where(t == 0, 0, np.log(lit**2)))


@pytest.mark.parametrize("mode", ENDS)
def test_two_floors_and_two_divisors_live_in_one_process(mode: str) -> None:
    t, p = arrays()
    for floor in (0.5, 2.0):
        for guard in ("clamp", "log_add"):
            value, of_p, _ = graded(
                lambda *pair, guard=guard, floor=floor: losses.poisson_nll(
                    *pair, 1.0, rate_guard=guard, rate_floor=floor, reduction="sum",
                    normaliser="frozen_mean_intensity", normaliser_value=floor,
                ), mode, t, p,
            )  # fmt: skip
            elements, slope = plain.nll(p, t, 1.0, "none", guard, floor)
            close(value, elements.sum() / floor)
            close(of_p, slope / floor)


def exact(p: float, t: float, s: float) -> tuple[float, float, float]:
    """Deviance and its two derivatives at the very numbers that are held, in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        a, b, c = Decimal(p), Decimal(t), Decimal(s)
        rate, k = (c * a) ** 2, (c * b) ** 2
        deviance, of_p = rate - k - k * (rate / k).ln(), 2 * c * c * (a - b) * (a + b) / a
        return float(deviance), float(of_p), float(4 * c * c * b * (b / a).ln())


def furthest(actual: tuple[np.ndarray, ...], truth: np.ndarray) -> float:
    return max(np.max(np.abs(one.ravel() / true - 1)) for one, true in zip(actual, truth.T))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("photons", [1e4, 1e9])
def test_float32_keeps_seven_digits_at_a_billion_photons_per_pixel(photons: float, mode: str) -> None:
    draw = np.random.default_rng(4)
    s = np.float32(np.sqrt(photons))
    t = draw.uniform(0.5, 1.5, 400).astype("f4")
    p = (t * (1 + draw.normal(0, 0.5, t.shape) / (s * t))).astype("f4")
    p, t = (array[p != t][:300].reshape(1, 15, 20, 1) for array in (p, t))
    truth = np.array([exact(*(float(x) for x in pair), float(s)) for pair in zip(p.ravel(), t.ravel())])
    answers = graded(lambda *pair: losses.poisson_nll(*pair, constant="saturated", reduction="none"), mode, t, p, s)
    assert furthest(answers, truth) < SIX_DIGITS
    if photons == 1e9:  # what autodiff of the formula makes of it
        naive = graded(
            lambda t, p, s: tf.square(s * p) - tf.square(s * t) * tf.math.log(tf.square(s * p)), mode, t, p, s
        )
        assert np.max(np.abs(naive[1].ravel() / truth[:, 1] - 1)) > 1e-2


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_deviance_is_accurate_on_both_sides_of_the_series(dtype: str, mode: str) -> None:
    ratio = np.array([1e-6, 0.5, 0.61, 0.7745, 0.7747, 0.8, 0.999999, 1 + 2.0**-20, 1.2, 1.29, 1.2911, 1.5, 2, 1e6])
    t = np.full((1, 1, ratio.size, 1), 1.5, dtype)
    p = (1.5 * ratio).astype(dtype).reshape(t.shape)
    truth = np.array([exact(float(x), 1.5, 4096.0) for x in p.ravel()])
    run = grader(lambda *pair: losses.poisson_nll(*pair, 4096.0, constant="saturated", reduction="none"), mode)
    assert furthest(run(t, p), truth) < apart(dtype=dtype, steps=3 * SHORT)
    assert not np.any(run(t, t))


@pytest.mark.parametrize("mode", ENDS)
def test_counts_that_underflow_in_float32_count_as_none_and_still_forbid_a_rate_of_zero(mode: str) -> None:
    t = np.full((1, 1, 2, 1), 1e-25, "f4")
    p = np.array([1e15, 0], "f4").reshape(t.shape)
    value, of_p, _ = graded(lambda *pair: losses.poisson_nll(*pair, 1.0, reduction="none"), mode, t, p)
    for answer, wanted in ((value, [1e30, np.inf]), (of_p, [2e15, -np.inf])):
        require_close(answer.ravel(), wanted, apart(dtype="float32", steps=SHORT))


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_computed_in_float32_with_the_scale_in_float32(dtype: str, mode: str) -> None:
    t, p = (tf.cast(np.clip(array, -8, 8), dtype) for array in arrays())
    wide = [tf.cast(array, tf.float32) for array in (t, p)]

    def nll(*pair: Any) -> Any:
        return losses.poisson_nll(*pair, 10.1, constant="lgamma", rate_guard="log_add", rate_floor=1e-2)

    value, of_p, _ = graded(nll, mode, t, p)
    expected, slope, _ = graded(nll, mode, *wide)
    assert value.dtype == np.float32 and of_p.dtype == tf.as_dtype(dtype).as_numpy_dtype
    require_close(value, expected, apart(dtype="float32", steps=SHORT))
    once = slope.astype(of_p.dtype).astype("f8")
    require_close(of_p.astype("f8"), once, narrowed(dtype), once)
