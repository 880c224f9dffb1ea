"""The reference under a mask: the data without what it hides, whatever is there."""

from functools import partial
from math import nan

import jax.numpy as jnp
import numpy as np
import pytest
from laws import require_near, tolerances_of
from reference_losses import LOSSES, MAE, NLL, Loss, data, every_loss
from reference_near import BOTH, asked_by, require_same

import oracle

pytestmark = pytest.mark.usefixtures("strict_promotion")


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
    kept = oracle.evaluation.Evaluation(value, got.gradient[..., :4])
    require_same(asked_by(loss, *(x[..., :4] for x in (p, t))), kept, alone.value, alone.gradient)
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
    asked = asked_by(partial(NLL["nll-none"], reduction="sum"), p[1:], t[1:])
    require_near(got.value, alone.value / 3, BOTH / 3 * tolerances_of(asked, "float64").value, "value")


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i8", "f2", "f4", "f8", "bfloat16"])
@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (3, 2, 1, 1), (3, 1, 4, 1), (3, 2, 4, 6)])
def test_nonzero_is_valid_in_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    p, t = (jnp.asarray(x, jnp.float32) for x in data(8))
    kept = np.arange(np.prod(shape)).reshape(shape) % 3 != 0
    mask = (kept * 2).astype(jnp.dtype(dtype))
    got = oracle.amplitude_l2_mae(p, t, mask=mask)
    assert got == oracle.amplitude_l2_mae(p, t, mask=np.broadcast_to(kept, p.shape))
    assert got != oracle.amplitude_l2_mae(p, t)
