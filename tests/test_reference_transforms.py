"""The reference's losses in every mode and dtype, under vmap, differentiated twice, and the scale they are given."""

from functools import partial
from math import nan

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import require_near, tolerances_of
from reference_losses import Loss, data, every_code, every_loss
from reference_near import BOTH, asked_by, require_same
from roundings import SHORT, apart, narrowed, require_close

import oracle

pytestmark = pytest.mark.usefixtures("strict_promotion")
THREE_SUMS = 3 * data(0)[0].size
"""Terms of a norm, of the gradient's projection and of a reduction."""


@every_code
def test_the_modes_agree(loss: Loss) -> None:
    p, t = data(12)
    mask = np.arange(24).reshape(1, 1, 4, 6) % 5 != 0
    eager, *others = (oracle.evaluate(loss, p, t, mask=mask, mode=mode) for mode in oracle.evaluation.MODES)
    for other in others:
        require_same(asked_by(loss, p, t, mask), other, eager.value, eager.gradient)


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
    single = BOTH * tolerances_of(asked_by(loss, p, t), "float32").gradient
    require_near(kept.gradient.astype("f8") / 2**20, truth, single + narrowed("float16") * np.abs(truth), "gradient")
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
    alone = jnp.stack([differentiated(p[i], t[i], mask[i]) for i in range(3)])
    require_close(together, alone, apart(THREE_SUMS, "float32"))


def test_vmap_and_jit_over_traced_view_ids() -> None:
    p, t = (jnp.asarray(x, jnp.float32) for x in data(15))
    ids = jnp.array([[0, 1, 0], [4, 4, 4], [1, 2, 3]])
    view = jax.jit(jax.vmap(lambda i: oracle.amplitude_l2_mae(p, t, scope="view", view_ids=i)))(ids)
    require_close(view[1], oracle.amplitude_l2_mae(p, t, scope="batch"), apart(THREE_SUMS, "float32"))
    require_close(view[2], oracle.amplitude_l2_mae(p, t), apart(THREE_SUMS, "float32"))
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
        require_close(hessian, forward, apart(THREE_SUMS))
        require_close(hessian, rise, apart(THREE_SUMS) / step, np.max(np.abs(slope(jnp.asarray(p)))))


def test_second_derivatives_of_the_poisson_loss_at_its_edges() -> None:
    """2 s^2 (1 + t^2 / p^2): 2 s^2 where t = 0, at p = 0 too; 4 s^2 where p = t; and 0 at masked elements."""
    p = jnp.array([0.0, 2.0, 3.0, 1.0, nan]).reshape(1, 1, 1, 5)
    t = jnp.array([0.0, 0.0, 3.0, 2.0, 1.0]).reshape(1, 1, 1, 5)
    mask = jnp.array([1, 1, 1, 1, 0]).reshape(1, 1, 1, 5)
    for constant in ("none", "lgamma", "saturated"):
        loss = partial(oracle.poisson_nll, intensity_scale=1.0, constant=constant, reduction="sum", mask=mask)
        second = jax.jit(jax.grad(lambda p, loss=loss: jnp.sum(jax.grad(loss)(p, t))))(p)
        require_close(second.ravel(), [2.0, 2.0, 4.0, 10.0, 0.0], apart(dtype="float32", steps=SHORT))


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
