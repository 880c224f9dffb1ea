"""Refusal of wrong shapes, ranks, dtypes and options. Values are never inspected: that would synchronise a device."""

from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp

LAYOUT = "(B, C, H, W)"
REAL_DTYPES = ("float64", "float32", "bfloat16", "float16")
COMPLEX_DTYPES = ("complex128", "complex64")


def require_array(name: str, array: jax.Array, dtypes: tuple[str, ...] = REAL_DTYPES) -> None:
    """Raise unless `array` is a non-empty array (B, C, H, W) of one of `dtypes`.

    Raises
    ------
    TypeError
        No array, or one of another dtype: real where complex is meant, the reverse, an integer, a bool.
    ValueError
        The rank is not 4, or an axis is empty.
    """
    got = str(getattr(array, "dtype", type(array).__name__))
    if got not in dtypes:
        raise TypeError(f"{name}: got {got}, wanted an array of {' or '.join(dtypes)}; cast it on purpose")
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name}: got shape {tuple(array.shape)}, wanted four non-empty axes {LAYOUT}; "
            "add the missing batch or channel axis"
        )


def require_pair(prediction: jax.Array, target: jax.Array, dtypes: tuple[str, ...]) -> None:
    """Raise unless both arrays pass `require_array` and have one dtype (TypeError) and one shape (ValueError)."""
    require_array("prediction", prediction, dtypes)
    require_array("target", target, dtypes)
    if prediction.dtype != target.dtype:
        raise TypeError(
            f"dtypes differ: prediction is {prediction.dtype}, target is {target.dtype}; cast one of them on purpose"
        )
    if prediction.shape != target.shape:
        raise ValueError(
            f"shapes differ: prediction {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "the losses never broadcast one against the other"
        )


def require_mask(mask: jax.Array, shape: tuple[int, ...]) -> None:
    """Raise unless `mask` is a real array (TypeError) of rank 4, each axis that of the target or 1 (ValueError)."""
    got = getattr(mask, "dtype", type(mask).__name__)
    if not hasattr(mask, "dtype") or not any(
        jnp.issubdtype(mask.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)
    ):
        raise TypeError(f"mask: got {got}, wanted an array of bool, integer or real floats, nonzero where valid")
    if mask.ndim != 4 or any(axis not in (1, full) for axis, full in zip(mask.shape, shape)):
        raise ValueError(
            f"mask: got shape {tuple(mask.shape)}, wanted rank 4, each axis that of the target {tuple(shape)} or 1"
        )


def require_view_ids(view_ids: jax.Array | None, scope: str, samples: int) -> None:
    """Raise unless `view_ids` is an integer array (B,) for scope 'view', and None for every other scope.

    Raises
    ------
    TypeError
        No array of integers.
    ValueError
        Missing where the scope needs it, given where it does not, or not one id per sample.
    """
    require_given("view_ids", view_ids, scope == "view", f"scope={scope!r}", f"an integer array ({samples},)")
    if view_ids is None:
        return
    got = getattr(view_ids, "dtype", type(view_ids).__name__)
    if not hasattr(view_ids, "dtype") or not jnp.issubdtype(view_ids.dtype, jnp.integer):
        raise TypeError(f"view_ids: got {got}, wanted an array of integers, one id per sample")
    if view_ids.shape != (samples,):
        raise ValueError(f"view_ids: got shape {tuple(view_ids.shape)}, wanted ({samples},), one id per sample")


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")


def require_given(name: str, value: object, needed: bool, option: str, wanted: str) -> None:
    """Raise ValueError where an argument that `option` needs is None, or one that it does not need is given."""
    if needed and value is None:
        raise ValueError(f"{name}: got None, wanted {wanted} for {option}")
    if not needed and value is not None:
        raise ValueError(f"{name}: got a value, wanted None for {option}, which has no use for it; leave it out")


def require_positive(name: str, value: Any, dtype: Any) -> float:
    """Return `value` as a float; raise unless it is finite and above 0, in `dtype` too, whose tiny numbers are flushed.

    Raises
    ------
    TypeError
        No number, or a traced one: these options are fixed when a function is compiled.
    ValueError
        Not finite, not above 0, or neither once it is held in `dtype`.
    """
    if isinstance(value, str | bytes | bool):
        raise TypeError(f"{name}: got {value!r}, wanted a number")
    try:
        number = float(value)
    except TypeError as error:
        raise TypeError(f"{name}: got {value!r}, wanted a number that is known before tracing") from error
    limits = jnp.finfo(dtype)  # type: ignore[no-untyped-call]  # untyped in JAX
    if not float(limits.tiny) <= number <= float(limits.max):
        raise ValueError(f"{name}: got {value!r}, wanted a finite number above 0, also in {jnp.dtype(dtype).name}")
    return number


def require_scale(value: Any, dtype: Any) -> jax.Array:
    """Return the intensity scale as a constant scalar of `dtype`.

    Raises
    ------
    TypeError
        No real number.
    ValueError
        No scalar, or a Python number that is not finite and above 0. An array's value is not inspected.
    """
    if isinstance(value, Real):
        require_positive("intensity_scale", value, dtype)
    elif not hasattr(value, "dtype"):
        raise TypeError(f"intensity_scale: got {value!r}, wanted a real scalar")
    elif jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise TypeError(f"intensity_scale: got {value.dtype}, wanted a real scalar")
    scale = jnp.asarray(value).astype(dtype)
    if scale.ndim != 0:
        raise ValueError(f"intensity_scale: got shape {scale.shape}, wanted a scalar; one data set has one scale")
    return jax.lax.stop_gradient(scale)
