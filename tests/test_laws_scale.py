"""Laws of the intensity scale that is derived from a data set."""

from typing import Any

import jax
import numpy as np
import pytest
import tensorflow as tf
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, question, require_bits, require_near
from laws_draws import EAGER_SHAPE, garbage, lit, lit_masks, powers

import oracle
from conformance.case import Array
from conformance.codepaths import tensorflow_losses, torch_losses
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.poisson import DERIVED_SCALE
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import energy_error

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("framework", FRAMEWORKS)]
SHAPE = EAGER_SHAPE
photons = st.tuples(st.integers(1, 4095), st.integers(-10, 20)).map(lambda drawn: drawn[0] * 2.0 ** drawn[1])


def _scale(framework: str, target: Array, nphotons: float, mask: Array, dtype: str) -> Array:
    if framework == "torch":
        t = torch.tensor(target, dtype=getattr(torch, dtype))
        return np.asarray(torch_losses.intensity_scale(t, nphotons, mask=torch.tensor(mask)).numpy(), float)
    if framework == "tensorflow":
        t, valid = (tf.transpose(tf.constant(array), (0, 2, 3, 1)) for array in (target.astype(dtype), mask))
        return np.asarray(tensorflow_losses.intensity_scale(t, nphotons, mask=valid).numpy(), float)
    with jax.enable_x64(dtype == "float64"):
        s = oracle.intensity_scale(nphotons, target_amplitude=jax.numpy.asarray(target, dtype), mask=mask)
        return np.asarray(s, float)


@LAWFUL
@given(target=lit(SHAPE), mask=lit_masks(SHAPE), nphotons=photons)
def test_the_mean_pattern_has_nphotons(framework: str, dtype: str, target: Array, mask: Array, nphotons: float) -> None:
    """So that the mean count per pixel is nphotons / (H W): the mean over all patterns, masked pixels counting 0."""
    s = _scale(framework, target, nphotons, mask, dtype)
    light = np.where(mask, target, 0)
    whole_set = question("poisson_nll", light, light, scope="batch")
    sg = float(np.max(energy_error(light, 0, Scopes(whole_set), ARITHMETICS[dtype])))
    error = (ARITHMETICS[dtype].grow(DERIVED_SCALE) + sg) / (1 - sg)
    mean_count = np.mean((s * light) ** 2)
    expected = nphotons / (SHAPE[2] * SHAPE[3])
    require_near(mean_count, expected, error * expected, "mean count")


@LAWFUL
@given(target=lit(SHAPE), mask=lit_masks(SHAPE), nphotons=photons, power=powers, others=garbage(SHAPE))
def test_the_scale_follows_powers_of_two_and_ignores_masked_elements_bit_for_bit(
    framework: str, dtype: str, target: Array, mask: Array, nphotons: float, power: int, others: Any
) -> None:
    s = _scale(framework, target, nphotons, mask, dtype)
    require_bits(_scale(framework, np.ldexp(target, power), nphotons, mask, dtype), np.ldexp(s, -power), "s(2^j t)")
    require_bits(_scale(framework, target, 4.0**power * nphotons, mask, dtype), np.ldexp(s, power), "s(4^j nphotons)")
    require_bits(_scale(framework, np.where(mask, target, others[0]), nphotons, mask, dtype), s, "s of masked garbage")
