"""The ways in which Torch runs a loss: compiled, transformed, in other layouts, with both inputs in the graph."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from conformance.backends.answer import Codepath
from conformance.exit_codes import BackendError

MODES = ("eager", "compile", "func", "vmap", "channels_last", "strided", "both")
RECOMPILATIONS = 4096
"""One codepath meets many shapes, dtypes and options here."""


def compiled(codepath: Codepath, _: str) -> Codepath:
    """Return the codepath through torch.compile as users call it: its second shape is compiled for all shapes."""
    made: Codepath = torch.compile(codepath)
    return made


def _compiles(x: Tensor) -> Tensor:
    return 2 * x if torch.compiler.is_compiling() else x


def probe_compiler(device: str) -> None:
    """Raise BackendError unless torch.compile compiles for the device: eager would be another codepath."""
    one = torch.ones(3, device=device)
    with compiling("compile"):
        on = bool(torch.all(torch.compile(_compiles, backend="eager")(one) == 2))
    if not on:
        raise BackendError("backend torch: mode compile is switched off by TORCHDYNAMO_DISABLE; unset it")
    try:
        with compiling("compile"):
            torch.compile(_compiles)(one)
    except Exception as error:  # a compiler may be missing or broken in any way
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        missing = "Triton" if device == "cuda" else "a C++ compiler"
        raise BackendError(f"backend torch: mode compile does not start ({text}); install {missing}") from error


def compiling(mode: str) -> AbstractContextManager[Any]:
    """Forbid, for the time of a call, falling back to eager: that would judge another codepath than asked for."""
    if mode != "compile":
        return nullcontext()
    limits: dict[str, Any] = {"recompile_limit": RECOMPILATIONS, "accumulated_recompile_limit": RECOMPILATIONS}
    limits |= {"fail_on_recompile_limit_hit": True, "suppress_errors": False}
    patch: AbstractContextManager[Any] = torch._dynamo.config.patch(**limits)
    return patch


def arranged(array: Tensor, mode: str) -> Tensor:
    """Return the same numbers in the memory layout of the mode."""
    if mode == "channels_last":
        return array.contiguous(memory_format=torch.channels_last)
    if mode == "strided":
        batch, channels, height, width = array.shape
        wider = torch.full((batch, channels, 2 * height, 2 * width + 1), 3.0).to(array)
        wider[:, :, ::2, 1::2] = array
        return wider[:, :, ::2, 1::2]
    return array


def require_tensor(value: Any) -> Tensor:
    """Return what a codepath returned; raise TypeError where that is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"returned {type(value).__name__}, wanted a torch.Tensor")
    return value


def _total(value: Tensor, loss_scale: float) -> Tensor:
    wide = value if value.dtype in (torch.float32, torch.float64) else value.float()
    return wide.sum() * loss_scale


def by_autograd(
    codepath: Codepath, operands: list[Tensor], keywords: dict[str, Tensor], position: int, mode: str, scale: float
) -> tuple[Tensor, Tensor | None]:
    """Return value and gradient; None where the value does not depend on the operand at `position`."""
    for index in (0, 1) if mode == "both" else (position,):
        operands[index].requires_grad_()
    with compiling(mode):
        value = require_tensor(codepath(*operands, **keywords))
    if not value.requires_grad:
        return value, None
    with torch.enable_grad():  # whatever the codepath has switched
        total = _total(value, scale)
    (gradient,) = torch.autograd.grad(total, operands[position], allow_unused=True)
    return value, gradient


def by_transform(
    codepath: Codepath, operands: list[Tensor], keywords: dict[str, Tensor], position: int, mode: str, scale: float
) -> tuple[Tensor, Tensor]:
    """Return value and gradient through torch.func: `grad_and_value`, for `vmap` of a stack of two problems.

    The second problem is the first one upside down, so that anything which leaks between the two is seen.
    """

    def total(*arguments: Any) -> tuple[Tensor, Tensor]:
        value = require_tensor(codepath(*arguments[: len(operands)], **dict(zip(keywords, arguments[len(operands) :]))))
        return _total(value, scale), value

    run: Callable[..., Any] = torch.func.grad_and_value(total, argnums=position, has_aux=True)
    given = [*operands, *keywords.values()]
    if mode == "func":
        gradient, (_, value) = run(*given)
        return value, gradient
    pairs = [torch.stack([array, array.flip(2) if array.ndim == 4 else array]) for array in given]
    gradients, (_, values) = torch.func.vmap(run)(*pairs)
    return values[0], gradients[0]
