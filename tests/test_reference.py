"""The reference: every option and edge against formulas written out in NumPy, its transformations, and its refusals."""

from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import partial
from math import lgamma, log, nan, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import oracle

Loss = Callable[..., Any]
IDS = np.array([7, -3, 7], np.int32)
L2: dict[str, Loss] = {
    f"l2-{scope}": partial(oracle.amplitude_l2_mae, scope=scope) for scope in ("sample", "patch", "batch")
}
L2["l2-view"] = partial(oracle.amplitude_l2_mae, scope="view", view_ids=IDS)
MAE: dict[str, Loss] = {
    **L2,
    "l2-unit-rms": partial(L2["l2-view"], gain="unit_rms"),
    "l2-intensity": partial(oracle.amplitude_l2_mae, domain="intensity"),
    "mae": partial(oracle.amplitude_mae, intensity_scale=3.0),
}
NLL: dict[str, Loss] = {
    **{f"nll-{c}": partial(oracle.poisson_nll, intensity_scale=2.0, constant=c) for c in ("none", "lgamma")},
    **{f"nll-{c}": partial(oracle.poisson_nll, intensity_scale=2.0, constant=c) for c in ("stirling", "saturated")},
    "nll-clamp": partial(oracle.poisson_nll, intensity_scale=2.0, rate_guard="clamp", rate_floor=1.5),
    "nll-log-add": partial(
        oracle.poisson_nll, intensity_scale=2.0, rate_guard="log_add", rate_floor=1.5, constant="lgamma"
    ),
    "nll-batch": partial(oracle.poisson_nll, intensity_scale=2.0, normaliser="batch_mean_amplitude"),
    "nll-frozen": partial(
        oracle.poisson_nll, intensity_scale=2.0, normaliser="frozen_mean_intensity", normaliser_value=0.375
    ),
}
LOSSES = {**MAE, **NLL}
COMPILED = ("l2-patch", "l2-unit-rms", "l2-intensity", "mae", "nll-lgamma", "nll-clamp", "nll-log-add", "nll-batch")
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_code = pytest.mark.parametrize("loss", [LOSSES[name] for name in COMPILED], ids=COMPILED)  # where compiling costs


@pytest.fixture(autouse=True)
def _strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def data(seed: int, shape: tuple[int, ...] = (3, 2, 4, 6)) -> tuple[Any, Any]:
    """Amplitudes in eighths from 1/8 to 5, samples of very different energy, with ties."""
    draw = np.random.default_rng(seed).integers(1, 41, (2, *shape)) / 8
    draw[:, 1] *= 0.25
    draw[0, 0, 0, 0] = draw[1, 0, 0, 0]
    return draw[0], draw[1]


def complex_data(seed: int) -> tuple[Any, Any]:
    p, t = data(seed)
    q, r = data(seed + 1)
    return p + 1j * (q - 2), t - 1j * (r - 2)


def groups(scope: str, shape: tuple[int, ...]) -> Any:
    """An integer per element: which scope it is in."""
    b, c, _, _ = np.indices(shape)
    return {"sample": b, "patch": b * shape[1] + c, "view": IDS[b], "batch": 0 * b}[scope]


# --- loss 1: scopes, gain, eps, domains ---------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["prediction", "target"])
@pytest.mark.parametrize("gain", ["unit_l2", "unit_rms"])
@pytest.mark.parametrize("name", L2)
def test_each_scope_is_the_formula_group_by_group(name: str, gain: str, side: str) -> None:
    p, t = data(1)
    own = groups(name.removeprefix("l2-"), p.shape)
    elements, slope = np.zeros_like(p), np.zeros_like(p)
    for group in np.unique(own):
        here = own == group
        norms = sqrt(np.sum(p[here] ** 2)), sqrt(np.sum(t[here] ** 2))
        weight = (sqrt(here.sum()) if gain == "unit_rms" else 1.0) / p.size
        difference = p[here] / norms[0] - t[here] / norms[1]
        elements[here] = np.abs(difference) * weight
        x, sign, norm = (p, 1, norms[0]) if side == "prediction" else (t, -1, norms[1])
        s = sign * np.sign(difference)
        slope[here] = weight / norm * (s - x[here] / norm * np.sum(s * x[here] / norm))
    got = oracle.evaluate(partial(L2[name], gain=gain), p, t, wrt=side)
    np.testing.assert_allclose(got.value, elements.sum(), rtol=1e-14)
    np.testing.assert_allclose(got.gradient, slope, rtol=1e-11, atol=1e-17)


