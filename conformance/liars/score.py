"""The score of the suite on the bank: who is killed, by which case, in which framework, dtype and mode."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from conformance.backends import COMPILED, Backend
from conformance.case import Case
from conformance.judge import fmax, judge_case
from conformance.liars.amplitude_parts import L2_PARTS, MAE_PARTS, amplitude_loss
from conformance.liars.liar import Liar
from conformance.liars.operations import operations
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss
from conformance.verdict import Verdict

HONEST = {
    "amplitude_l2_mae": amplitude_loss(L2_PARTS),
    "amplitude_mae": amplitude_loss(MAE_PARTS),
    "poisson_nll": poisson_loss(NLL_PARTS),
}
"""What a liar with an edit is where nothing is edited."""


@dataclass(frozen=True)
class Kill:
    """One case that rejects a liar: the largest error over tolerance, infinite where it gave no number."""

    case_id: str
    margin: float
    by: str
    """`value`, `gradient`, `both`, `form` (dtype, shape, a misdeed) or `error`."""


@dataclass(frozen=True)
class Score:
    """What became of one liar in one framework, dtype and mode."""

    liar: str
    framework: str
    dtype: str
    mode: str
    kills: tuple[Kill, ...]
    asked: int
    equivalent: str = ""

    @property
    def status(self) -> str:
        """`killed`, `equivalent` or `survived`; a proof of equivalence that a case contradicts is `refuted`."""
        if self.equivalent:
            return "refuted" if self.kills else "equivalent"
        return "killed" if self.kills else "survived"


def kill_of(verdict: Verdict) -> Kill | None:
    """Return what a verdict says against a liar, or None where it says nothing."""
    if verdict.status in ("pass", "skip"):
        return None
    if verdict.status == "error":
        return Kill(verdict.case_id, float("inf"), "error")
    value, gradient = verdict.value_margin > 1, verdict.gradient_margin > 1
    by = {(True, True): "both", (True, False): "value", (False, True): "gradient"}.get((value, gradient), "form")
    margin = fmax(verdict.value_margin, verdict.gradient_margin)
    return Kill(verdict.case_id, float("inf") if isnan(margin) else margin, by)


def lies_in(liar: Liar, mode: str) -> bool:
    """Return whether a liar lies in a mode: in every one, only where it is compiled, or in one by name."""
    return liar.mode in ("", mode) or (liar.mode == "compiled" and mode in COMPILED)


def modes_to_try(liar: Liar, backend: Backend, requested: Sequence[str]) -> list[str]:
    """Return the modes of a backend that a liar is asked in: those requested, or the one that it lies in."""
    if liar.mode in backend.modes and liar.mode not in requested:
        return [liar.mode] if "eager" in requested else []
    return [mode for mode in requested if lies_in(liar, mode)]


def judged(liar: Liar, backend: Backend, cases: Iterable[Case], dtype: str, mode: str) -> Iterable[Verdict]:
    """Judge a liar on the cases that it can be asked, as the gate judges any loss."""
    codepath_of = liar.codepaths(backend)
    for case in cases:
        with np.errstate(all="ignore"):
            yield judge_case(
                backend, codepath_of(case.question), case, dtype=dtype, mode=mode, device="cpu", ties="strict"
            )


def difference(liar: Liar, backend: Backend, cases: Iterable[Case], dtype: str) -> float:
    """Return the largest difference between the answers of a liar and of the honest loss it is made from.

    Infinite where one is NaN and the other is not: 0 proves them equivalent, bit for bit, on these cases.
    """
    found, asked = 0.0, liar.asked(cases)
    if not asked:
        raise ValueError(f"liar {liar.name}: no case to compare on")
    honest = HONEST[liar.loss](operations(backend.name))
    codepath_of = liar.codepaths(backend)
    for case in asked:
        answers = [
            backend.answer(codepath, case.question, dtype=dtype, mode="eager", device="cpu")
            for codepath in (codepath_of(case.question), honest)
        ]
        one, other = answers
        forms = [(each.value_dtype, each.gradient_dtype, each.misdeeds) for each in answers]
        if forms[0] != forms[1]:
            return float("inf")
        for left, right in ((one.value, other.value), (one.gradient, other.gradient)):
            if not np.array_equal(left, right, equal_nan=True):
                with np.errstate(all="ignore"):
                    found = max(found, float(np.max(np.nan_to_num(np.abs(left - right), nan=np.inf))))
    return found


def score(
    liar: Liar,
    backend: Backend,
    cases: Sequence[Case],
    dtype: str,
    mode: str,
    *,
    first: Sequence[str] | None = None,
    enough: int | None = None,
) -> Score:
    """Return the kills of one liar; all, or as many as are enough.

    With `first`, case ids in the order to ask them, one is enough.
    """
    asked = [case for case in liar.asked(cases) if case.question.holds(dtype)]
    if first is not None:
        enough = enough or 1
        place = {name: number for number, name in enumerate(first)}
        asked.sort(key=lambda case: (place.get(case.question.case_id, len(place)), case.question.prediction.size))
    kills: list[Kill] = []
    for verdict in judged(liar, backend, asked, dtype, mode):
        kill = kill_of(verdict)
        kills += [kill] if kill else []
        if enough is not None and len(kills) >= enough:
            break
    return Score(liar.name, backend.name, dtype, mode, tuple(kills), len(asked), liar.equivalent.get(dtype, ""))
