"""The reference in its transformations: edges, vmap, refusal of wrong input, and the NumPy border."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import oracle
from conformance.case import Case

LOSSES = {
    "l2": oracle.amplitude_l2_mae,
    "mae": oracle.amplitude_mae,
    "nll": partial(oracle.poisson_nll, intensity_scale=2.0),
}


def _pair(case: Case) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(case.question.prediction, jnp.float32), jnp.asarray(case.question.target, jnp.float32)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", ["l2-equal", "l2-double"])
def test_the_sign_of_zero_is_zero_under_grad_and_jit(case_of: dict[str, Case], name: str, transform: object) -> None:
    p, t = _pair(case_of[name])
    gradient = transform(jax.grad(oracle.amplitude_l2_mae))(p, t)  # type: ignore[operator]
    assert np.all(np.asarray(gradient) == 0)


@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_a_dark_sample_keeps_the_loss_and_the_gradient_finite(mode: str) -> None:
    p, t = np.ones((2, 1, 4, 4)), np.ones((2, 1, 4, 4))
    p[0] = t[1] = 0
    for loss in (oracle.amplitude_l2_mae, oracle.amplitude_mae):
        got = oracle.evaluate(loss, p, t, mode=mode)
        assert np.isfinite(got.value) and np.all(np.isfinite(got.gradient))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_vmap_over_samples_gives_the_per_sample_gradients(case_of: dict[str, Case], loss: object) -> None:
    p, t = _pair(case_of["l2-dead-pixels"])

    def one(p: jax.Array, t: jax.Array) -> jax.Array:
        return loss(p[None], t[None])  # type: ignore[operator]

    together = jax.vmap(jax.grad(one))(p, t)
    apart = jnp.stack([jax.grad(one)(p[b], t[b]) for b in range(p.shape[0])])
    np.testing.assert_array_equal(np.asarray(together), np.asarray(apart))
    assert np.all(np.asarray(together)[np.asarray((p == 0) & (t == 0))] == 0)


def test_the_edges_of_the_poisson_loss() -> None:
    p = np.array([0.0, 2.0, 0.0]).reshape(1, 1, 1, 3)
    t = np.array([0.0, 0.0, 3.0]).reshape(1, 1, 1, 3)
    got = oracle.evaluate(partial(oracle.poisson_nll, reduction="none"), p, t, 1.0)
    assert got.value.ravel().tolist() == [0.0, 4.0, np.inf]
    assert got.gradient.ravel().tolist() == [0.0, 4.0, -np.inf]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_nan_in_a_pixel_never_gives_a_finite_loss(loss: object) -> None:
    for side in (0, 1):
        pair = [np.ones((1, 1, 2, 2)), np.full((1, 1, 2, 2), 2.0)]
        pair[side][0, 0, 0, 0] = np.nan
        assert np.isnan(oracle.evaluate(loss, *pair).value)  # type: ignore[arg-type]


def test_the_scale_is_a_constant_of_the_data_set() -> None:
    p, t = jnp.ones((1, 1, 2, 2)), jnp.full((1, 1, 2, 2), 2.0)
    assert float(jax.grad(lambda s: oracle.poisson_nll(p, t, s))(3.0)) == 0.0
    assert float(jax.grad(lambda s: oracle.amplitude_mae(p, t, intensity_scale=s))(3.0)) == 0.0


def test_both_sources_of_the_intensity_scale_agree_on_normalised_data() -> None:
    """Data with mean sum t^2 = (N / 2)^2, where the closed form is right: N = 4, sixteen times t = 1/2."""
    t = jnp.full((1, 1, 4, 4), 0.5)
    dataset = oracle.intensity_scale(1024.0, target_amplitude=t)
    closed = oracle.intensity_scale(1024.0, source="closed_form", pixels=4)
    assert float(dataset) == float(closed) == 16.0


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    ("p", "t", "error", "said"),
    [
        (np.ones((2, 2, 2), "f4"), np.ones((2, 2, 2), "f4"), ValueError, "four non-empty axes"),
        (np.ones((0, 1, 2, 2), "f4"), np.ones((0, 1, 2, 2), "f4"), ValueError, "four non-empty axes"),
        (np.ones((1, 1, 2, 2), "f4"), np.ones((2, 1, 2, 2), "f4"), ValueError, "shapes differ"),
        (np.ones((1, 1, 2, 2), "i4"), np.ones((1, 1, 2, 2), "i4"), TypeError, "wanted an array of float32 or float64"),
        (np.ones((1, 1, 2, 2), "f2"), np.ones((1, 1, 2, 2), "f2"), TypeError, "got float16"),
        (np.ones((1, 1, 2, 2), "f4"), np.ones((1, 1, 2, 2), "f8"), TypeError, "dtypes differ"),
        ([1.0], np.ones((1, 1, 2, 2), "f4"), TypeError, "predicted_amplitude: got list"),
    ],
    ids=["rank", "empty", "broadcast", "integer", "half", "mixed", "list"],
)
def test_wrong_input_is_refused(loss: object, p: object, t: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        loss(p, t)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: oracle.amplitude_l2_mae(x, x, scope="patch"), "scope: got 'patch', wanted one of sample"),
        (lambda x: oracle.amplitude_l2_mae(x, x, gain="rms"), "gain: got 'rms'"),
        (lambda x: oracle.amplitude_l2_mae(x, x, eps=0.0), "eps: got 0.0"),
        (lambda x: oracle.amplitude_mae(x, x, reduction="average"), "reduction: got 'average'"),
        (lambda x: oracle.poisson_nll(x, x, 1.0, constant="full"), "constant: got 'full'"),
        (lambda x: oracle.poisson_nll(x, x, x), "intensity_scale: got shape"),
        (lambda x: oracle.intensity_scale(0.0, target_amplitude=x), "nphotons: got 0.0"),
        (lambda x: oracle.intensity_scale(1.0), "target_amplitude: got None"),
        (lambda x: oracle.intensity_scale(1.0, source="closed_form"), "pixels: got None"),
    ],
)
def test_unknown_options_are_refused_with_the_choices(call: object, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        call(jnp.ones((1, 1, 2, 2)))  # type: ignore[operator]


def test_evaluate_leaves_its_inputs_and_the_process_as_they_were() -> None:
    p, t = np.full((1, 1, 2, 2), 2.0), np.ones((1, 1, 2, 2))
    before = jax.config.jax_enable_x64
    got = oracle.evaluate(oracle.amplitude_mae, p, t)
    assert got.value.dtype == got.gradient.dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert np.all(p == 2.0) and np.all(t == 1.0)
    with pytest.raises(ValueError, match="mode: got 'fast'"):
        oracle.evaluate(oracle.amplitude_mae, p, t, mode="fast")