@pytest.mark.parametrize("ids", [[0, 1, 0], [5, 5, 5], [-(2**40), 2**40, 0]], ids=["two", "one", "64-bit"])
def test_a_view_is_its_samples_alone(ids: list[int]) -> None:
    p, t = (jnp.asarray(x, jnp.float32) for x in data(2))
    loss = partial(oracle.amplitude_l2_mae, reduction="none")
    alone = jax.jit(partial(loss, scope="batch"))
    together = np.asarray(loss(p, t, scope="view", view_ids=np.array(ids)))
    for view in set(ids):
        own = np.array(ids) == view
        np.testing.assert_allclose(together[own], alone(p[own], t[own]), rtol=1e-5, atol=1e-8)


def test_a_nan_in_one_view_stays_there() -> None:
    p, t = data(2)
    p[1, 0, 0, 0] = nan
    got = oracle.evaluate(partial(L2["l2-view"], reduction="sample"), p, t)
    assert np.isnan(got.value).tolist() == [False, True, False]
    assert np.all(np.isfinite(got.gradient[[0, 2]]))


@pytest.mark.parametrize("mode", oracle.evaluation.MODES)
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_sign_of_zero_is_zero(mode: str, factor: float) -> None:
    t = data(3)[1]
    assert np.all(oracle.evaluate(oracle.amplitude_l2_mae, factor * t, t, mode=mode).gradient == 0)


@pytest.mark.parametrize("loss", MAE.values(), ids=MAE)
@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_dark_samples_keep_value_and_gradient_finite(loss: Loss, mode: str) -> None:
    p, t = data(3)
    p[0] = t[1] = p[2] = t[2] = 0
    got = oracle.evaluate(loss, p, t, mode=mode, dtype="float32")
    assert np.isfinite(got.value) and np.all(np.isfinite(got.gradient))


