"""Torch's switches of reduced precision: off for the time of a call, and afterwards as they were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

MODULES: tuple[Any, ...] = tuple(
    module
    for module in (
        torch.backends.cuda.matmul,
        getattr(torch.backends.cudnn, "conv", None),
        getattr(torch.backends.cudnn, "rnn", None),
        getattr(torch.backends.mkldnn, "matmul", None),
        getattr(torch.backends.mkldnn, "conv", None),
        getattr(torch.backends.mkldnn, "rnn", None),
    )
    if hasattr(module, "fp32_precision")
)
"""From Torch 2.9 on these have a `fp32_precision`; before that there are the two switches below alone."""


def _cudnn(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed


OLD_SWITCHES: tuple[tuple[Callable[[], Any], Callable[[Any], None], Any], ...] = (
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (lambda: torch.backends.cudnn.allow_tf32, _cudnn, False),
)
"""How to read, set and switch off. Torch refuses to read one that its newer counterpart contradicts."""


def _read(getter: Callable[[], Any]) -> Any:
    """Return what an old switch says, None where Torch refuses because the user set the newer one."""
    try:
        return getter()
    except RuntimeError:
        return None


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch TF32 and the like off for the time of a call: no hypothesis of the tolerances covers its 11 bits.

    Old and new switches are brought to agree, because Torch raises where they do not.
    """
    old = [(setter, _read(getter), off) for getter, setter, off in OLD_SWITCHES]
    new = [(module, module.fp32_precision) for module in MODULES]
    try:
        for setter, before, off in old:
            if before is not None:
                setter(off)
        for module, _ in new:
            module.fp32_precision = "ieee"
        yield
    finally:
        for setter, before, _ in old:
            if before is not None:
                setter(before)
        for module, precision in new:
            module.fp32_precision = precision


def reduced_precision() -> str:
    """Return `off`, or `on` where some switch allows reduced precision at this moment."""
    new = any(module.fp32_precision not in ("ieee", "none") for module in MODULES)
    old = any(_read(getter) not in (off, None) for getter, _, off in OLD_SWITCHES)
    return "on" if new or old else "off"
