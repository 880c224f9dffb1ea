"""No sentence without something that holds it, nothing held that no sentence says, and no name that is not there."""

import ast
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from conformance.case import LOSSES
from conformance.contract import CLAUSES, CONTRACT, named_cases
from conformance.contract.clause import Clause, docstrings, sentences
from conformance.golden import GoldenSet

ROOT = Path(__file__).resolve().parent.parent


def unsaid(docstring: str, clauses: Sequence[Clause]) -> list[str]:
    """Return the sentences that are in one of the two and not, as often, in the other."""
    said, quoted = Counter(sentences(docstring)), Counter(clause.sentence for clause in clauses)
    missing = [f"no clause: {sentence}" for sentence in said - quoted]
    return missing + [f"no such sentence: {sentence}" for sentence in quoted - said]


def unheld(clauses: Sequence[Clause]) -> list[str]:
    """Return the clauses with neither a case nor a test, or with either beside a remark that there is none."""
    return [c.sentence for c in clauses if bool(c.remark) == bool(c.cases.split() or c.tests.split())]


def lost_patterns(clauses: Sequence[Clause], case_ids: Sequence[str]) -> list[str]:
    """Return the patterns that match no golden case."""
    patterns = {pattern for clause in clauses for pattern in clause.cases.split()}
    return sorted(pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in case_ids))


def lost_tests(clauses: Sequence[Clause], folder: Path) -> list[str]:
    """Return the named tests that their file does not define at its top level."""
    named = {test for clause in clauses for test in clause.tests.split()}
    defined = set()
    for file in {test.partition("::")[0] for test in named}:
        path = folder / file
        body = ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
        defined |= {f"{file}::{node.name}" for node in body if isinstance(node, ast.FunctionDef)}
    return sorted(test for test in named if test not in defined or not test.partition("::")[2].startswith("test_"))


def unnamed_cases(clauses: Sequence[Clause], case_ids: Sequence[str]) -> list[str]:
    """Return the golden cases that no clause names."""
    named = {name for clause in clauses for name in named_cases(clause, case_ids)}
    return [name for name in case_ids if name not in named]


@pytest.fixture
def case_ids(golden: GoldenSet) -> list[str]:
    return [case.question.case_id for case in golden.cases]


def test_every_documented_name_is_in_the_contract() -> None:
    assert set(CONTRACT) == set(docstrings(ROOT / "oracle"))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_docstring_is_quoted_sentence_by_sentence(name: str) -> None:
    assert unsaid(docstrings(ROOT / "oracle")[name], CONTRACT[name]) == []


def test_every_sentence_has_a_case_or_a_test() -> None:
    assert unheld(CLAUSES) == []


def test_every_pattern_matches_a_case(case_ids: list[str]) -> None:
    assert lost_patterns(CLAUSES, case_ids) == []


def test_every_named_test_exists() -> None:
    assert lost_tests(CLAUSES, ROOT / "tests") == []


def test_every_case_is_named(case_ids: list[str]) -> None:
    assert unnamed_cases(CLAUSES, case_ids) == []


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_held_by_its_own_cases(loss: str, golden: GoldenSet, case_ids: list[str]) -> None:
    own = {case.question.case_id for case in golden.cases if case.question.loss == loss}
    assert {name for clause in CONTRACT[loss] for name in named_cases(clause, case_ids)} == own


DOCSTRING = """Add two numbers. Their order
    does not matter: `a + b`.

        a + b = b + a    for all
        a + 0 = a

    Parameters
    ----------
    a, b : float
        Finite; above 0. 0.5 is no end.

    Returns
    -------
    float
        The sum.

    Raises
    ------
    TypeError
        No number; a
        complex one.
    ValueError
        Not finite.

    Notes
    -----
    Exact? Rounded once.
    """


def test_the_rule_that_cuts_a_docstring() -> None:
    assert sentences(DOCSTRING) == [
        "Add two numbers.",
        "Their order does not matter: `a + b`.",
        "a + b = b + a for all",
        "a + 0 = a",
        "a, b : float",
        "Finite; above 0.",
        "0.5 is no end.",
        "float",
        "The sum.",
        "TypeError: No number",
        "TypeError: a complex one",
        "ValueError: Not finite",
        "Exact?",
        "Rounded once.",
    ]


def test_a_sentence_that_changed_is_missed_on_both_sides() -> None:
    clauses = [Clause("Add two numbers."), Clause("Twice."), Clause("Twice.")]
    assert unsaid("Add two numbers. Twice. Exact.", clauses) == ["no clause: Exact.", "no such sentence: Twice."]


def test_what_holds_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_a(): pass\ndef helper(): pass\nclass T:\n    def test_b(self): pass\n"
    )
    clauses = [
        Clause("held", "a-*", "test_it.py::test_a"),
        Clause("of itself", remark="a name"),
        Clause("unheld"),
        Clause("held after all", "a-1", remark="a name"),
        Clause("mistyped", "a-3 b*", "test_it.py::test_b test_it.py::helper test_no.py::test_a test_it.py"),
    ]
    assert unheld(clauses) == ["unheld", "held after all"]
    assert lost_patterns(clauses, ["a-1", "a-2"]) == ["a-3", "b*"]
    assert unnamed_cases(clauses, ["a-1", "a-2", "c"]) == ["c"]
    assert lost_tests(clauses, tmp_path) == [
        "test_it.py", "test_it.py::helper", "test_it.py::test_b", "test_no.py::test_a",
    ]  # fmt: skip


def test_an_offered_name_without_a_docstring_is_refused(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("from oracle.sums import add\n")
    (tmp_path / "sums.py").write_text("def add(): pass\n")
    with pytest.raises(ValueError, match=r"sums\.py: add has no docstring"):
        docstrings(tmp_path)