def test_a_norm_of_exactly_eps_is_a_constant() -> None:
    p, t = np.full((1, 1, 2, 2), 0.5), np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    got = oracle.evaluate(partial(oracle.amplitude_l2_mae, eps=1.0, reduction="sum"), p, t)
    assert got.value == 2.0 and got.gradient.ravel().tolist() == [-1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", L2)
def test_an_overflowing_norm_is_never_a_silent_zero(name: str, side: int) -> None:
    pair = list(data(3))
    pair[side] = pair[side] * 1e20
    for mode in ("eager", "jit"):
        got = oracle.evaluate(L2[name], *pair, dtype="float32", mode=mode)
        assert np.isnan(got.value) and np.all(np.isnan(got.gradient[0, 0]))
    scale = oracle.intensity_scale(1e3, target_amplitude=jnp.full((1, 1, 2, 2), 1e20, jnp.float32))
    assert np.isnan(scale)


@pytest.mark.parametrize("loss", [oracle.amplitude_l2_mae, oracle.amplitude_mae], ids=["l2", "mae"])
@pytest.mark.parametrize("domain", ["intensity", "field"])
def test_domains_take_the_modulus_and_nothing_at_zero(loss: Loss, domain: str) -> None:
    z, w = complex_data(4) if domain == "field" else data(4)
    z[0, 0, 0, 1] = w[0, 0, 0, 1] = z[1, 1, 2, 3] = w[2, 1, 0, 0] = 0
    p, t = (np.abs(z), np.abs(w)) if domain == "field" else (np.sqrt(z), np.sqrt(w))
    lit = np.where(p == 0, 1, p)
    chain = np.where(p == 0, 0, z / lit if domain == "field" else 0.5 / lit)
    expected = oracle.evaluate(loss, p, t)
    for mode in ("eager", "jit"):
        got = oracle.evaluate(partial(loss, domain=domain), z, w, mode=mode)
        np.testing.assert_allclose(got.value, expected.value, rtol=1e-14)
        np.testing.assert_allclose(got.gradient, expected.gradient * chain, rtol=1e-10, atol=1e-16)
        assert np.all(got.gradient[p == 0] == 0)


def test_a_complex_gradient_is_the_conjugate_of_what_jax_gives() -> None:
    z, w = complex_data(5)
    loss = partial(oracle.amplitude_l2_mae, domain="field")
    got = oracle.evaluate(loss, z, w, dtype="float32").gradient
    assert got.dtype == np.complex64
    raw = jax.jit(jax.grad(loss))(jnp.asarray(z, jnp.complex64), jnp.asarray(w, jnp.complex64))
    np.testing.assert_allclose(got, np.conj(raw), rtol=1e-4, atol=1e-8)
    for part, direction in ((got.real, 1.0), (got.imag, 1j)):
        step = 2.0**-20 * direction
        shifts = (z[0, 0, 1, 1] + step, z[0, 0, 1, 1] - step)
        ends = []
        for shifted in shifts:
            z[0, 0, 1, 1] = shifted
            ends.append(oracle.evaluate(loss, z, w).value)
        z[0, 0, 1, 1] = shifts[1] + step
        assert part[0, 0, 1, 1] == pytest.approx((ends[0] - ends[1]) / 2.0**-19, rel=1e-4)


# --- masks ---------------------------------------------------------------------------------------------------------


REDUCED = [(name, reduction) for name in MAE for reduction in oracle.reduction.MAE_REDUCTIONS]
REDUCED += [(name, reduction) for name in NLL for reduction in oracle.reduction.NLL_REDUCTIONS]


@pytest.mark.parametrize(("name", "reduction"), REDUCED)
def test_a_mask_is_the_data_without_its_dead_columns(name: str, reduction: str) -> None:
    loss = partial(LOSSES[name], reduction=reduction)
    p, t = data(6)
    mask = np.ones((1, 1, 1, 6), bool)
    mask[..., 4:] = False
    alone = oracle.evaluate(loss, p[..., :4], t[..., :4])
    p[..., 4], t[..., 5], p[..., 5], t[..., 4] = nan, nan, np.inf, -np.inf
    got = oracle.evaluate(loss, p, t, mask=mask)
    value = got.value[..., :4] if reduction == "none" else got.value
    np.testing.assert_allclose(value, alone.value, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(got.gradient[..., :4], alone.gradient, rtol=1e-10, atol=1e-15)
    assert np.all(got.gradient[..., 4:] == 0)
    assert reduction != "none" or np.all(got.value[..., 4:] == 0)


@every_loss
@pytest.mark.parametrize("wrt", oracle.evaluation.WRT)
def test_where_nothing_is_valid_there_is_nothing(loss: Loss, wrt: str) -> None:
    dead = np.full((3, 2, 4, 6), nan)
    got = oracle.evaluate(loss, dead, dead, mask=np.zeros((1, 1, 1, 1), bool), wrt=wrt)
    assert got.value == 0 and np.all(got.gradient == 0)


@every_loss
def test_a_dead_sample_among_others(loss: Loss) -> None:
    p, t = data(7)
    p[0] = nan
    mask = np.array([False, True, True]).reshape(3, 1, 1, 1)
    got = oracle.evaluate(loss, p, t, mask=mask)
    assert np.isfinite(got.value) and np.all(got.gradient[0] == 0) and np.any(got.gradient[1:] != 0)
    each = partial(loss, reduction="sample" if loss in MAE.values() else "none")
    assert np.all(oracle.evaluate(each, p, t, mask=mask).value[0] == 0)


def test_sample_sum_counts_every_sample() -> None:
    p, t = data(7)
    mask = np.array([False, True, True]).reshape(3, 1, 1, 1)
    got = oracle.evaluate(partial(NLL["nll-none"], reduction="sample_sum"), p, t, mask=mask)
    alone = oracle.evaluate(partial(NLL["nll-none"], reduction="sum"), p[1:], t[1:], mode="jit")
    np.testing.assert_allclose(got.value, alone.value / 3, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i8", "f2", "f4", "f8", "bfloat16"])
@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (3, 2, 1, 1), (3, 1, 4, 1), (3, 2, 4, 6)])
def test_nonzero_is_valid_in_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    p, t = (jnp.asarray(x, jnp.float32) for x in data(8))
    kept = np.arange(np.prod(shape)).reshape(shape) % 3 != 0
    mask = (kept * 2).astype(jnp.dtype(dtype))
    got = oracle.amplitude_l2_mae(p, t, mask=mask)
    assert got == oracle.amplitude_l2_mae(p, t, mask=np.broadcast_to(kept, p.shape))
    assert got != oracle.amplitude_l2_mae(p, t)


# --- loss 2 --------------------------------------------------------------------------------------------------------


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
    np.testing.assert_allclose(got.value.ravel(), expected[:, 0], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got.gradient.ravel(), expected[:, 1], rtol=1e-11, atol=1e-11)
    step = 2.0**-20
    wrt_t = oracle.evaluate(loss, p, t, s, wrt="target").gradient
    rise = [oracle.evaluate(loss, p, t + h, s).value for h in (step, -step)]
    lit = (t > 0) & (np.abs((s * t) ** 2 - 1) > 1e-3)
    np.testing.assert_allclose(wrt_t[lit], ((rise[0] - rise[1]) / (2 * step))[lit], rtol=1e-6, atol=1e-6)
    assert np.all(wrt_t[t == 0] == 0)


@pytest.mark.parametrize("constant", ["none", "lgamma", "stirling", "saturated"])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_edges_without_a_guard(constant: str, zero: float) -> None:
    """lambda = k = 0; k = 0; lambda = 0 < k; p = t."""
    p, t = (np.array(x).reshape(1, 1, 1, 4) for x in ([zero, 2.0, zero, 3.0], [0.0, 0.0, 3.0, 3.0]))
    loss = partial(oracle.poisson_nll, constant=constant, reduction="none")
    for mode in ("eager", "jit"):
        got = oracle.evaluate(loss, p, t, 1.0, mode=mode, dtype="float32")
        assert got.value.ravel()[:3] == pytest.approx([0.0, 4.0, np.inf], abs=1e-5)
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
        assert got.value.ravel()[:3] == pytest.approx([4.0, 4 - 9 * log(4.0), 4 - 9 * log(4.0)])
        assert got.gradient.ravel().tolist() == [0.0, 0.0, 0.0, 2 * (2.25 - 9 / 2.25)]
    else:
        assert got.value.ravel()[:2] == pytest.approx([0.0, -9 * log(4.0)])
        assert got.gradient.ravel()[:2].tolist() == [0.0, 0.0]


def test_normalisers_divide_the_result_and_carry_no_gradient() -> None:
    p, t = data(10)
    for reduction in ("mean", "sum", "sample_sum", "none"):
        bare, batch, frozen = (
            oracle.evaluate(partial(NLL[f"nll-{name}"], reduction=reduction), p, t)
            for name in ("none", "batch", "frozen")
        )
        for got, number in ((batch, t.mean() + 1e-8), (frozen, 0.375)):
            np.testing.assert_allclose(got.value, bare.value / number, rtol=1e-14)
            np.testing.assert_allclose(got.gradient, bare.gradient / number, rtol=1e-14)
    slopes = [oracle.evaluate(NLL[f"nll-{name}"], p, t, wrt="target").gradient for name in ("none", "batch")]
    np.testing.assert_allclose(slopes[1], slopes[0] / (t.mean() + 1e-8), rtol=1e-12, atol=1e-15)


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
    np.testing.assert_allclose(got.value.ravel(), truth[:, 0], rtol=1e-6)
    np.testing.assert_allclose(got.gradient.ravel(), truth[:, 1], rtol=1e-6)
    total = oracle.evaluate(partial(loss, reduction="mean"), p, t, float(s), dtype="float32", mode=mode)
    assert float(total.value) == pytest.approx(truth[:, 0].mean(), rel=1e-6)


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
    np.testing.assert_allclose(got.value.ravel(), truth[:, 0], rtol=3e-15)
    np.testing.assert_allclose(got.gradient.ravel(), sign * truth[:, 1], rtol=2e-15)


def test_lgamma_at_high_counts_does_not_cancel() -> None:
    """k = 2^30: log Gamma(k + 1) + k - k log k = log(2 pi k) / 2 + 1 / (12 k) - ..., next to a deviance of 0."""
    t = np.full((1, 1, 1, 1), 2.0**15)
    got = oracle.evaluate(partial(oracle.poisson_nll, constant="lgamma"), t, t, 1.0, dtype="float32", mode="jit")
    assert float(got.value) == pytest.approx(0.5 * log(2 * pi * 2.0**30), rel=1e-6)


# --- every loss ----------------------------------------------------------------------------------------------------


@every_code
def test_the_modes_agree(loss: Loss) -> None:
    p, t = data(12)
    mask = np.arange(24).reshape(1, 1, 4, 6) % 5 != 0
    eager, *others = (oracle.evaluate(loss, p, t, mask=mask, mode=mode) for mode in oracle.evaluation.MODES)
    for other in others:
        np.testing.assert_allclose(other.value, eager.value, rtol=1e-12)
        np.testing.assert_allclose(other.gradient, eager.gradient, rtol=1e-9, atol=1e-15)


@every_loss
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_are_computed_in_float32(loss: Loss, dtype: str) -> None:
    p, t = data(13)
    half = oracle.evaluate(loss, p, t, dtype=dtype)
    full = oracle.evaluate(loss, p, t, dtype="float32")
    assert half.value.dtype == np.float32 and half.gradient.dtype == jnp.dtype(dtype)
    assert half.value == full.value
    np.testing.assert_array_equal(half.gradient, full.gradient.astype(jnp.dtype(dtype)))


def test_a_loss_scale_saves_a_half_gradient_and_leaves_the_value() -> None:
    p, t = (x * 256 for x in data(14, (3, 4, 32, 32)))
    loss = partial(oracle.amplitude_l2_mae, eps=2.0**-20)
    compiled = oracle.Differentiated(loss, "jit")
    flushed, kept = (compiled(p, t, dtype="float16", loss_scale=scale) for scale in (1.0, 2.0**20))
    truth = compiled(p, t).gradient
    assert kept.value == flushed.value
    assert np.mean(flushed.gradient == 0) > 0.5
    np.testing.assert_allclose(kept.gradient.astype("f8") / 2**20, truth, rtol=2e-3, atol=1e-5 * np.abs(truth).max())
    np.testing.assert_array_equal(compiled(p, t, loss_scale=2.0**-3).gradient, truth / 8)


@every_code
def test_a_nan_or_inf_in_a_valid_pixel_never_gives_a_finite_loss(loss: Loss) -> None:
    mask = np.ones((1, 1, 4, 6), bool)
    mask[..., 1, 1] = False
    compiled = oracle.Differentiated(loss, "jit")
    for side in (0, 1):
        for bad in (nan, np.inf):
            pair = data(14)
            pair[side][1, 0, 0, 0] = bad
            assert not np.isfinite(compiled(*pair, mask=mask).value)


@every_code
def test_vmap_over_questions_gives_each_its_own_answer(loss: Loss) -> None:
    pairs = [data(seed) for seed in range(3)]
    p, t = (jnp.asarray(np.stack(side), jnp.float32) for side in zip(*pairs))
    mask = jnp.asarray(np.arange(72).reshape(3, 1, 1, 4, 6) % 7 != 0)
    differentiated = jax.jit(jax.grad(lambda p, t, m: loss(p, t, mask=m)))
    together = jax.jit(jax.vmap(differentiated))(p, t, mask)
    apart = jnp.stack([differentiated(p[i], t[i], mask[i]) for i in range(3)])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-7)


