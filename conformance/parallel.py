"""The shipped codepaths judged in several processes: one share is a backend in one mode and dtype."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from conformance.backends import load_backend
from conformance.golden import load
from conformance.judge import judge_all
from conformance.verdict import Verdict

SLOWEST_FIRST = ("compile", "eager", "jit", "xla")
"""Started in this order, so that no long share is left for the end; JAX compiles each operation of its eager mode."""


@dataclass(frozen=True)
class Share:
    """What one process judges: these golden cases, with the codepaths that ship here."""

    backend: str
    mode: str
    dtype: str
    device: str
    ties: str
    case_ids: tuple[str, ...]


def judge_share(share: Share) -> list[Verdict]:
    """Return the verdicts of one share; the golden set is verified and read anew."""
    backend = load_backend(share.backend)
    backend.environment(share.device)
    cases = [case for case in load().cases if case.question.case_id in share.case_ids]
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
        As in one process: what the first share that cannot be judged raises.
    """
    order = sorted(range(len(shares)), key=lambda number: _place(shares[number]))
    with get_context("spawn").Pool(min(processes, len(shares)), maxtasksperchild=1) as pool:
        waiting = {number: pool.apply_async(judge_share, (shares[number],)) for number in order}
        for number in range(len(shares)):
            yield waiting[number].get()
