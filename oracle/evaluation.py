"""The one border between NumPy and JAX: value and gradient of a loss, in a chosen dtype, mode and device."""

from collections.abc import Callable
from dataclasses import dataclass
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


class Differentiated:
    """A loss with its gradient in one mode, NumPy in and NumPy out; compiled once per shape and dtype where `jit`.

    Parameters
    ----------
    loss : callable on JAX arrays
        `loss(p, t)` or `loss(p, t, s)`: of this package, bound to its options with `functools.partial`, or any other.
    mode : {"eager", "jit"}

    Raises
    ------
    ValueError
        Unknown mode.
    """

    def __init__(self, loss: Callable[..., jax.Array], mode: str = "eager") -> None:
        if mode not in MODES:
            raise ValueError(f"mode: got {mode!r}, wanted one of {', '.join(MODES)}")

        def total(predicted: jax.Array, *others: jax.Array) -> tuple[jax.Array, jax.Array]:
            value = loss(predicted, *others)
            return jnp.sum(value), value

        transformed = jax.value_and_grad(total, has_aux=True)
        self._run: Callable[..., Any] = jax.jit(transformed) if mode == "jit" else transformed

    def __call__(
        self,
        predicted_amplitude: Array,
        target_amplitude: Array,
        intensity_scale: float | None = None,
        *,
        dtype: str = "float64",
        device: str = "cpu",
    ) -> Evaluation:
        """Evaluate at p and t, NumPy arrays (B, C, H, W) that are cast to `dtype` and left unmodified.

        `intensity_scale` is handed over as a scalar of `dtype`, or left out of the call when None. 64-bit types are
        switched on for this call only, and only for float64. Raises RuntimeError where JAX has no such device, and
        whatever the loss refuses.
        """
        with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices(device)[0]):
            operands = [jnp.asarray(np.array(array, dtype)) for array in (predicted_amplitude, target_amplitude)]
            if intensity_scale is not None:
                operands.append(jnp.asarray(intensity_scale, dtype))
            (_, value), gradient = self._run(*operands)
            return Evaluation(np.asarray(value), np.asarray(gradient))


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
    """Evaluate `loss(p, t)` or `loss(p, t, s)` and its gradient with respect to p, once: see `Differentiated`."""
    return Differentiated(loss, mode)(
        predicted_amplitude, target_amplitude, intensity_scale, dtype=dtype, device=device
    )