def test_vmap_and_jit_over_traced_view_ids() -> None:
    p, t = (jnp.asarray(x, jnp.float32) for x in data(15))
    ids = jnp.array([[0, 1, 0], [4, 4, 4], [1, 2, 3]])
    view = jax.jit(jax.vmap(lambda i: oracle.amplitude_l2_mae(p, t, scope="view", view_ids=i)))(ids)
    np.testing.assert_allclose(view[1], oracle.amplitude_l2_mae(p, t, scope="batch"), rtol=1e-6)
    np.testing.assert_allclose(view[2], oracle.amplitude_l2_mae(p, t), rtol=1e-6)
    assert view[0] not in (view[1], view[2])


@every_code
def test_the_gradient_of_the_gradient(loss: Loss) -> None:
    """A Hessian-vector product by reverse over reverse and forward over reverse, against a central difference."""
    p, t = data(16)
    p += 1 / 64  # off the ties, where the gradient jumps
    v = data(17)[0] - 2
    step = 2.0**-22
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda p: loss(p, jnp.asarray(t))))
        hessian = jax.jit(jax.grad(lambda p: jnp.sum(slope(p) * v)))(jnp.asarray(p))
        forward = jax.jit(partial(jax.jvp, slope))((jnp.asarray(p),), (jnp.asarray(v),))[1]
        rise = (slope(jnp.asarray(p + step * v)) - slope(jnp.asarray(p - step * v))) / (2 * step)
        np.testing.assert_allclose(hessian, forward, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(hessian, rise, rtol=1e-5, atol=1e-7)


def test_second_derivatives_of_the_poisson_loss_at_its_edges() -> None:
    """2 s^2 (1 + t^2 / p^2): 2 s^2 where t = 0, at p = 0 too; 4 s^2 where p = t; and 0 at masked elements."""
    p = jnp.array([0.0, 2.0, 3.0, 1.0, nan]).reshape(1, 1, 1, 5)
    t = jnp.array([0.0, 0.0, 3.0, 2.0, 1.0]).reshape(1, 1, 1, 5)
    mask = jnp.array([1, 1, 1, 1, 0]).reshape(1, 1, 1, 5)
    for constant in ("none", "lgamma", "saturated"):
        loss = partial(oracle.poisson_nll, intensity_scale=1.0, constant=constant, reduction="sum", mask=mask)
        second = jax.jit(jax.grad(lambda p, loss=loss: jnp.sum(jax.grad(loss)(p, t))))(p)
        np.testing.assert_allclose(second.ravel(), [2.0, 2.0, 4.0, 10.0, 0.0], rtol=1e-6)


def test_the_scale_is_a_constant_of_the_data_set() -> None:
    p, t = jnp.ones((1, 1, 2, 2)), jnp.full((1, 1, 2, 2), 2.0)
    assert float(jax.jit(jax.grad(lambda s: oracle.poisson_nll(p, t, s)))(3.0)) == 0.0
    assert float(jax.jit(jax.grad(lambda s: oracle.amplitude_mae(p, t, intensity_scale=s)))(3.0)) == 0.0
    assert np.all(jax.jit(jax.grad(lambda t: oracle.intensity_scale(9.0, target_amplitude=t)))(t) == 0)


def test_the_sources_of_the_intensity_scale() -> None:
    """Data with mean sum t^2 = (N / 2)^2, where the closed form is right: N = 4, sixteen times t = 1/2."""
    t = jnp.full((1, 1, 4, 4), 0.5)
    closed = oracle.intensity_scale(1024.0, source="closed_form", pixels=4)
    assert float(oracle.intensity_scale(1024.0, target_amplitude=t)) == float(closed) == 16.0
    holed = jnp.concatenate([t, jnp.full((1, 1, 4, 4), nan)], axis=3)
    mask = jnp.arange(8).reshape(1, 1, 1, 8) < 4
    assert float(oracle.intensity_scale(1024.0, target_amplitude=holed, mask=mask)) == 16.0
    half = oracle.intensity_scale(1024.0, target_amplitude=t.astype(jnp.float16) * 512)
    assert half.dtype == jnp.float32 and float(half) == 16.0 / 512


# --- refusals and the border ---------------------------------------------------------------------------------------

ONE = np.ones((1, 1, 2, 2), "f4")
COMPLEX = ONE.astype("c8")


@pytest.mark.parametrize(
    "loss", [oracle.amplitude_l2_mae, oracle.amplitude_mae, NLL["nll-none"]], ids=["l2", "mae", "nll"]
)
@pytest.mark.parametrize(
    ("p", "t", "mask", "error", "said"),
    [
        (ONE[0], ONE[0], None, ValueError, r"got shape \(1, 2, 2\), wanted four non-empty axes"),
        (ONE[:0], ONE[:0], None, ValueError, "four non-empty axes"),
        (ONE, np.ones((2, 1, 2, 2), "f4"), None, ValueError, "shapes differ"),
        (ONE.astype("i4"), ONE.astype("i4"), None, TypeError, "prediction: got int32, wanted an array of float64 or"),
        (ONE.astype("?"), ONE.astype("?"), None, TypeError, "prediction: got bool"),
        (COMPLEX, COMPLEX, None, TypeError, "prediction: got complex64"),
        (ONE, ONE.astype("f8"), None, TypeError, "dtypes differ"),
        (ONE, ONE.astype("f2"), None, TypeError, "dtypes differ"),
        ([1.0], ONE, None, TypeError, "prediction: got list"),
        (ONE, ONE, [[1]], TypeError, "mask: got list"),
        (ONE, ONE, COMPLEX, TypeError, "mask: got complex64, wanted an array of bool"),
        (ONE, ONE, ONE[0], ValueError, r"mask: got shape \(1, 2, 2\), wanted rank 4"),
        (ONE, ONE, np.ones((1, 1, 3, 2)), ValueError, r"that of the target \(1, 1, 2, 2\) or 1"),
        (ONE, ONE, np.ones((2, 1, 2, 2)), ValueError, "mask: got shape"),
    ],
    ids=[
        *("rank", "empty", "broadcast", "integer", "bool", "complex", "mixed", "half", "list"),
        *("mask-list", "mask-complex", "mask-rank", "mask-h", "mask-b"),
    ],
)
def test_wrong_input_is_refused(loss: Loss, p: Any, t: Any, mask: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        loss(p, t, mask=mask)


nll = partial(oracle.poisson_nll, intensity_scale=1.0)
view = partial(oracle.amplitude_l2_mae, scope="view")
clamp, frozen = partial(nll, rate_guard="clamp"), partial(nll, normaliser="frozen_mean_intensity")
REFUSED: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: oracle.amplitude_l2_mae(x, x, scope="frame"), ValueError, "scope: got 'frame', wanted one of sample, p"),
    (lambda x: oracle.amplitude_l2_mae(x, x, gain="rms"), ValueError, "gain: got 'rms'"),
    (lambda x: oracle.amplitude_l2_mae(x, x, domain="power"), ValueError, "domain: got 'power'"),
    (lambda x: oracle.amplitude_l2_mae(x, x, domain="field"), TypeError, "got float32, wanted an array of complex128"),
    (lambda x: oracle.amplitude_mae(COMPLEX, COMPLEX, domain="intensity"), TypeError, "got complex64"),
    (lambda x: oracle.amplitude_l2_mae(x, x, eps=0.0), ValueError, "eps: got 0.0"),
    (lambda x: oracle.amplitude_l2_mae(x, x, eps=nan), ValueError, "eps: got nan"),
    (lambda x: oracle.amplitude_l2_mae(x, x, eps=1e-50), ValueError, "also in float32"),
    (lambda x: jax.jit(lambda e: oracle.amplitude_l2_mae(x, x, eps=e))(1.0), TypeError, "known before tracing"),
    (lambda x: oracle.amplitude_l2_mae(x, x, reduction="sample_sum"), ValueError, "reduction: got 'sample_sum'"),
    (lambda x: view(x, x), ValueError, r"view_ids: got None, wanted an integer array \(1,\) for scope='view'"),
    (lambda x: oracle.amplitude_l2_mae(x, x, view_ids=IDS), ValueError, "view_ids: got a value, wanted None for scope"),
    (lambda x: view(x, x, view_ids=IDS), ValueError, r"view_ids: got shape \(3,\), wanted \(1,\)"),
    (lambda x: view(x, x, view_ids=np.ones(1)), TypeError, "view_ids: got float64, wanted an array of integers"),
    (lambda x: view(x, x, view_ids=np.ones(1, bool)), TypeError, "view_ids: got bool"),
    (lambda x: view(x, x, view_ids=[1]), TypeError, "view_ids: got list"),
    (lambda x: oracle.amplitude_mae(x, x, reduction="average"), ValueError, "reduction: got 'average'"),
    (lambda x: oracle.amplitude_mae(x, x, intensity_scale=0.0), ValueError, "intensity_scale: got 0.0"),
    (lambda x: nll(x, x, constant="full"), ValueError, "constant: got 'full'"),
    (lambda x: nll(x, x, rate_guard="add"), ValueError, "rate_guard: got 'add', wanted one of none, clamp, log_add"),
    (lambda x: nll(x, x, normaliser="mean"), ValueError, "normaliser: got 'mean'"),
    (lambda x: nll(x, x, reduction="sample"), ValueError, "reduction: got 'sample'"),
    (lambda x: clamp(x, x), ValueError, "rate_floor: got None, wanted a finite number above 0 for rate_guard='clamp'"),
    (lambda x: clamp(x, x, rate_floor=-1.0), ValueError, "rate_floor: got -1.0"),
    (lambda x: clamp(x, x, rate_floor="low"), ValueError, "could not convert"),
    (lambda x: nll(x, x, rate_floor=1.0), ValueError, "rate_floor: got a value, wanted None for rate_guard='none'"),
    (lambda x: frozen(x, x), ValueError, "normaliser_value: got None"),
    (lambda x: frozen(x, x, normaliser_value=np.inf), ValueError, "normaliser_value: got inf"),
    (lambda x: nll(x, x, normaliser_value=1.0), ValueError, "normaliser_value: got a value"),
    (lambda x: oracle.poisson_nll(x, x, x), ValueError, "intensity_scale: got shape"),
    (lambda x: oracle.poisson_nll(x, x, jnp.array(1j)), TypeError, "intensity_scale: got complex64"),
    (lambda x: oracle.intensity_scale(0.0, target_amplitude=x), ValueError, "nphotons: got 0.0"),
    (lambda x: oracle.intensity_scale(1.0), ValueError, "target_amplitude: got None"),
    (lambda x: oracle.intensity_scale(1.0, target_amplitude=x[0]), ValueError, "target_amplitude: got shape"),
    (lambda x: oracle.intensity_scale(1.0, target_amplitude=x, mask=x[0]), ValueError, "mask: got shape"),
    (lambda x: oracle.intensity_scale(1.0, source="closed_form"), ValueError, "pixels: got None"),
    (lambda x: oracle.evaluate(nll, x, x, mode="fast"), ValueError, "mode: got 'fast', wanted one of eager, jit, grad"),
    (lambda x: oracle.evaluate(nll, x, x, wrt="scale"), ValueError, "wrt: got 'scale'"),
    (lambda x: oracle.evaluate(nll, x, x, dtype="int8"), ValueError, "dtype: got 'int8'"),
    (lambda x: oracle.evaluate(nll, x, x, loss_scale=3.0), ValueError, "loss_scale: got 3.0, wanted a power of two"),
    (lambda x: oracle.evaluate(nll, COMPLEX, x, dtype="float16"), ValueError, "got complex numbers for float16"),
]


