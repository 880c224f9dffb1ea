"""What the TensorFlow losses take: dtypes, shapes, masks, ids and numbers; everything else is refused by its name."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from conformance.codepaths.config import require_positive
from conformance.codepaths.tensorflow_domains import amplitude

Tensor = Any  # TensorFlow ships no types
REALS = (tf.float64, tf.float32, tf.bfloat16, tf.float16)
COMPLEXES = (tf.complex128, tf.complex64)
HALF = (tf.bfloat16, tf.float16)
SMALLEST_NORMAL = {tf.float32: 2.0**-126, tf.float64: 2.0**-1022}  # anything smaller is flushed to 0


class Operands(NamedTuple):
    """Target and prediction as amplitudes in the computing dtype, 0 where masked; `valid` is None without a mask."""

    target: Tensor
    prediction: Tensor
    valid: Tensor


def _require_array(name: str, tensor: Tensor, dtypes: tuple[Any, ...]) -> None:
    if tensor.dtype not in dtypes:
        wanted = " or ".join(dtype.name for dtype in dtypes)
        raise TypeError(f"{name}: got {tensor.dtype.name}, wanted {wanted}; cast it on purpose")
    shape = tensor.shape
    if shape.rank is not None and (shape.rank != 4 or 0 in shape.as_list()):
        raise ValueError(f"{name}: got shape {tuple(shape)}, wanted four non-empty axes (B, H, W, C)")


def tied(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return both, two tensors of one rank; extents unknown while tracing that differ at run time are an error then.

    By slices, whose length may not exceed their source in any mode: XLA drops assertions, and a reshape between two
    unknown extents is optimised away.
    """
    if left.shape.is_fully_defined() and right.shape.is_fully_defined():
        return left, right
    origin = tf.zeros(left.shape.rank, tf.int32)
    return (
        tf.slice(left, origin, tf.shape(right), name="shapes_differ_no_broadcasting"),
        tf.slice(right, origin, tf.shape(left), name="shapes_differ_no_broadcasting"),
    )


def _alike(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_true.dtype != y_pred.dtype:
        raise TypeError(
            f"dtypes differ: y_true {y_true.dtype.name}, y_pred {y_pred.dtype.name}; cast one of them on purpose"
        )
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(f"shapes differ: y_true {tuple(y_true.shape)}, y_pred {tuple(y_pred.shape)}; no broadcasting")
    anything = (None, None, None, None)
    return tied(tf.ensure_shape(y_true, anything), tf.ensure_shape(y_pred, anything))


def validity(mask: Tensor, like: Tensor) -> Tensor:
    """Return where `mask` is nonzero, its axes those of `like` or 1; None without a mask."""
    if mask is None:
        return None
    mask = tf.convert_to_tensor(mask)
    if not (mask.dtype.is_bool or mask.dtype.is_integer or mask.dtype.is_floating):
        raise TypeError(f"mask: got {mask.dtype.name}, wanted bool, integer or real float, nonzero where valid")
    axes, wanted = mask.shape, like.shape
    if axes.rank != 4 or any(
        axis not in (1, None) and full not in (axis, None) for axis, full in zip(axes.as_list(), wanted.as_list())
    ):
        raise ValueError(f"mask: got shape {axes}, wanted four axes (B, H, W, C), each that of {tuple(wanted)} or 1")
    valid = tf.cast(mask, tf.bool)
    if axes.is_fully_defined() and wanted.is_fully_defined():
        return valid
    return tf.broadcast_to(valid, tf.shape(like))  # refuses at run time what could not be compared above


def operands(y_true: Tensor, y_pred: Tensor, mask: Tensor, domain: str = "amplitude") -> Operands:
    """Check, widen, mask and bring to amplitudes, in this order.

    Half types are widened once, here, so that their gradients are computed in float32 and rounded by the cast's
    adjoint. Masked elements become 0 before any arithmetic: NaN there reaches neither value nor gradient.
    """
    dtypes = COMPLEXES if domain == "field" else REALS
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    _require_array("y_true", y_true, dtypes)
    _require_array("y_pred", y_pred, dtypes)
    y_true, y_pred = _alike(y_true, y_pred)
    valid = validity(mask, y_pred)
    amplitudes = []
    for tensor in (y_true, y_pred):
        wide = tf.cast(tensor, tf.float32) if tensor.dtype in HALF else tensor
        selected = wide if valid is None else tf.where(valid, wide, tf.zeros_like(wide))
        amplitudes.append(amplitude(selected, domain))
    return Operands(amplitudes[0], amplitudes[1], valid)


def identities(view_ids: Tensor, scope: str, like: Tensor) -> Tensor:
    """Return the ids as int64 (B,) for the scope `view`, which alone has them; None for any other."""
    if scope != "view":
        if view_ids is not None:
            raise ValueError(f"view_ids: got ids with scope {scope!r}, wanted None; only the scope 'view' has ids")
        return None
    if view_ids is None:
        raise ValueError("view_ids: got None with scope 'view', wanted integers (B,), the object each sample views")
    ids = tf.convert_to_tensor(view_ids)
    if not ids.dtype.is_integer:
        raise TypeError(f"view_ids: got {ids.dtype.name}, wanted integers")
    if not ids.shape.is_compatible_with(like.shape[:1]):
        raise ValueError(f"view_ids: got shape {ids.shape}, wanted {tuple(like.shape[:1])}, one id per sample")
    return tf.cast(tf.ensure_shape(ids, (None,)), tf.int64)


def number(name: str, value: Any, dtype: Any) -> float:
    """Return `value`, a number that is finite and above 0, also when held in `dtype`."""
    held = float(require_positive(name, value))
    if not SMALLEST_NORMAL[dtype] <= held <= float(dtype.max):
        raise ValueError(f"{name}: got {value!r}, wanted a finite number above 0, also in {dtype.name}")
    return held


def scalar(scale: Any, like: Tensor) -> Tensor:
    """Return the intensity scale as a constant in the dtype of `like`; only the value of a tensor is not inspected."""
    if tf.is_tensor(scale):
        held = tf.convert_to_tensor(scale)
        if held.dtype.is_complex or held.dtype.is_bool:
            raise TypeError(f"scale: got {held.dtype.name}, wanted a real scalar")
        held = tf.stop_gradient(tf.cast(held, like.dtype))
    else:
        if np.asarray(scale).dtype.kind in "bcOUS":
            raise TypeError(f"scale: got {type(scale).__name__} {scale!r}, wanted a real scalar")
        held = tf.constant(scale, like.dtype)
    if held.shape.rank != 0:
        raise ValueError(f"scale: got shape {held.shape}, wanted a scalar; one data set has one scale")
    if not tf.is_tensor(scale):
        number("scale", scale if isinstance(scale, Real) else float(scale), like.dtype)
    return held
