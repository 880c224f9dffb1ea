"""What the reference refuses, and what `evaluate` hands over and leaves alone."""

from collections.abc import Callable
from functools import partial
from math import nan
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_losses import IDS, NLL, Loss, data

import oracle

pytestmark = pytest.mark.usefixtures("strict_promotion")


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
    (lambda x: clamp(x, x, rate_floor="low"), TypeError, "rate_floor: got 'low', wanted a number"),
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
