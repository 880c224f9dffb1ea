"""The reference of loss 2 against its formulas: constants, guards, normalisers, edges, and its digits."""

from decimal import Decimal, localcontext
from functools import partial
from math import lgamma, log, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_losses import NLL, data
from reference_near import asked_by, require_same
from roundings import SHORT, SIX_DIGITS, apart, require_close

import oracle

pytestmark = pytest.mark.usefixtures("strict_promotion")


def plain(p: float, t: float, s: float, constant: str, guard: str, floor: float) -> tuple[float, float]:
    """Value and slope of one element, as the contract writes them."""
    rate, k = (s * p) ** 2, (s * t) ** 2
    inner = max(rate, floor) if guard == "clamp" else rate
    logged = inner + floor if guard == "log_add" else inner
    saturated = k * log(k) - k if k else 0.0
    added = {
        "none": 0.0,
        "lgamma": lgamma(k + 1),
        "stirling": saturated + 0.5 * log(2 * pi * k) if k > 1 else 0.0,
        "saturated": saturated,
    }[constant]
    slope = 2 * s * s * p * (1 - k / logged) if guard != "clamp" or rate > floor else 0.0
    return inner - (k * log(logged) if k else 0.0) + added, slope


@pytest.mark.parametrize("guard", ["none", "clamp", "log_add"])
@pytest.mark.parametrize("constant", ["none", "lgamma", "stirling", "saturated"])
def test_constants_and_guards_are_their_formulas(constant: str, guard: str) -> None:
    p, t = data(9, (3, 2, 4, 6))
    t[0, 1, :, 1], p[2] = 0, p[2] * 16
    s, floor = 1.75, 0.5
    options = {} if guard == "none" else {"rate_guard": guard, "rate_floor": floor}
    loss = partial(oracle.poisson_nll, constant=constant, reduction="none", **options)
    expected = np.array([plain(a, b, s, constant, guard, floor) for a, b in zip(p.ravel(), t.ravel())])
    got = oracle.evaluate(loss, p, t, s)
    value, slope = (expected[:, side].reshape(p.shape) for side in (0, 1))
    require_same(asked_by(partial(loss, intensity_scale=s), p, t), got, value, slope)
    step = 2.0**-20
    wrt_t = oracle.evaluate(loss, p, t, s, wrt="target").gradient
    rise = [oracle.evaluate(loss, p, t + h, s).value for h in (step, -step)]
    lit = (t > 0) & (np.abs((s * t) ** 2 - 1) > 1e-3)
    k, rate = (s * t) ** 2, (s * p) ** 2
    added = 1 + rate + k * (1 + np.abs(np.log(np.where(rate == 0, 1, rate))))
    require_close(wrt_t[lit], ((rise[0] - rise[1]) / (2 * step))[lit], apart() / step, added[lit])
    assert np.all(wrt_t[t == 0] == 0)


@pytest.mark.parametrize("constant", ["none", "lgamma", "stirling", "saturated"])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_edges_without_a_guard(constant: str, zero: float) -> None:
    """lambda = k = 0; k = 0; lambda = 0 < k; p = t."""
    p, t = (np.array(x).reshape(1, 1, 1, 4) for x in ([zero, 2.0, zero, 3.0], [0.0, 0.0, 3.0, 3.0]))
    loss = partial(oracle.poisson_nll, constant=constant, reduction="none")
    for mode in ("eager", "jit"):
        got = oracle.evaluate(loss, p, t, 1.0, mode=mode, dtype="float32")
        require_close(got.value.ravel()[:3], [0.0, 4.0, np.inf], apart(dtype="float32", steps=SHORT))
        assert got.gradient.ravel().tolist() == [0.0, 4.0, -np.inf, 0.0]
        assert constant != "saturated" or got.value.ravel()[3] == 0


@pytest.mark.parametrize("guard", ["clamp", "log_add"])
def test_edges_with_a_guard(guard: str) -> None:
    """lambda = k = 0, lambda = 0 < k, lambda just below and just above the floor 4."""
    p, t = (np.array(x).reshape(1, 1, 1, 4) for x in ([0.0, 0.0, 1.75, 2.25], [0.0, 3.0, 3.0, 3.0]))
    got = oracle.evaluate(NLL[f"nll-{guard.replace('_', '-')}"].func, p, t, 1.0)  # type: ignore[attr-defined]
    assert got.value == np.inf
    loss = partial(oracle.poisson_nll, rate_guard=guard, rate_floor=4.0, reduction="none")
    got = oracle.evaluate(loss, p, t, 1.0)
    if guard == "clamp":
        require_close(got.value.ravel()[:3], [4.0, 4 - 9 * log(4.0), 4 - 9 * log(4.0)], apart(steps=SHORT))
        assert got.gradient.ravel().tolist() == [0.0, 0.0, 0.0, 2 * (2.25 - 9 / 2.25)]
    else:
        require_close(got.value.ravel()[:2], [0.0, -9 * log(4.0)], apart(steps=SHORT))
        assert got.gradient.ravel()[:2].tolist() == [0.0, 0.0]


