"""The reference of loss 1 against NumPy: scopes, gain, eps, domains, edges."""

from functools import partial
from math import nan, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import question, require_near, tolerances_of
from reference_losses import L2, MAE, Loss, complex_data, data, groups
from reference_near import BOTH, asked_by, require_same
from roundings import apart, require_close

import oracle

pytestmark = pytest.mark.usefixtures("strict_promotion")


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
    require_same(asked_by(partial(L2[name], gain=gain), p, t, wrt=side), got, elements.sum(), slope)


@pytest.mark.parametrize("ids", [[0, 1, 0], [5, 5, 5], [-(2**40), 2**40, 0]], ids=["two", "one", "64-bit"])
def test_a_view_is_its_samples_alone(ids: list[int]) -> None:
    p, t = (x.astype(np.float32) for x in data(2))
    loss = partial(oracle.amplitude_l2_mae, reduction="none")
    alone = jax.jit(partial(loss, scope="batch"))
    together = np.asarray(loss(jnp.asarray(p), jnp.asarray(t), scope="view", view_ids=np.array(ids)))
    for view in set(ids):
        own = np.array(ids) == view
        asked = question("amplitude_l2_mae", p[own], t[own], scope="batch", reduction="none")
        require_near(together[own], alone(p[own], t[own]), BOTH * tolerances_of(asked, "float32").value, "value")


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
        require_same(asked_by(partial(loss, domain=domain), z, w), got, expected.value, expected.gradient * chain)
        assert np.all(got.gradient[p == 0] == 0)


def test_a_complex_gradient_is_the_conjugate_of_what_jax_gives() -> None:
    z, w = complex_data(5)
    loss = partial(oracle.amplitude_l2_mae, domain="field")
    got = oracle.evaluate(loss, z, w, dtype="float32").gradient
    assert got.dtype == np.complex64
    raw = jax.jit(jax.grad(loss))(jnp.asarray(z, jnp.complex64), jnp.asarray(w, jnp.complex64))
    three_sums = apart(3 * z.size, "float32")
    require_close(got, np.conj(raw), three_sums)
    for part, direction in ((got.real, 1.0), (got.imag, 1j)):
        step = 2.0**-20 * direction
        shifts = (z[0, 0, 1, 1] + step, z[0, 0, 1, 1] - step)
        ends = []
        for shifted in shifts:
            z[0, 0, 1, 1] = shifted
            ends.append(oracle.evaluate(loss, z, w).value)
        z[0, 0, 1, 1] = shifts[1] + step
        require_close(part[0, 0, 1, 1], (ends[0] - ends[1]) / 2.0**-19, three_sums, np.abs(got).max())
