"""docs/liars.md: the bank of wrong losses, what each gets wrong and where such a bug was seen."""

from conformance.case import LOSSES
from conformance.liars.bank import BANK, bank
from conformance.liars.liar import Liar

FRAMEWORKS = ("torch", "tensorflow")

INTRODUCTION = """\
# The bank of wrong losses

Written by `docs/generate.py` from `conformance/liars/`; `nox -s docs` fails where it is out of date. {total} wrong
losses from one description: {torch} of them in Torch, {tensorflow} in TensorFlow. What is missing in TensorFlow needs
tensors that can be modified in place, a memory layout, or a target that requires a gradient.

`nox -s liars` asks each of them what any loss is asked, in float64 and float32, eager and compiled, and fails unless
every one dies. Where a lie is the truth in one dtype (computing in float32 when float32 is given), the bank says so,
and `tests/test_liars.py` compares the answers with the honest ones, bit for bit. A gradient of 0, a NaN for the value
and another number type than was given must die in every group of cases.

Lies made by `edit` are an honest loss with one part changed, so that two of them compose; by `option`, a loss that
ships here with other options than are declared or with its arrays misused; the others are written on their `own`.
"""


def _row(liar: Liar) -> str:
    notes = [f"lies in mode {liar.mode} only"] if liar.mode else []
    notes += [f"{name}={choice} declared" for name, choice in liar.settings.items()]
    notes += [f"no liar in {dtype}: {why}" for dtype, why in liar.equivalent.items()]
    made = "option" if liar.swap else "edit" if liar.edit else "own"
    cells = (f"`{liar.name}`", liar.kind, made, liar.wrong, liar.seen, "; ".join(notes))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def liars_page() -> str:
    """Return the page; nothing is run."""
    counts = {framework: len(bank(framework)) for framework in FRAMEWORKS}
    lines = [INTRODUCTION.format(total=len(BANK), **counts)]
    for loss in LOSSES:
        heads = "| name | kind | made | what it does | seen | note |\n|---|---|---|---|---|---|"
        lines += [f"## {loss}", "", heads, *(_row(liar) for liar in BANK if liar.loss == loss), ""]
    return "\n".join(lines).rstrip() + "\n"
