"""The Poisson loss of `build_losses` gives the same bits, whatever the flag of the amplitude loss says."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import DTYPES, LAWFUL, require_bits
from laws_draws import EAGER_SHAPE, rates

from conformance.case import Array
from conformance.codepaths import LossConfig, keras_losses, torch_losses
from conformance.codepaths.config import MAE_GAINS, MAE_NORMALIZATIONS

SHAPE = EAGER_SHAPE
NLL_OPTIONS: list[dict[str, Any]] = [
    {"nll_reduction": "sample_sum", "nll_constant": "lgamma"},
    {"nll_rate_guard": "clamp", "nll_rate_floor": 0.25},
    {"nll_normaliser": "batch_mean_amplitude"},
]
FEW = settings(LAWFUL, max_examples=5)


def _torch(config: LossConfig, prediction: Array, target: Array, dtype: str) -> tuple[Array, Array]:
    """Value and gradient of the NLL, the amplitude loss of the same configuration called before it."""
    p, t = (torch.tensor(array, dtype=getattr(torch, dtype)) for array in (prediction, target))
    losses = torch_losses.build_losses(config)
    ids = {"view_ids": torch.tensor([1, 0, 1, 2])} if config.mae_normalization == "l2_view" else {}
    p.requires_grad_()
    assert losses.mae(p, t, **ids).isfinite()
    value = losses.nll(p, t)
    (gradient,) = torch.autograd.grad(value, p)
    return value.detach().numpy(), gradient.numpy()


def _keras(config: LossConfig, prediction: Array, target: Array, dtype: str) -> tuple[Array, Array]:
    y_pred, y_true = (tf.constant(array.transpose(0, 2, 3, 1), dtype) for array in (prediction, target))
    losses = keras_losses.build_losses(config)
    assert np.isfinite(losses.mae(y_true, y_pred).numpy())
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = losses.nll(y_true, y_pred)
    return value.numpy(), tape.gradient(value, y_pred).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("run", [_torch, _keras], ids=["torch", "keras"])
@FEW
@given(pair=rates(SHAPE), scale=st.integers(1, 4095), options=st.sampled_from(NLL_OPTIONS))
def test_the_nll_has_the_same_bits_with_the_flag_of_the_amplitude_loss_on_or_off(
    run: Any, dtype: str, pair: Any, scale: int, options: dict[str, Any]
) -> None:
    s = scale / 64
    value, gradient = run(LossConfig(intensity_scale=s, **options), *pair, dtype)
    for flag in MAE_NORMALIZATIONS[1:]:
        if flag == "l2_view" and run is _keras:  # refused: Keras hands a loss no ids
            continue
        gain = MAE_GAINS[scale % len(MAE_GAINS)]
        config = LossConfig(mae_normalization=flag, mae_gain=gain, intensity_scale=s, **options)
        flagged_value, flagged_gradient = run(config, *pair, dtype)
        require_bits(flagged_value, value, f"{flag}: value")
        require_bits(flagged_gradient, gradient, f"{flag}: gradient")
    assert value.dtype == gradient.dtype == dtype