def test_normalisers_divide_the_result_and_carry_no_gradient() -> None:
    p, t = data(10)
    for reduction in ("mean", "sum", "sample_sum", "none"):
        bare, batch, frozen = (
            oracle.evaluate(partial(NLL[f"nll-{name}"], reduction=reduction), p, t)
            for name in ("none", "batch", "frozen")
        )
        for got, number in ((batch, t.mean() + 1e-8), (frozen, 0.375)):
            asked = asked_by(partial(NLL["nll-none"], reduction=reduction), p, t)
            require_same(asked, got, bare.value / number, bare.gradient / number, times=1 / number)
    slopes = [oracle.evaluate(NLL[f"nll-{name}"], p, t, wrt="target").gradient for name in ("none", "batch")]
    require_close(slopes[1], slopes[0] / (t.mean() + 1e-8), apart(t.size))


def counted(photons: float) -> tuple[Any, Any, Any]:
    """Float32 amplitudes around 1 and a scale, so that k is near `photons` and lambda about one sigma beside it."""
    rng = np.random.default_rng(11)
    scale = np.float32(sqrt(photons))
    t = rng.uniform(0.75, 1.25, (1, 1, 16, 16)).astype(np.float32)
    p = np.abs(t + rng.standard_normal(t.shape) / (2 * scale)).astype(np.float32)
    return p, t, scale


def exact_deviance(p: float, t: float, s: float) -> tuple[float, float]:
    with localcontext() as context:
        context.prec = 60
        a, b, scale = Decimal(p), Decimal(t), Decimal(s)
        rate, k = (scale * a) ** 2, (scale * b) ** 2
        return float(rate - k - k * (rate.ln() - k.ln())), float(2 * scale**2 * (a * a - b * b) / a)


@pytest.mark.parametrize("mode", ["eager", "jit"])
@pytest.mark.parametrize("photons", [1.0, 1e4, 1e9])
def test_float32_keeps_seven_digits_at_any_count(photons: float, mode: str) -> None:
    p, t, s = counted(photons)
    truth = np.array([exact_deviance(*map(float, (a, b, s))) for a, b in zip(p.ravel(), t.ravel())])
    loss = partial(oracle.poisson_nll, constant="saturated", reduction="none")
    got = oracle.evaluate(loss, p, t, float(s), dtype="float32", mode=mode)
    for answer, exact in zip((got.value, got.gradient), truth.T):
        require_close(answer.ravel(), exact, SIX_DIGITS, exact)
    total = oracle.evaluate(partial(loss, reduction="mean"), p, t, float(s), dtype="float32", mode=mode)
    require_close(total.value, truth[:, 0].mean(), SIX_DIGITS)


def test_the_naive_formula_does_not() -> None:
    p, t, s = counted(1e9)
    truth = np.array([exact_deviance(*map(float, (a, b, s))) for a, b in zip(p.ravel(), t.ravel())])

    def naive(p: jax.Array, t: jax.Array, s: jax.Array) -> jax.Array:
        rate, counts = jnp.square(s * p), jnp.square(s * t)
        return rate - counts * jnp.log(rate)

    got = oracle.evaluate(naive, p, t, float(s), dtype="float32").gradient.ravel()
    assert np.max(np.abs(got / truth[:, 1] - 1)) > 1e-2


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_deviance_on_both_sides_of_the_series(sign: float) -> None:
    ratio = np.array([1e-6, 0.1, 0.77, 0.7746, 0.78, 0.999, 1.0, 1.001, 1.29, 1.291, 1.3, 10.0, 1e6])
    p, t = ratio.reshape(1, 1, 1, -1) * 1.25, np.full((1, 1, 1, ratio.size), 1.25)
    truth = np.array([exact_deviance(float(x), 1.25, 3.0) for x in p.ravel()])
    loss = partial(oracle.poisson_nll, constant="saturated", reduction="none")
    got = oracle.evaluate(loss, sign * p, t, 3.0, mode="jit")
    for answer, exact in zip((got.value, sign * got.gradient), truth.T):
        require_close(answer.ravel(), exact, apart(steps=SHORT), exact)


def test_lgamma_at_high_counts_does_not_cancel() -> None:
    """k = 2^30: log Gamma(k + 1) + k - k log k = log(2 pi k) / 2 + 1 / (12 k) - ..., next to a deviance of 0."""
    t = np.full((1, 1, 1, 1), 2.0**15)
    got = oracle.evaluate(partial(oracle.poisson_nll, constant="lgamma"), t, t, 1.0, dtype="float32", mode="jit")
    require_close(got.value, 0.5 * log(2 * pi * 2.0**30), apart(dtype="float32", steps=SHORT))
