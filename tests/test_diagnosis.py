"""What a person is told of a failing loss: the cause where there is one, else facts that are true."""

import re
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from diagnosed import subject_of
from torch import Tensor

from conformance import check_loss
from conformance.backends import load_backend
from conformance.case import Parameters, Question, Scale
from conformance.computed import computed_case
from conformance.diagnosis import Diagnosis, diagnose
from conformance.golden import GoldenSet
from conformance.liars.amplitude_parts import L2_PARTS, amplitude_loss
from conformance.liars.bank import BANK, bank
from conformance.liars.operations import operations
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss
from conformance.liars.score import HONEST
from conformance.profile import declare

EPS = 2.0**-40
right_nll = poisson_loss(NLL_PARTS)(operations("torch"))


def norm(x: Tensor) -> Tensor:
    return x.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(EPS)


def detached(p: Tensor, t: Tensor) -> Tensor:
    return (p / norm(p).detach() - t / norm(t)).abs().mean()


def summed_per_sample(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
    k = (s * t) ** 2
    return (right_nll(p, t, s) * p.numel() + torch.lgamma(k + 1).sum()) / p.shape[0]


def diagnosis_of(loss: Any, name: str, **how: Any) -> Diagnosis:
    found = check_loss(loss, loss=name, **how).diagnosis
    assert found is not None
    return found


def test_of_a_conformant_loss_there_is_no_diagnosis() -> None:
    assert check_loss(right_nll, loss="poisson_nll", cases=["nll-typical"]).diagnosis is None


def test_another_convention_is_named_with_what_declares_it_and_the_map() -> None:
    found = diagnosis_of(summed_per_sample, "poisson_nll")
    assert found.said == ("convention reduction=sample_sum constant=lgamma",)
    text = "\n".join(found.lines)
    assert "--profile torch-sample-sum-lgamma makes it conformant in float64: 32 golden cases" in text
    assert "alpha = [C H W] / [1]" in text and "[sum lgamma(k + 1)]" in text
    declared = check_loss(summed_per_sample, loss="poisson_nll", profile="torch-sample-sum-lgamma")
    assert declared.conformant


def test_a_user_s_own_detached_norm_is_recognised() -> None:
    found = diagnosis_of(detached, "amplitude_l2_mae")
    assert found.said == ("liar norm-detached",)
    assert any("the gradient lacks - phat <s, phat>" in line for line in found.lines)
    assert any("only gradients are wrong, every value is right" in line for line in found.lines)
    assert not any(line.startswith("fails exactly") for line in found.clues)  # nothing sets the failing cases apart


def test_norms_over_the_batch_are_a_convention_with_few_golden_cases() -> None:
    right = amplitude_loss(L2_PARTS, scope="batch")(operations("torch"))
    found = diagnosis_of(right, "amplitude_l2_mae")
    assert found.said[0] == "convention scope=batch"
    assert found.findings[0].evidence == (
        "--set scope=batch makes it conformant in float64: 2 golden cases; and in all 35 that were asked it is right "
        "under that convention",
    )


def test_a_convention_that_its_own_golden_cases_contradict_is_none() -> None:
    right = amplitude_loss(L2_PARTS, scope="batch")(operations("torch"))

    def mostly(p: Tensor, t: Tensor) -> Tensor:
        return right(p, t) * (1.5 if p.shape[0] == 2 else 1)

    found = diagnosis_of(mostly, "amplitude_l2_mae", cases=["l2-samples-apart", "l2-odd", "l2-dark-*"])
    assert not [said for said in found.said if said.startswith("convention")]


def test_a_gradient_alone_is_a_multiple() -> None:
    def half(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return right_nll(p.detach() + 0.5 * (p - p.detach()), t, s)

    found = diagnosis_of(half, "poisson_nll")
    assert "the value is right, the gradient = 0.5 x the reference" in [one.sentence for one in found.findings]


def test_wide_frames_are_said_to_be() -> None:
    def narrow(p: Tensor, t: Tensor) -> Tensor:
        return HONEST["amplitude_l2_mae"](operations("torch"))(p, t) + (1.0 if p.shape[3] >= 8 else 0.0)

    some = ["l2-typical", "l2-equal", "l2-double", "l2-odd", "l2-four-channels", "l2-samples-apart"]
    clues = diagnosis_of(narrow, "amplitude_l2_mae", cases=some).clues
    assert any(line.startswith("fails exactly in the cases with W >= 8; passes up to ") for line in clues), clues


def test_a_fault_under_another_convention_is_recognised_in_its_terms() -> None:
    plain = next(liar for liar in BANK if liar.name == "log-plain")
    assert plain.make is not None
    lie = plain.make(operations("torch"))

    def loss(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return lie(p, t, s) * p.numel() / p.shape[0]

    assert diagnosis_of(loss, "poisson_nll", profile="torch-sample-sum").said == ("liar log-plain",)
    undeclared = diagnosis_of(loss, "poisson_nll")
    assert undeclared.said == ("unknown",)
    assert undeclared.clues[0].startswith("with --profile torch-sample-sum all but 1 of 32 cases pass: nll-infinite")


def test_keras_arguments_in_the_contract_s_order_are_recognised() -> None:
    def keras(t: Tensor, p: Tensor, s: Tensor) -> Tensor:
        return right_nll(p, t, s)

    assert diagnosis_of(keras, "poisson_nll").said[0] == "convention order=target_first"


def test_a_layout_is_no_explanation_where_it_changes_nothing() -> None:
    def single_channel(p: Tensor, t: Tensor) -> Tensor:
        return HONEST["amplitude_l2_mae"](operations("torch"))(p, t) * (1.5 if p.shape[1] == 1 else 1)

    assert not [said for said in diagnosis_of(single_channel, "amplitude_l2_mae").said if "layout" in said]


def test_norms_per_pattern_of_frames_given_channels_last_are_a_layout() -> None:
    right = amplitude_loss(L2_PARTS, scope="patch")(operations("torch"))

    def last(p: Tensor, t: Tensor) -> Tensor:
        return right(p.permute(0, 3, 1, 2), t.permute(0, 3, 1, 2))

    found = diagnosis_of(last, "amplitude_l2_mae")
    assert found.said[0] == "convention layout=channels_last scope=patch"


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (lambda p: 4096.0, "value and gradient = 4096 x the reference"),
        (lambda p: 1 / p.shape[0], "value and gradient = 1 / (B) x the reference"),
        (lambda p: float(p.shape[2] * p.shape[3]), "value and gradient = H W x the reference"),
    ],
    ids=["number", "samples", "pixels"],
)
def test_a_multiple_is_fitted_and_verified_on_held_out_cases(factor: Any, said: str) -> None:
    found = diagnosis_of(lambda p, t, s: right_nll(p, t, s) * factor(p), "poisson_nll")
    assert any(line.strip().removeprefix("also: ") == said for line in found.lines), found.lines
    told = [re.fullmatch(r" *fitted on (\d+) answers, verified on (\d+) others", line) for line in found.lines]
    (counts,) = [match for match in told if match]
    assert 10 <= int(counts[1]) <= int(counts[2]) + 1


def test_a_multiple_that_one_case_contradicts_is_none() -> None:
    loss = lambda p, t, s: right_nll(p, t, s) * (2.0 if p.shape[0] < 9 else 2.5)  # noqa: E731
    assert not [said for said in diagnosis_of(loss, "poisson_nll").said if said.startswith("factor")]


def test_a_place_is_named() -> None:
    def blind(p: Tensor, t: Tensor) -> Tensor:
        d = (p - t).abs()
        return d[..., 1:].sum() / d.numel() + d[..., :1].detach().sum() / d.numel()

    found = diagnosis_of(blind, "amplitude_mae", profile=declare("torch-scaled-amplitude", {}))
    assert any("only pixel column 0 differs" in line for line in found.clues), found.clues


def test_an_amplitude_range_is_named() -> None:
    def fading(p: Tensor, t: Tensor) -> Tensor:
        d = (p - t).abs()
        return torch.where(p < 8, d.detach(), d).mean()

    found = diagnosis_of(fading, "amplitude_mae", cases=["mae-typical", "mae-four-channels", "mae-one-sample"])
    assert any(line.startswith("only elements with |p| <= ") for line in found.clues), found.clues


def test_what_all_failing_cases_have_in_common_is_said() -> None:
    def odd(p: Tensor, t: Tensor) -> Tensor:
        return HONEST["amplitude_mae"](operations("torch"))(p, t) + (1.0 if p.shape[2] % 2 else 0.0)

    found = diagnosis_of(odd, "amplitude_mae", profile=declare("torch-scaled-amplitude", {}))
    assert any(line == "fails exactly in the cases with odd H" for line in found.clues), found.clues


def test_the_smallest_example_is_printed_in_full() -> None:
    found = diagnosis_of(lambda p, t: (p - t).square().mean(), "amplitude_mae", cases=["mae-typical", "mae-equal"])
    shrunk = [line for line in found.clues if line.startswith("it still fails when cut to 1x1x1x1: p = [")]
    assert len(shrunk) == 1
    after = found.clues[found.clues.index(shrunk[0]) + 1]
    assert after.startswith("  value: got ") and "wanted within [" in after and "margin" in after


def test_a_loss_that_changes_its_mind_is_said_to() -> None:
    calls = count()
    loss = lambda p, t, s: right_nll(p, t, s) * (1 + 1e-2 * next(calls))  # noqa: E731
    found = diagnosis_of(loss, "poisson_nll", dtype="float64")
    assert found.said == ("unknown",)
    first = diagnosis_of(
        lambda p, t, s: right_nll(p, t, s) * (1.5 if next(calls) % 2 else 1), "poisson_nll", dtype="float64"
    )
    assert any("only the second of two calls on the same inputs is wrong" in line for line in first.clues)


def test_a_loss_that_raises_has_a_diagnosis_too() -> None:
    def broken(p: Tensor, t: Tensor) -> Tensor:
        if p.shape[0] == 1:
            raise RuntimeError("a batch of one")
        return HONEST["amplitude_l2_mae"](operations("torch"))(p, t)

    found = diagnosis_of(broken, "amplitude_l2_mae", dtype="float64")
    assert found.said == ("unknown",) and any("it raises in" in line for line in found.clues)
    assert any("RuntimeError: a batch of one" in line for line in found.clues)


def test_where_only_one_dtype_fails_it_is_said() -> None:
    loss = lambda p, t, s: right_nll(p.float(), t.float(), s.float()).to(p.dtype)  # noqa: E731
    found = diagnosis_of(loss, "poisson_nll")
    assert found.dtype == "float64" and found.clues[0] == "fails in float64 eager; conformant in float32 eager"


def test_what_ships_here_is_not_explained_by_itself(golden: GoldenSet) -> None:
    liar = next(liar for liar in BANK if liar.name == "stirling-for-lgamma")
    subject = subject_of(liar, load_backend("torch"), golden.cases, "float64")
    assert diagnose(subject, golden.cases, bank("torch")).said == ("liar stirling-for-lgamma",)
    found = diagnose(replace(subject, ships_here=True), golden.cases, bank("torch"))
    assert found.said == ("unknown",) and not any("cut to" in line for line in found.clues)


def only(name: str) -> Any:
    return HONEST[name](operations("torch"))


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


def test_two_liars_that_no_case_tells_apart_are_both_named() -> None:
    right = only("amplitude_mae")
    profile = declare("contract", {"mask": "keyword"})
    found = diagnosis_of(lambda p, t, mask=None: right(p, t), "amplitude_mae", dtype="float64", profile=profile)
    assert set(found.said) == {"liar mae-mask-ignored", "liar mae-mask-inverted"}


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
