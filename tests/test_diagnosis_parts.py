"""The parts of a diagnosis one by one: digits, places, multiples, what is cut away, which convention could matter."""

import re

import numpy as np
import pytest
from diagnosed import diagnosis_of, only, subject_of
from torch import Tensor

from conformance.backends import load_backend
from conformance.case import Case, Parameters, Question
from conformance.diagnosis.neighbours import changed
from conformance.diagnosis.places import Wrong, by_place
from conformance.diagnosis.relation import Sample
from conformance.diagnosis.trial import Trial
from conformance.golden import GoldenSet
from conformance.liars.bank import BANK
from conformance.profile import PROFILES

CONTRACT = PROFILES["contract"]


@pytest.mark.parametrize(("dtype", "digits"), [("float64", 17), ("float32", 9)])
def test_numbers_are_printed_with_the_digits_that_tell_them_apart(dtype: str, digits: int) -> None:
    found = diagnosis_of(lambda p, t: only("amplitude_mae")(p, t) / 3, "amplitude_mae", dtype=dtype)
    (line,) = [line for line in found.clues if line.startswith("  value: got ")][:1]
    printed = re.findall(r"(?:got |\[|, )(\d[\d.e+-]*)(?=[,\]])", line)
    lengths = [len(re.sub(r"e.*|\.", "", number).lstrip("0")) for number in printed]
    assert len(printed) == 3 and max(lengths) == digits, line


def _wrong(case_of: dict[str, Case], elements: np.ndarray) -> list[Wrong]:
    """Two samples of three elements, half of them without counts, with these elements wrong."""
    p, t = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[2.0, 0.0, 0.0], [2.0, 0.0, 9.0]])
    question = Question("own", "poisson_nll", Parameters(), p.reshape(2, 1, 1, 3), t.reshape(2, 1, 1, 3))
    case = case_of["nll-typical"]
    return [Wrong(Case(question, case.truth, case.why), elements.reshape(2, 1, 1, 3))]


def test_what_holds_every_wrong_element_is_named(case_of: dict[str, Case]) -> None:
    dark = np.array([[False, True, True], [False, True, False]])
    assert "only elements without counts differ" in by_place(_wrong(case_of, dark))
    above = np.array([[False, True, True], [True, True, False]])
    assert "only elements where the prediction is above the target differ" in by_place(_wrong(case_of, above))
    assert "only elements where the prediction is below the target differ" in by_place(_wrong(case_of, ~above))


def test_a_place_that_is_mostly_right_is_not_named(case_of: dict[str, Case]) -> None:
    one = np.array([[False, False, True], [False, False, False]])
    named = by_place(_wrong(case_of, one))
    assert "only the last pixel column differs" in named  # one of two
    assert not any("without counts" in text or "first sample" in text for text in named)  # one of three


def test_a_multiple_is_taken_where_the_truth_is_not_0() -> None:
    question = Question("own", "poisson_nll", Parameters(), np.ones((1, 1, 1, 4)), np.ones((1, 1, 1, 4)))
    true, none = np.array([0.0, 0.0, 0.0, 4.0]), np.zeros(0)
    assert Sample(question, 2 * true, true, np.zeros(4), none, 0.0).multiple() == 2.0
    assert Sample(question, 2 * true[:3], true[:3], np.zeros(3), none, 0.0).multiple() is None


def test_a_question_is_cut_to_three_columns_where_two_do_not_fail() -> None:
    def wide(p: Tensor, t: Tensor) -> Tensor:
        return only("amplitude_mae")(p, t) + (1.0 if p.shape[3] > 2 else 0.0)

    found = diagnosis_of(wide, "amplitude_mae", dtype="float64", cases=["mae-typical", "mae-equal"])
    assert any(line.startswith("it still fails when cut to 1x1x1x3: p = [") for line in found.clues), found.clues


@pytest.mark.parametrize(("liar", "matters"), [("mae-squared", False), ("nll-no-graph", True)])
def test_other_inputs_matter_where_there_is_a_scale(golden: GoldenSet, liar: str, matters: bool) -> None:
    (wrong,) = [one for one in BANK if one.name == liar]
    trial = Trial(subject_of(wrong, load_backend("torch"), golden.cases, "float64"), golden.cases)
    for inputs in ("scaled_amplitude", "scaled_intensity"):
        assert trial.matters(changed(CONTRACT, {"inputs": inputs})) is matters
