"""The one border between NumPy and JAX: value and gradient of a loss, in a chosen dtype, mode and device."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from oracle.arguments import require_choice

Array = NDArray[Any]
MODES = ("eager", "jit", "grad_of_jit", "vmap")
WRT = ("prediction", "target")
DTYPES = ("float64", "float32", "bfloat16", "float16")
COMPLEX_OF = {"float64": "complex128", "float32": "complex64"}
H_AXIS = 2


@dataclass(frozen=True)
class Evaluation:
    """A loss and its gradient with respect to the prediction, or to the target.

    `value` has the shape that the loss returned; `gradient` has the prediction's shape and is the gradient of
    `loss_scale` times the sum of `value`, for complex inputs d/dRe + i d/dIm. Both keep the dtype that JAX gave them.
    """

    value: Array
    gradient: Array


def _first_of_two(transformed: Callable[..., Any]) -> Callable[..., Any]:
    """Return the answer to a question that was asked in one batch with another one: itself, reversed along H.

    A loss whose samples leak into each other under `vmap` answers differently when it is not alone.
    """

    def run(prediction: jax.Array, target: jax.Array, scale: Any, named: dict[str, jax.Array], loss_scale: Any) -> Any:
        def paired(array: jax.Array) -> jax.Array:
            return jnp.stack([array, jnp.flip(array, H_AXIS)])

        named = {name: paired(array) if name == "mask" else array for name, array in named.items()}
        axes = (0, 0, None, {name: 0 if name == "mask" else None for name in named}, None)
        both = jax.vmap(transformed, in_axes=axes)(paired(prediction), paired(target), scale, named, loss_scale)
        return jax.tree.map(lambda leaf: leaf[0], both)

    return run


class Differentiated:
    """A loss with its gradient in one mode, NumPy in and NumPy out; compiled once per shape and dtype where `jit`.

    Parameters
    ----------
    loss : callable on JAX arrays
        `loss(p, t)` or `loss(p, t, s)`, with keywords `mask` and `view_ids` where they are given: of this package,
        bound to its options with `functools.partial`, or any other.
    mode : {"eager", "jit", "grad_of_jit", "vmap"}
        Value and gradient as they stand; compiled together; the loss compiled and differentiated from outside; or in
        one batch of two, with the question reversed along H, of which the first is returned.
    wrt : {"prediction", "target"}
        What the gradient is taken with respect to.

    Raises
    ------
    ValueError
        Unknown mode or wrt.
    """

    def __init__(self, loss: Callable[..., jax.Array], mode: str = "eager", wrt: str = "prediction") -> None:
        require_choice("mode", mode, MODES)
        require_choice("wrt", wrt, WRT)
        self._loss = loss
        called = jax.jit(loss) if mode == "grad_of_jit" else loss

        def total(
            prediction: jax.Array,
            target: jax.Array,
            scale: tuple[jax.Array, ...],
            named: dict[str, jax.Array],
            loss_scale: jax.Array,
        ) -> tuple[jax.Array, jax.Array]:
            value = jnp.asarray(called(prediction, target, *scale, **named))
            half = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize < 4
            summed = jnp.sum(value.astype(jnp.float32) if half else value)
            return summed * loss_scale.astype(summed.dtype), value

        transformed = jax.value_and_grad(total, argnums=WRT.index(wrt), has_aux=True)
        self._run: Callable[..., Any] = transformed
        if mode == "jit":
            self._run = jax.jit(transformed)
        elif mode == "vmap":
            self._run = _first_of_two(transformed)

    def __call__(
        self,
        prediction: Array,
        target: Array,
        intensity_scale: float | None = None,
        *,
        mask: Array | None = None,
        view_ids: Array | None = None,
        dtype: str = "float64",
        device: str = "cpu",
        loss_scale: float = 1.0,
    ) -> Evaluation:
        """Evaluate at two NumPy arrays (B, C, H, W), which are left unmodified.

        Parameters
        ----------
        prediction, target : array
            Cast to `dtype`; complex ones to complex64 for float32 and to complex128 for float64.
        intensity_scale : float, optional
            Handed over as a scalar of `dtype`, float32 for half types; left out of the call when None.
        mask : array of bool, optional
        view_ids : array of int32 (B,), optional
            Handed over as keywords, and only where they are given.
        dtype : {"float64", "float32", "bfloat16", "float16"}
            64-bit types are switched on for this call only, and only for float64.
        device : str
            A platform that JAX knows: "cpu", "cuda".
        loss_scale : float, a power of two of either sign
            Multiplies the sum of the value, taken in at least float32, before it is differentiated, so that small
            gradients survive half types. The value comes back unscaled; dividing the gradient is the caller's part.

        Returns
        -------
        Evaluation
            The gradient of a complex input is d/dRe + i d/dIm, as Torch and TensorFlow return it: `jax.grad` returns
            the conjugate, which is conjugated here.

        Raises
        ------
        ValueError
            Unknown dtype, complex arrays in a half type, a loss_scale that is no power of two.
        RuntimeError
            JAX has no such device.
        Exception
            Whatever the loss refuses.
        """
        if abs(math.frexp(loss_scale)[0]) != 0.5:
            raise ValueError(f"loss_scale: got {loss_scale!r}, wanted a power of two, which scales without rounding")
        with _placed(dtype, device):
            operands = _operands(prediction, target, intensity_scale, mask, view_ids, dtype)
            (_, value), gradient = self._run(*operands, jnp.asarray(loss_scale, _scalar(dtype)))
            slope = np.asarray(gradient)
            return Evaluation(np.asarray(value), np.conj(slope) if np.iscomplexobj(slope) else slope)

    def value(
        self,
        prediction: Array,
        target: Array,
        intensity_scale: float | None = None,
        *,
        mask: Array | None = None,
        view_ids: Array | None = None,
        dtype: str = "float64",
        device: str = "cpu",
    ) -> Array:
        """Evaluate the loss alone, with nothing to differentiate it: a custom rule may have a value of its own."""
        with _placed(dtype, device):
            p, t, scale, named = _operands(prediction, target, intensity_scale, mask, view_ids, dtype)
            return np.asarray(self._loss(p, t, *scale, **named))


@contextmanager
def _placed(dtype: str, device: str) -> Iterator[None]:
    require_choice("dtype", dtype, DTYPES)
    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices(device)[0]):
        yield


def _scalar(dtype: str) -> str:
    return "float64" if dtype == "float64" else "float32"


def _operands(
    prediction: Array,
    target: Array,
    intensity_scale: float | None,
    mask: Array | None,
    view_ids: Array | None,
    dtype: str,
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, ...], dict[str, jax.Array]]:
    """Return what a loss is given: prediction, target, the scale if there is one, and what it is given by name."""
    scale = () if intensity_scale is None else (jnp.asarray(intensity_scale, _scalar(dtype)),)
    given = {"mask": mask, "view_ids": view_ids}
    named = {name: jnp.asarray(np.array(array)) for name, array in given.items() if array is not None}
    return _cast("prediction", prediction, dtype), _cast("target", target, dtype), scale, named


def _cast(name: str, array: Array, dtype: str) -> jax.Array:
    if not np.iscomplexobj(array):
        return jnp.asarray(np.array(array, jnp.dtype(dtype)))
    if dtype not in COMPLEX_OF:
        raise ValueError(f"{name}: got complex numbers for {dtype}, wanted float32 or float64: no half type is complex")
    return jnp.asarray(np.array(array, COMPLEX_OF[dtype]))


def evaluate(
    loss: Callable[..., jax.Array],
    prediction: Array,
    target: Array,
    intensity_scale: float | None = None,
    *,
    mask: Array | None = None,
    view_ids: Array | None = None,
    dtype: str = "float64",
    mode: str = "eager",
    wrt: str = "prediction",
    device: str = "cpu",
    loss_scale: float = 1.0,
) -> Evaluation:
    """Evaluate a loss and its gradient once: see `Differentiated`."""
    return Differentiated(loss, mode, wrt)(
        prediction,
        target,
        intensity_scale,
        mask=mask,
        view_ids=view_ids,
        dtype=dtype,
        device=device,
        loss_scale=loss_scale,
    )
