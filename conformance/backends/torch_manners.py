"""What a Torch loss does beside computing: to its operands, and to switches that are not its own."""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

OPERANDS = ("prediction", "target", "scale")


@contextmanager
def left_as_it_was(misdeeds: list[str]) -> Iterator[None]:
    """Put back what a call has switched, so that the next one is judged for itself, and say what it was."""
    gradients, dtype, seed, state = (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.initial_seed(),
        torch.get_rng_state(),
    )
    try:
        yield
    finally:
        if torch.is_grad_enabled() != gradients:
            misdeeds.append(f"gradients are switched {'off' if gradients else 'on'} since the call")
            torch.set_grad_enabled(gradients)
        if torch.get_default_dtype() != dtype:
            misdeeds.append(f"the default dtype is {torch.get_default_dtype()} since the call, it was {dtype}")
            torch.set_default_dtype(dtype)
        if torch.initial_seed() != seed:
            misdeeds.append("the random generator was seeded")
            torch.set_rng_state(state)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and the same bits."""
    if one.shape != other.shape:
        return False
    left, right = (torch.view_as_real(x) if x.is_complex() else x for x in (one, other))
    return torch.equal(*(x.reshape(-1).contiguous().view(torch.uint8) for x in (left, right)))


class Watched:
    """Operands and keyword operands as they are before a call."""

    def __init__(self, operands: Sequence[Tensor], keywords: Mapping[str, Tensor]) -> None:
        self._held = dict(zip(OPERANDS, operands)) | dict(keywords)
        self._copies = {name: tensor.clone() for name, tensor in self._held.items()}

    def misdeeds(self, asked: Container[str]) -> list[str]:
        """Return what has become of them; `asked` says of which a gradient was wanted."""
        said = []
        for name, tensor in self._held.items():
            if tensor.grad is not None:
                said.append(f"the call left a gradient in the {name}: it called backward() itself")
            elif tensor.requires_grad and name not in asked:
                said.append(f"the {name} requires a gradient since the call")
            if not _same(tensor.detach(), self._copies[name]):
                said.append(f"the {name} was modified in place")
        return said