@pytest.mark.parametrize(("call", "error", "said"), REFUSED, ids=[said[:40] for _, _, said in REFUSED])
def test_wrong_options_are_refused(call: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(jnp.ones((1, 1, 2, 2)))


def test_evaluate_leaves_its_inputs_and_the_process_as_they_were() -> None:
    p, t = np.full((1, 1, 2, 2), 2.0), np.ones((1, 1, 2, 2))
    before = jax.config.jax_enable_x64
    got = oracle.evaluate(oracle.amplitude_mae, p, t)
    assert got.value.dtype == got.gradient.dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert np.all(p == 2.0) and np.all(t == 1.0)


def test_keywords_and_scale_are_handed_over_only_where_they_are_given() -> None:
    seen: list[tuple[int, dict[str, str]]] = []

    def loss(*arrays: jax.Array, **named: jax.Array) -> jax.Array:
        seen.append((len(arrays), {name: str(array.dtype) for name, array in named.items()}))
        return jnp.sum(arrays[0])

    oracle.evaluate(loss, ONE, ONE)
    oracle.evaluate(loss, ONE, ONE, 2.0, mask=ONE > 0, view_ids=IDS[:1])
    assert seen == [(2, {}), (3, {"mask": "bool", "view_ids": "int32"})]


def test_a_half_loss_is_summed_in_float32() -> None:
    """4096 times 1 + 1/128 in float16 would be off by whole units, and overflow under a scale."""
    p = np.full((1, 1, 64, 64), 1 + 1 / 128)
    got = oracle.evaluate(lambda p, t: p * t, p, p, dtype="float16", loss_scale=2.0**8)
    assert got.value.dtype == np.float16 and np.all(got.gradient == p * 256)


def test_the_mode_vmap_sees_questions_that_leak_into_each_other() -> None:
    @jax.custom_batching.custom_vmap
    def top(t: jax.Array) -> jax.Array:
        return t[0, 0, 0, 0]

    @top.def_vmap
    def _(size: int, batched: list[bool], t: jax.Array) -> tuple[jax.Array, bool]:
        return jnp.broadcast_to(jnp.mean(t[:, 0, 0, 0, 0]), (size,)), True

    p, t = data(18)

    def loss(p: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.sum(p) * top(t)

    alone, together = (oracle.evaluate(loss, p, t, mode=mode) for mode in ("eager", "vmap"))
    assert not np.allclose(alone.value, together.value)
