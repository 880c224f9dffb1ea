"""docs/cases.md: every golden case, why it is there, how hard it is, and the smallest error that it sees."""

from decimal import Decimal
from math import isnan

import numpy as np

from conformance.case import ALL_DTYPES, LOSSES, Case
from conformance.difficulty import difficulty
from conformance.golden import GoldenSet
from conformance.resolution import resolution

DTYPE_COLUMNS = ("float64", "float32", "bfloat16", "float16")
NOTHING = "-"

INTRODUCTION = """\
# The cases

Written by `docs/generate.py` from the golden set and from `conformance/difficulty.py` and `conformance/resolution.py`;
`nox -s docs` fails where it is out of date. Suite {digest}, {cases} cases. Numbers have two digits.

**Difficulty** is a condition number: the sum of the magnitudes of the parts that the contract's formula adds up, over
the magnitude of what is left of them.

- Value: parts are weight x phat and weight x that of every element (s p and s t for the legacy loss); for the Poisson
  loss lambda, k log lambda and the parts of the constant. Where the value is an array, of the sum of its elements.
- Gradient: per element the direct part w s / P and the coupled part phat sum |w s phat| / P; one part for the legacy
  loss; for the Poisson loss 2 s^2 p and the same times k / lambda. The median over the elements, then the largest, over
  those whose gradient is neither 0 nor infinite.

**Resolution** is what a case sees: the smallest relative error of the value, then of the gradient, that fails. An error
of the gradient is one common factor on all its elements: min over i of tolerance_i / |g_i|; of a value that is an
array likewise. Both follow from the derived tolerances ([tolerances.md](tolerances.md)), from nothing measured. Where a
resolution is above 1 the case sees a number of another size or none at all, and nothing finer: in float32 the plain
Poisson formula, which is a right codepath too, has lost a small deviance altogether. That value is held in float64, and
in float32 by the tests that [contract.md](contract.md) names.

`{nothing}`: no such number, because the truth is 0 or not finite; or no such case, because the inputs are no numbers of
that dtype. What fails in the first two is any departure from that 0, that infinity, or that refusal to be finite.
"""


def two_digits(number: float) -> str:
    """Return a number with two digits, the same on every machine: last bits, which may differ, are dropped first."""
    if isnan(number):
        return NOTHING
    stable = Decimal(f"{number:.9e}")
    return f"{float(f'{stable:.1e}'):g}"


def _options(case: Case) -> str:
    question, scale = case.question, case.question.parameters.scale
    said = [] if question.parameters.described() == "defaults" else [question.parameters.described()]
    if scale is not None and (scale.value != 1 or scale.source != "given"):
        said.append(f"s={scale.value:.6g}" + ("" if scale.source == "given" else f" ({scale.source})"))
    if question.mask is not None:
        said.append(f"mask {question.mask.shape}")
    return ", ".join(said) or "defaults"


def _resolutions(case: Case) -> list[str]:
    cells = []
    for dtype in DTYPE_COLUMNS:
        found = resolution(case, dtype)
        pair = [two_digits(found.value), two_digits(found.gradient)] if found else [NOTHING]
        cells.append(NOTHING if set(pair) == {NOTHING} else ", ".join(pair))
    return cells


def _row(case: Case) -> str:
    hard = difficulty(case)
    slopes = [two_digits(hard.median), two_digits(hard.largest)]
    cells = [
        f"`{case.question.case_id}`",
        _options(case),
        "x".join(map(str, case.question.prediction.shape)),
        case.why,
        case.catches,
        two_digits(hard.value),
        NOTHING if NOTHING in slopes else ", ".join(slopes),
        *_resolutions(case),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def cases_page(golden: GoldenSet) -> str:
    """Return the page; nothing is run."""
    if set(DTYPE_COLUMNS) != set(ALL_DTYPES):
        raise ValueError(f"columns: got {DTYPE_COLUMNS}, wanted one for each of {ALL_DTYPES}")
    heads = ["case", "options", "shape", "why", "catches", "difficulty of value", "of gradient"]
    heads += [f"resolution in {dtype}" for dtype in DTYPE_COLUMNS]
    lines = [INTRODUCTION.format(digest=golden.digest[:12], cases=len(golden.cases), nothing=NOTHING)]
    with np.errstate(all="ignore"):
        for loss in LOSSES:
            own = [case for case in golden.cases if case.question.loss == loss]
            lines += [f"## {loss}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
            lines += [*map(_row, own), ""]
    return "\n".join(lines).rstrip() + "\n"
