"""What the Torch losses take: dtypes, shapes, masks, ids and numbers; everything else is refused by its name."""

from typing import NamedTuple

import torch
from torch import Tensor

from conformance.codepaths.config import require_positive

REAL = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
COMPLEX = (torch.complex128, torch.complex64)
HALF = (torch.bfloat16, torch.float16)


class Operands(NamedTuple):
    """Prediction and target as amplitudes in the computing dtype, 0 where masked; `valid` is None without a mask."""

    input: Tensor
    target: Tensor
    valid: Tensor | None


def _require_array(name: str, tensor: Tensor, dtypes: tuple[torch.dtype, ...]) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype not in dtypes:
        got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        wanted = " or ".join(str(dtype) for dtype in dtypes)
        raise TypeError(f"{name}: got {got}, wanted a tensor of {wanted}; cast it on purpose")
    if tensor.ndim != 4 or 0 in tensor.shape:
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, wanted four non-empty axes (B, C, H, W)")


def validity(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """Return where `mask` is nonzero, with its own axes; None without a mask."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or mask.dtype.is_complex:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"mask: got {got}, wanted a bool, integer or real tensor, nonzero where valid")
    if mask.ndim != 4 or any(axis not in (1, full) for axis, full in zip(mask.shape, like.shape)):
        wanted = f"four axes (B, C, H, W), each that of {tuple(like.shape)} or 1"
        raise ValueError(f"mask: got shape {tuple(mask.shape)}, wanted {wanted}")
    return mask if mask.dtype == torch.bool else mask != 0


def masked(tensor: Tensor, valid: Tensor | None) -> Tensor:
    """Return `tensor` with 0, and gradient 0, wherever it is not valid: selected, so that NaN there harms nobody."""
    return tensor if valid is None else torch.where(valid, tensor, torch.zeros_like(tensor))


def _root(intensity: Tensor) -> Tensor:
    """sqrt(I) with every derivative 0 at I = 0."""
    dark = intensity == 0
    return torch.where(dark, torch.zeros_like(intensity), torch.where(dark, 1.0, intensity).sqrt())


def _modulus(field: Tensor, valid: Tensor | None) -> Tensor:
    """|z| with gradient z / |z|, every derivative 0 at z = 0; from its two parts, for compilers of real numbers."""
    real, imaginary = masked(field.real, valid), masked(field.imag, valid)
    dark = (real == 0) & (imaginary == 0)
    return torch.where(dark, torch.zeros_like(real), torch.hypot(torch.where(dark, 1.0, real), imaginary))


def operands(input: Tensor, target: Tensor, mask: Tensor | None, domain: str = "amplitude") -> Operands:
    """Check, widen, mask and bring to amplitudes, in this order.

    Half types are widened once, here: everything is computed in float32, and the adjoint of this cast brings the
    gradient back. Masked elements become 0 before any arithmetic.
    """
    dtypes = COMPLEX if domain == "field" else REAL
    _require_array("input", input, dtypes)
    _require_array("target", target, dtypes)
    if input.dtype != target.dtype:
        raise TypeError(f"dtypes differ: input {input.dtype}, target {target.dtype}; cast one of them on purpose")
    if input.shape != target.shape:
        raise ValueError(f"shapes differ: input {tuple(input.shape)}, target {tuple(target.shape)}; no broadcasting")
    valid = validity(mask, target)
    amplitudes = []
    for tensor in (input, target):
        if domain == "field":
            amplitudes.append(_modulus(tensor, valid))
            continue
        wide = masked(tensor.float() if tensor.dtype in HALF else tensor, valid)
        amplitudes.append(_root(wide) if domain == "intensity" else wide)
    return Operands(amplitudes[0], amplitudes[1], valid)


def identities(view_ids: Tensor | None, scope: str, like: Tensor) -> Tensor | None:
    """Return the ids as int64 (B,) for the scope `view`, which alone has them; None for any other."""
    if scope != "view":
        if view_ids is not None:
            raise ValueError(f"view_ids: got ids with scope {scope!r}, wanted None; only the scope 'view' has ids")
        return None
    if view_ids is None:
        raise ValueError("view_ids: got None with scope 'view', wanted integers (B,), the object each sample views")
    dtype = view_ids.dtype if isinstance(view_ids, Tensor) else None
    if dtype is None or dtype == torch.bool or dtype.is_floating_point or dtype.is_complex:
        raise TypeError(f"view_ids: got {dtype or type(view_ids).__name__}, wanted a tensor of integers")
    if view_ids.shape != like.shape[:1]:
        raise ValueError(f"view_ids: got shape {tuple(view_ids.shape)}, wanted {tuple(like.shape[:1])}, one per sample")
    return view_ids.long()


def constant(name: str, number: float, like: Tensor) -> Tensor:
    """Return a number as a 0-d tensor beside `like`; refuse one that is not finite and above 0 there.

    A tensor, because a compiler with dynamic shapes may bake a Python number into its code.
    """
    require_positive(name, number)
    held = torch.finfo(like.dtype)
    if not held.tiny <= number <= held.max:
        raise ValueError(f"{name}: got {number!r}, wanted a finite number above 0, also in {like.dtype}")
    return torch.full_like(like[0, 0, 0, 0], number)


def scalar(scale: Tensor | float, like: Tensor) -> Tensor:
    """Return the intensity scale as a constant in the dtype of `like`; the value of a tensor is not inspected."""
    if not isinstance(scale, Tensor):
        return constant("scale", scale, like)
    if scale.dtype == torch.bool or scale.dtype.is_complex:
        raise TypeError(f"scale: got {scale.dtype}, wanted a real scalar")
    if scale.ndim != 0:
        raise ValueError(f"scale: got shape {tuple(scale.shape)}, wanted a scalar; one data set has one scale")
    return scale.detach().to(like)
