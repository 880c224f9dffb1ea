"""What comes back from a codepath, and what every backend offers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from conformance.case import Array, Question

Codepath = Callable[..., Any]
"""`f(prediction, target)` or `f(prediction, target, scale)` on arrays of one framework, layout (B, C, H, W).

Where a question has them it is also given `mask=` and `view_ids=`.
"""


def wide(array: Array) -> Array:
    """Return the array in double precision, where every narrower number is exact."""
    return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64)


@dataclass(frozen=True)
class Answer:
    """Value and gradient, and what the codepath did that it must not do.

    The arrays are float64, or complex128 for a complex gradient in the convention d/dRe + i d/dIm; the dtypes that the
    framework gave them are kept as names.
    """

    value: Array
    gradient: Array
    value_dtype: str
    gradient_dtype: str
    misdeeds: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Array, gradient: Array, loss_scale: float = 1.0, misdeeds: Sequence[str] = ()) -> "Answer":
        """Return the answer that these arrays are, each in the dtype that it has; the loss scale divided out."""
        names = (value.dtype.name, gradient.dtype.name)
        return cls(wide(value), wide(gradient) / loss_scale, *names, tuple(misdeeds))


@dataclass(frozen=True)
class Value:
    """What a loss comes to where nobody asks for its gradient, as in validation."""

    value: Array
    dtype: str
    misdeeds: tuple[str, ...] = ()


def operand_dtype(question: Question, dtype: str) -> str:
    """Return the dtype of prediction and target when `dtype` is judged: a field is complex."""
    if question.parameters.domain == "field":
        return {"float32": "complex64", "float64": "complex128"}[dtype]
    return dtype


def keyword_operands(question: Question) -> dict[str, Array]:
    """Return the arrays that a codepath is given by keyword: those that the question has."""
    given = {"mask": question.mask, "view_ids": question.view_ids}
    return {name: array for name, array in given.items() if array is not None}


class Backend(Protocol):
    """One framework behind NumPy. Its module is the only one that imports it."""

    name: str
    modes: tuple[str, ...]

    def __hash__(self) -> int:
        """Backends are told apart by identity: what was made with one is kept for it."""
        ...

    def environment(self, device: str) -> dict[str, str]:
        """Return versions, device and switches for the report; raise BackendError when the device is missing."""
        ...

    def transpose(self, array: Any, axes: tuple[int, ...]) -> Any:
        """Return an array of the framework with its axes in another order."""
        ...

    def times(self, array: Any, factors: Array) -> Any:
        """Return an array of the framework times numbers that broadcast against it, in its own dtype."""
        ...

    def shipped(self, question: Question) -> Codepath:
        """Return the codepath that this project ships for the question's loss and parameters."""
        ...

    def answer(
        self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float = 1.0
    ) -> Answer:
        """Run the codepath and its gradient with respect to what the question's `wrt` names.

        The gradient is that of `loss_scale` times the sum of the value, divided by `loss_scale` again in float64.
        """
        ...

    def value(self, codepath: Codepath, question: Question, *, dtype: str, device: str) -> Value:
        """Run the codepath alone, eagerly, with its gradient switched off."""
        ...


@dataclass(frozen=True)
class CompilerFault:
    """A known mistake of a compiler, in one mode of its framework on one device.

    `mended()` is a context in which nothing but the fault is otherwise; `cure` says what a user can do about it.
    """

    name: str
    mode: str
    device: str
    sentence: str
    cure: str
    version: str
    mended: Callable[[], AbstractContextManager[None]]


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


def kind(question: Question) -> tuple[object, ...]:
    """Return what a compiled loss depends on: questions of one kind differ in nothing but their numbers."""
    scale, mask = question.parameters.scale, question.mask
    derived = None if scale is None else scale.nphotons
    shapes = question.prediction.shape, None if mask is None else mask.shape
    return question.loss, question.parameters.described(), takes_scale(question), derived, *shapes


def scale_argument(question: Question) -> float | None:
    """Return the scale to hand over, or None where the codepath takes none."""
    scale = question.parameters.scale
    if not takes_scale(question):
        return None
    return 1.0 if scale is None else scale.value
