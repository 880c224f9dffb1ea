"""docs/contract.md: every docstring of the reference, and under each of its sentences what holds it, as judged now."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from conformance.case import LOSSES
from conformance.contract import BEYOND, CONTRACT, named_cases
from conformance.contract.clause import Clause, docstrings
from conformance.golden import GoldenSet

Statuses = Mapping[tuple[str, str], Mapping[str, str]]
"""Per backend and dtype, the status of each case: `pass`, `fail`, `error` or `skip`."""
Held = Mapping[str, Collection[str]]
"""Per dtype, the cases whose inputs it holds: those alone are asked in it."""
COLUMNS = {"jax": "reference", "torch": "Torch", "tensorflow": "TensorFlow"}
COLUMN_DTYPES = ("float64", "float32")
MOST_NAMES = 8
MOST_FAILURES = 4
NOTHING = "-"

INTRODUCTION = """\
# The contract, and what holds it

Written by `docs/generate.py`; `nox -s docs` fails where it is out of date. Suite {digest}, {cases} cases.

The contract is the docstrings of the reference. Each is quoted whole, then cut into its sentences by the rule that
`conformance/contract/clause.py` states, and beside each sentence stands what no longer passes when it stops being
true: golden cases, and where no case can hold it, tests. `conformance/contract/` holds these pairs as data, and
`tests/test_contract.py` fails when a sentence has no partner, a partner does not exist, or a case belongs to no
sentence. In these tables:

- a pattern stands for all cases that match it, with their number in brackets; [cases.md](cases.md) describes each case;
- the last three columns are verdicts of the judge, eager, on the shipped codepaths: cases passed of cases named, in
  float64, then in float32, which does not hold those of 53 bits. Compiled modes and half types are judged by
  `nox -s conformance`;
- a test is `tests/FILE.py::NAME`.
"""


def _plain(text: str) -> str:
    """Escape what Markdown would take for a mark-up of its own; code spans stay as they are, but for the bars."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(
        part if number % 2 else part.replace("*", "\\*").replace("<", "&lt;") for number, part in enumerate(parts)
    )


def _held(clause: Clause, case_ids: Sequence[str]) -> str:
    names = clause.cases.split()
    if not names:
        tests = dict.fromkeys(clause.tests.split())
        return "<br>".join(f"`{test}`" for test in tests) if tests else f"claims nothing: {clause.remark}"
    shown = []
    for name in names[:MOST_NAMES]:
        matched = len(named_cases(Clause("", name), case_ids))
        shown.append(f"`{name}` ({matched})" if "*" in name else f"`{name}`")
    more = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join(shown + more)


def _cell(named: Sequence[str], backend: str, statuses: Statuses, held: Held) -> str:
    """Say how many of the named cases that a dtype holds pass in it, and which do not."""
    if not named:
        return NOTHING
    green, red = [], []
    for dtype in COLUMN_DTYPES:
        found = statuses[backend, dtype]
        asked = [name for name in named if name in held[dtype]]
        passed = [name for name in asked if found.get(name) == "pass"]
        green.append(f"{len(passed)}/{len(asked)}")
        red += [f"`{name}` {dtype} {found.get(name, 'missing')}" for name in asked if name not in passed]
        red += [] if asked else [f"{dtype} holds none of them"]
    if not red:
        return "pass " + ", ".join(green)
    more = [f"and {len(red) - MOST_FAILURES} more"] if len(red) > MOST_FAILURES else []
    return "**FAIL** " + ", ".join(green) + ": " + ", ".join(red[:MOST_FAILURES] + more)


def _table(clauses: Sequence[Clause], case_ids: Sequence[str], statuses: Statuses, held: Held) -> list[str]:
    lines = ["| sentence | held by | " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * (2 + len(COLUMNS))]
    for clause in clauses:
        named = named_cases(clause, case_ids)
        cells = [_cell(named, backend, statuses, held) for backend in COLUMNS]
        lines.append(" | ".join(["| " + _plain(clause.sentence), _held(clause, case_ids), *cells]) + " |")
    return lines


def _summary(loss: str, golden: GoldenSet, statuses: Statuses, held: Held) -> str:
    own = [case.question.case_id for case in golden.cases if case.question.loss == loss]
    cells = [f"{title} {_cell(own, backend, statuses, held)}" for backend, title in COLUMNS.items()]
    return f"All {len(own)} cases of this loss: {'; '.join(cells)}."


def contract_page(golden: GoldenSet, statuses: Statuses, package: Path) -> str:
    """Return the page: the docstrings of `package`, the clauses, and the statuses of a run over the golden set."""
    case_ids = [case.question.case_id for case in golden.cases]
    held = {dtype: {c.question.case_id for c in golden.cases if c.question.holds(dtype)} for dtype in COLUMN_DTYPES}
    written = docstrings(package)
    lines = [INTRODUCTION.format(digest=golden.digest[:12], cases=len(case_ids))]
    for name, clauses in CONTRACT.items():
        quoted = dedent(written[name]).strip().splitlines()
        lines += [f"## {name}", "", "```text", *quoted, "```", ""]
        if name in LOSSES:
            lines += [_summary(name, golden, statuses, held), ""]
        lines += [*_table(clauses, case_ids, statuses, held), ""]
    lines += ["## Beyond the docstrings", "", "What the contract says of the judge, the codepaths and batches.", ""]
    lines += _table(BEYOND, case_ids, statuses, held)
    return "\n".join(lines) + "\n"
