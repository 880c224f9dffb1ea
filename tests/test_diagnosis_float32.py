"""The whole bank diagnosed in float32: right nearly always, and never a wrong cause, with a liar known or not."""

import pytest
from diagnosed import causes, is_right, mode_of, subject_of

from conformance.backends import load_backend
from conformance.diagnosis import Finding
from conformance.golden import GoldenSet
from conformance.liars.bank import bank
from conformance.liars.liar import Liar

DTYPE, SHARE = "float32", 0.85
"""The share of the bank that must be diagnosed rightly: what was asked for before there was a diagnosis."""
Found = list[tuple[Liar, list[Finding]]]


@pytest.fixture(scope="module")
def found(golden: GoldenSet) -> Found:
    backend, known = load_backend("torch"), bank("torch")
    lying = [liar for liar in known if liar.mode != "compiled" and DTYPE not in liar.equivalent]
    assert len(lying) >= 250 and all(mode_of(liar, backend) in backend.modes for liar in lying)
    return [(liar, causes(subject_of(liar, backend, golden.cases, DTYPE), golden.cases, known)) for liar in lying]


def test_the_diagnosis_is_right(found: Found) -> None:
    wrong = [liar.name for liar, findings in found if not any(is_right(liar, one) for one in findings)]
    assert len(wrong) <= (1 - SHARE) * len(found), wrong


def test_no_other_cause_is_named(found: Found) -> None:
    assert [(liar.name, one.said) for liar, findings in found for one in findings if not is_right(liar, one)] == []


def test_of_a_liar_that_is_not_known_no_wrong_cause_is_named(found: Found) -> None:
    """The findings are independent of each other: without the liar itself the others remain, and are right too."""
    left = [(liar, [one for one in findings if one.said != f"liar {liar.name}"]) for liar, findings in found]
    assert [(liar.name, one.said) for liar, findings in left for one in findings if not is_right(liar, one)] == []
    assert sum(not findings for _, findings in left) > len(found) / 2
