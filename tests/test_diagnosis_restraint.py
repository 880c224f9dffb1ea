"""No cause is named that does not explain everything, and nothing is said that is not so."""

from itertools import count

import numpy as np
import torch
from diagnosed import diagnosis_of, only, right_nll
from torch import Tensor

from conformance import check_loss
from conformance.backends import load_backend
from conformance.case import Parameters, Question, Scale
from conformance.computed import computed_case
from conformance.diagnosis import Diagnosis
from conformance.profile import declare


def no_cause(found: Diagnosis, *words: str) -> bool:
    return not any(word in said for said in found.said for word in words)


def test_what_is_wrong_only_where_it_is_transformed_is_no_convention() -> None:
    right = only("amplitude_mae")

    def loss(p: Tensor, t: Tensor) -> Tensor:
        return right(p, t) * (1.5 if torch._C._functorch.is_gradtrackingtensor(p) else 1)

    found = diagnosis_of(loss, "amplitude_mae", dtype="float64", mode=["eager", "func"])
    assert no_cause(found, "convention") and found.clues[0] == "fails in float64 func; conformant in float64 eager"


def test_what_is_wrong_only_at_first_is_no_convention() -> None:
    right, calls = only("amplitude_mae"), count()
    found = diagnosis_of(lambda p, t: right(p, t) * (2 if next(calls) < 3 else 1), "amplitude_mae", dtype="float64")
    assert no_cause(found, "convention")


def test_another_side_effect_is_not_taken_for_a_known_one() -> None:
    right = only("amplitude_mae")

    def halves(p: Tensor, t: Tensor) -> Tensor:
        value = right(p, t * 1)
        with torch.no_grad():
            t.mul_(0.5)
        return value

    found = diagnosis_of(halves, "amplitude_mae", dtype="float64")
    assert found.said == ("unknown",)
    assert any("the target was modified in place" in line for line in found.clues)


def test_a_mask_that_is_ignored_is_told_from_one_that_is_inverted() -> None:
    right = only("amplitude_mae")
    profile = declare("contract", {"mask": "keyword"})
    found = diagnosis_of(lambda p, t, mask=None: right(p, t), "amplitude_mae", dtype="float64", profile=profile)
    assert found.said == ("liar mae-mask-ignored",)


def test_what_is_not_a_number_throughout_is_no_evidence() -> None:
    """A dark batch makes NaN of whatever it is divided by: the largest target, a mean, a norm."""
    right = only("amplitude_mae")

    def in_units_of_the_mean(p: Tensor, t: Tensor) -> Tensor:
        unit = t.mean()
        return right(p / unit, t / unit) * unit

    found = diagnosis_of(in_units_of_the_mean, "amplitude_mae", dtype="float64")
    assert found.said == ("unknown",)
    assert any("mae-all-dark" in line for line in found.clues)


def test_a_factor_holds_in_the_cases_that_were_not_asked_too() -> None:
    """All five are 8 x 8: H is 8 there."""
    right, cases = only("amplitude_mae"), ("typical", "near", "equal", "signed", "bit-exact")
    few = {"dtype": "float64", "cases": [f"mae-{name}" for name in cases]}
    found = diagnosis_of(lambda p, t: right(p, t) * p.shape[2], "amplitude_mae", **few)
    assert found.said == ("unknown",)
    found = diagnosis_of(lambda p, t: right(p, t) * 8, "amplitude_mae", **few)
    assert found.said == ("factor value 8, gradient 8",)
    assert any("that were not asked" in text for text in found.findings[0].evidence)


def test_a_multiple_of_what_must_not_be_finite_is_none() -> None:
    def hidden(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        seen = torch.isfinite(p) & torch.isfinite(t)
        return 2 * right_nll(torch.where(seen, p, 0.0), torch.where(seen, t, 0.0), s)

    assert no_cause(diagnosis_of(hidden, "poisson_nll", dtype="float64"), "factor")


def test_one_factor_is_not_told_as_two() -> None:
    right = only("amplitude_mae")
    found = diagnosis_of(lambda p, t: 3 * right(p.float(), t.float()), "amplitude_mae", dtype="bfloat16")
    assert found.findings[-1].sentence == "value and gradient = 3 x the reference"
    close = diagnosis_of(lambda p, t: right(p, t) * (1 + 1e-8), "amplitude_mae", dtype="float64")
    assert close.findings[-1].sentence == "value and gradient = 1.00000001 x the reference"


def test_a_few_cases_are_not_enough_for_a_cause_that_the_others_contradict() -> None:
    right = only("amplitude_l2_mae")
    found = diagnosis_of(lambda p, t: right(p, t) / 2, "amplitude_l2_mae", dtype="float64", cases=["l2-typical"])
    assert no_cause(found, "divided-by-batch-twice")


def test_places_are_named_only_for_what_has_places() -> None:
    right = only("amplitude_mae")

    def mixed(p: Tensor, t: Tensor) -> Tensor:
        if p.shape[0] == 1:
            return right(p, t) + 0.5
        d = (p - t).abs()
        return torch.cat([d[..., :1].detach(), d[..., 1:]], 3).mean()

    found = diagnosis_of(mixed, "amplitude_mae", dtype="float64")
    assert not any("pixel column 0" in line for line in found.clues)


def test_with_any_subgradient_a_tie_is_no_mismatch() -> None:
    def lifted(p: Tensor, t: Tensor) -> Tensor:
        d = p - t
        return torch.where(d >= 0, d, -d).mean() + 0.001 * (p.shape[0] > 1)

    found = diagnosis_of(lifted, "amplitude_mae", dtype="float64", ties="subgradient")
    assert not any("exact ties" in line or "gradient[" in line for line in found.clues), found.clues


def test_a_wrong_shape_is_said_beside_wrong_numbers() -> None:
    found = diagnosis_of(lambda p, t: (p - t).abs().mean(-1), "amplitude_mae", dtype="float64", cases=["mae-typical"])
    assert any("value: shape (2, 1, 8), wanted ()" in line for line in found.clues), found.clues


def test_numbers_out_of_range_end_no_diagnosis() -> None:
    backend = load_backend("torch")
    p, t = np.full((1, 1, 1, 2), 2.0), np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    pairs = [(p, t), (2 * p, t), (1e-3 * p, 1e153 * t)]
    options = Parameters(scale=Scale(1.0))
    questions = [Question(f"own-{place}", "poisson_nll", options, *pair) for place, pair in enumerate(pairs)]
    with np.errstate(all="ignore"):
        cases = [computed_case(question, backend) for question in questions]
        found = check_loss(lambda p, t, s: 2 * right_nll(p, t, s), loss="poisson_nll", dtype="float64", cases=cases)
        assert found.diagnosis is not None
