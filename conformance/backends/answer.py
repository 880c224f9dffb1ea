"""What comes back from a codepath, and what every backend offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.case import Array, Question

Codepath = Callable[..., Any]
"""`f(prediction, target)` or `f(prediction, target, scale)` on arrays of one framework, layout (B, C, H, W)."""


@dataclass(frozen=True)
class Answer:
    """Value and gradient as the framework gave them, and what the codepath did that it must not do."""

    value: Array
    gradient: Array
    misdeeds: tuple[str, ...] = ()


class Backend(Protocol):
    """One framework behind NumPy. Its module is the only one that imports it."""

    name: str
    modes: tuple[str, ...]

    def environment(self, device: str) -> dict[str, str]:
        """Return versions, device and switches for the report; raise BackendError when the device is missing."""
        ...

    def shipped(self, question: Question) -> Codepath:
        """Return the codepath that this project ships for the question's loss and parameters."""
        ...

    def answer(self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str) -> Answer:
        """Run the codepath and its gradient with respect to the prediction."""
        ...


class Prepared:
    """What a backend makes of a codepath once, such as a compiled function: by identity, never by equality.

    Two bound methods of one object are equal, and a compiled function of the one would be judged for the other.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, str], tuple[Codepath, Any]] = {}

    def get(self, codepath: Codepath, mode: str, make: Callable[[Codepath, str], Any]) -> Any:
        """Return what `make` made of this very object; the reference kept with it keeps its identity taken."""
        key = (id(codepath), mode)
        if key not in self._made:
            self._made[key] = (codepath, make(codepath, mode))
        return self._made[key][1]


def takes_scale(question: Question) -> bool:
    """True where a codepath is called with the scale as its third argument."""
    scale = question.parameters.scale
    return question.loss == "poisson_nll" or (scale is not None and scale.value != 1.0)


def scale_argument(question: Question) -> float | None:
    """Return the scale to hand over, or None where the codepath takes none."""
    scale = question.parameters.scale
    if not takes_scale(question):
        return None
    return 1.0 if scale is None else scale.value
