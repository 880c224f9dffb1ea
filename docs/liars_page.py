"""docs/liars.md: the bank of wrong losses, what each gets wrong, where such a bug was seen, and which cases kill it."""

from collections.abc import Sequence
from math import isinf

from cases_page import two_digits

from conformance.case import DTYPES, LOSSES
from conformance.golden import GoldenSet
from conformance.liars.bank import BANK, bank
from conformance.liars.gate import Task, perform
from conformance.liars.liar import Liar
from conformance.liars.merits import killed_alone, sentences
from conformance.liars.score import Kill, Score

FRAMEWORKS = ("torch", "tensorflow")

INTRODUCTION = """\
# The bank of wrong losses

Written by `docs/generate.py` from `conformance/liars/`; `nox -s docs` fails where it is out of date. {total} wrong
losses from one description: {torch} of them in Torch, {tensorflow} in TensorFlow. What is missing in TensorFlow needs
tensors that can be modified in place, a memory layout, or a target that requires a gradient.

`nox -s liars` asks each of them what any loss is asked, in float64 and float32, eager and compiled, and fails unless
every one dies; beside those that share a compiled graph stands a right loss that must live. Compiled is tf.function
without and with XLA, and torch.compile up to its graph of forward and backward. Inductor's generated code takes more
than a second for each loss, and comes with `nox -s liars -- --mode compile`. There the compiler undoes some lies in
float32: it leaves out a cast to bfloat16 or float16 and back, and the loss is right. Such a one is called equivalent if
it passes every case, and dies as soon as Inductor is told to keep its casts. Where a lie is the truth in one dtype
(computing in float32 when float32 is given), the bank says so, and `tests/test_liars.py` compares the answers with the
honest ones, bit for bit. A gradient of 0, a NaN for the value and another number type than was given must die in every
group of cases.

Lies made by `edit` are an honest loss with one part changed, so that two of them compose; by `option`, a loss that
ships here with other options than are declared or with its arrays misused; the others are written on their `own`.

**Killed by**, in Torch, eager: of the cases that it is asked so many, in float64 and float32, and the case with the
largest margin, that is error over tolerance (`form`: a wrong dtype, shape or side effect, or no number at all).
"""
CASES = """\
## What each case is good for

A case earns its place by a wrong loss that no other case of its group kills, in float64 or float32; a group asks for
the same options. One without stays for the sentence of the contract that it holds ([contract.md](contract.md)): it is
the number that a reader of that sentence can look up, and a liar that is not written yet may meet it first.

| case | kills alone in its group | else stays for |
|---|---|---|
"""
SHOWN = 6


def _killed(score: Score | None) -> str:
    if score is None:
        return "-"
    if score.liar.endswith("random"):
        return "other cases each time"
    if not score.kills:
        return f"0/{score.asked}"
    largest: Kill = max(score.kills, key=lambda kill: (not isinf(kill.margin), kill.margin))
    margin = "form" if isinf(largest.margin) else two_digits(float(f"{largest.margin:.0e}"))
    return f"{len(score.kills)}/{score.asked} `{largest.case_id}` {margin}"


def _row(liar: Liar, scores: dict[tuple[str, str], Score]) -> str:
    notes = [f"lies in mode {liar.mode} only"] if liar.mode else []
    notes += [f"{name}={choice} declared" for name, choice in liar.settings.items()]
    notes += [f"no liar in {dtype}: {why}" for dtype, why in liar.equivalent.items()]
    made = "option" if liar.swap else "edit" if liar.edit else "own"
    killed = (_killed(scores.get((liar.name, dtype))) for dtype in ("float64", "float32"))
    cells = (f"`{liar.name}`", liar.kind, made, liar.wrong, *killed, liar.seen, "; ".join(notes))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _case_row(case_id: str, alone: Sequence[str], said: Sequence[str]) -> str:
    names = ", ".join(f"`{name}`" for name in alone[:SHOWN])
    names += f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
    reason = "" if alone or not said else said[0].replace("|", "\\|")
    return f"| `{case_id}` | {names} | {reason} |"


def whole() -> list[Score]:
    """Judge every wrong loss in Torch, eager, on every case: half a minute."""
    names = tuple(liar.name for liar in BANK)
    return [score for dtype in DTYPES for score in perform(Task("torch", ("eager",), dtype, names, {}))]


def liars_page(golden: GoldenSet, found: Sequence[Score]) -> str:
    """Return the page of what `whole` found."""
    counts = {framework: len(bank(framework)) for framework in FRAMEWORKS}
    cases = golden.cases
    scores = {(score.liar, score.dtype): score for score in found}
    lines = [INTRODUCTION.format(total=len(BANK), **counts)]
    heads = "| name | kind | made | what it does | killed by, float64 | float32 | seen | note |"
    for loss in LOSSES:
        rows = [_row(liar, scores) for liar in BANK if liar.loss == loss]
        lines += [f"## {loss}", "", heads, "|---|---|---|---|---|---|---|---|", *rows, ""]
    alone, said = killed_alone(found, cases), sentences(cases)
    ids = [case.question.case_id for case in cases]
    rows = [_case_row(case_id, alone[case_id], said[case_id]) for case_id in ids]
    return "\n".join([*lines, CASES + "\n".join(rows)]).rstrip() + "\n"
