"""What a Torch loss does beside computing: to its operands, and to switches that are not its own."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from conformance.backends.switches import Switch

OPERANDS = ("prediction", "target", "scale")


@dataclass(frozen=True)
class _Seeded:
    """The random generator by its seed, with the state to go back to: drawing numbers is no change."""

    seed: int
    state: Tensor = field(compare=False)

    def __str__(self) -> str:
        return str(self.seed)


def _flushes() -> bool:
    """Whether subnormal numbers become 0: there is no other way to read it."""
    return not bool(torch.tensor(2.0**-126, dtype=torch.float32, device="cpu").mul_(0.5) > 0)


def _determinism() -> tuple[bool, bool]:
    """Return whether algorithms are deterministic, and whether others only warn."""
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


SWITCHES = (
    Switch("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    Switch("default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Switch("detecting anomalies", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    Switch(
        "deterministic algorithms, warnings alone",
        _determinism,
        lambda was: torch.use_deterministic_algorithms(was[0], warn_only=was[1]),
    ),
    Switch("threads", torch.get_num_threads, torch.set_num_threads),
    Switch("default device", torch.get_default_device, torch.set_default_device),
    Switch("autocast", lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    Switch(
        "dtype of autocast",
        lambda: torch.get_autocast_dtype("cpu"),
        lambda dtype: torch.set_autocast_dtype("cpu", dtype),
    ),
    Switch("precision of float32 products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Switch("flushing subnormal numbers", _flushes, torch.set_flush_denormal),
    Switch(
        "seed of the random generator",
        lambda: _Seeded(torch.initial_seed(), torch.get_rng_state()),
        lambda was: torch.set_rng_state(was.state),
    ),
)
"""What a loss has no business with."""


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
