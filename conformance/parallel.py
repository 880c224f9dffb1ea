"""The shipped codepaths judged in several processes: a share is a backend in one mode and dtype, or a part of that."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from conformance.backends import load_backend
from conformance.case import Case
from conformance.exit_codes import BackendError, FixtureError
from conformance.golden import load
from conformance.judge import judge_all
from conformance.verdict import Verdict

SLOWEST_FIRST = ("compile", "eager", "jit", "xla")
"""Started in this order, so that no long share is left for the end; JAX compiles each operation of its eager mode."""


DIVIDED = ("compile",)
"""Modes that take most of the time: their cases are divided among the processes."""


@dataclass(frozen=True)
class Share:
    """What one process judges: these golden cases, with the codepaths that ship here."""

    backend: str
    mode: str
    dtype: str
    device: str
    ties: str
    case_ids: tuple[str, ...]


def divided(cases: Sequence[Case], parts: int) -> list[tuple[str, ...]]:
    """Return the ids of cases in at most so many parts; those of the same options share what is compiled for them."""
    alike: dict[object, list[str]] = {}
    for case in cases:
        alike.setdefault((case.question.loss, case.question.parameters), []).append(case.question.case_id)
    groups = list(alike.values())
    return [tuple(name for group in groups[part::parts] for name in group) for part in range(min(parts, len(groups)))]


def judge_share(share: Share) -> list[Verdict]:
    """Return the verdicts of one share; the golden set is verified and read anew."""
    backend = load_backend(share.backend)
    backend.environment(share.device)
    held = {case.question.case_id: case for case in load().cases}
    missing = [case_id for case_id in share.case_ids if case_id not in held]
    if missing:
        raise FixtureError(f"case {missing[0]}: gone from the golden set since the judgement began; begin again")
    cases = [held[case_id] for case_id in share.case_ids]
    return list(
        judge_all(
            backend,
            backend.shipped,
            cases,
            dtypes=(share.dtype,),
            modes=(share.mode,),
            device=share.device,
            ties=share.ties,
        )
    )


def _place(share: Share) -> int:
    return SLOWEST_FIRST.index(share.mode) if share.mode in SLOWEST_FIRST else len(SLOWEST_FIRST)


def judge_shares(shares: Sequence[Share], processes: int) -> Iterator[list[Verdict]]:
    """Judge shares side by side, and return the verdicts of each in the order of the shares.

    Raises
    ------
    ConformanceError
        As in one process: what the first share that cannot be judged raises. BackendError too where a process dies.
    """
    order = sorted(range(len(shares)), key=lambda number: _place(shares[number]))
    with ProcessPoolExecutor(min(processes, len(shares)), mp_context=get_context("spawn")) as pool:
        waiting = {number: pool.submit(judge_share, shares[number]) for number in order}
        for number, share in enumerate(shares):
            try:
                yield waiting[number].result()
            except BrokenProcessPool as error:
                what = f"backend {share.backend}, mode {share.mode}, {share.dtype}"
                raise BackendError(
                    f"{what}: a process died, of memory perhaps; judge with fewer --processes or one mode at a time"
                ) from error
