"""The lies that no case may let pass: a zero gradient, a NaN for the value, a number type that was not given."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from conformance.backends import Backend
from conformance.case import Case, Question
from conformance.judge import judge_case
from conformance.liars.liar import Loss, Operations
from conformance.liars.operations import operations

Wrong = Callable[[Operations, Any, str], Any]
"""(operations, value, dtype that was given) -> what is returned instead."""
OTHER = {"float32": "float64", "float64": "float32"}

UNIVERSAL: dict[str, Wrong] = {
    "zero-gradient": lambda o, value, dtype: o.stop(value) + 0 * (value - o.stop(value)),
    "nan-value": lambda o, value, dtype: value * float("nan"),
    "other-dtype": lambda o, value, dtype: o.to(value, OTHER[dtype]),
}


def group_of(question: Question) -> str:
    """Return the name of the group of cases that ask for the same options of a loss."""
    options, masked = question.parameters, ", mask" if question.mask is not None else ""
    kept = [
        f"{name}={getattr(options, name)}"
        for name in ("reduction", "domain", "scope", "gain", "constant", "rate_guard", "normaliser", "wrt")
    ]
    return f"{question.loss}: {', '.join(kept)}{masked}"


def _around(codepath: Loss, wrong: Wrong, o: Operations, dtype: str) -> Loss:
    def loss(*operands: Any, **arrays: Any) -> Any:
        return wrong(o, codepath(*operands, **arrays), dtype)

    return loss


def survivors(backend: Backend, cases: Iterable[Case], dtype: str) -> Iterator[tuple[str, str]]:
    """Yield (lie, group) for each lie about a shipped codepath that no case of a group rejects."""
    o = operations(backend.name)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(group_of(case.question), []).append(case)
    for name, wrong in UNIVERSAL.items():
        for group, members in groups.items():
            verdicts = (
                judge_case(
                    backend,
                    _around(backend.shipped(case.question), wrong, o, dtype),
                    case,
                    dtype=dtype,
                    mode="eager",
                    device="cpu",
                    ties="strict",
                )
                for case in members
            )
            if not any(verdict.status == "fail" for verdict in verdicts):
                yield name, group
