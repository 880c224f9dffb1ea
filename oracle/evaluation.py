"""The one border between NumPy and JAX: value and gradient of a loss, in a chosen dtype, mode and device."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MODES = ("eager", "jit")


@dataclass(frozen=True)
class Evaluation:
    """A loss and its gradient with respect to the prediction.

    `value` has the shape that the loss returned; `gradient` has the prediction's shape and is the gradient of the sum
    of `value`. Both keep the dtype that JAX gave them.
    """

    value: Array
    gradient: Array


@lru_cache(maxsize=256)
def _value_and_gradient(loss: Callable[..., jax.Array], mode: str) -> Callable[..., Any]:
    def total(predicted: jax.Array, *others: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = loss(predicted, *others)
        return jnp.sum(value), value

    transformed = jax.value_and_grad(total, has_aux=True)
    return jax.jit(transformed) if mode == "jit" else transformed


def evaluate(
    loss: Callable[..., jax.Array],
    predicted_amplitude: Array,
    target_amplitude: Array,
    intensity_scale: float | None = None,
    *,
    dtype: str = "float64",
    mode: str = "eager",
    device: str = "cpu",
) -> Evaluation:
    """Evaluate `loss(p, t)` or `loss(p, t, s)` and its gradient with respect to p, NumPy in and NumPy out.

    Parameters
    ----------
    loss : callable on JAX arrays
        A loss of this package, bound to its options with `functools.partial`, or any other.
    predicted_amplitude, target_amplitude : NumPy array (B, C, H, W)
        p and t; cast to `dtype` at the border, left unmodified.
    intensity_scale : float, optional
        s, handed over as a scalar of `dtype`; left out of the call when None.
    dtype : {"float64", "float32"}
        64-bit types are switched on for this call only.
    mode : {"eager", "jit"}
    device : {"cpu", "cuda"}

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        Unknown mode.
    RuntimeError
        JAX has no such device.
    TypeError, ValueError
        Whatever the loss refuses.
    """
    if mode not in MODES:
        raise ValueError(f"mode: got {mode!r}, wanted one of {', '.join(MODES)}")
    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices(device)[0]):
        operands = [jnp.asarray(np.array(array, dtype)) for array in (predicted_amplitude, target_amplitude)]
        if intensity_scale is not None:
            operands.append(jnp.asarray(intensity_scale, dtype))
        (_, value), gradient = _value_and_gradient(loss, mode)(*operands)
        return Evaluation(np.asarray(value), np.asarray(gradient))
