"""What a person is told of a failing loss: the cause where there is one, else facts that are true."""

import re
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from diagnosed import diagnosis_of, right_nll, subject_of
from torch import Tensor

from conformance import check_loss
from conformance.backends import load_backend
from conformance.diagnosis import diagnose
from conformance.golden import GoldenSet
from conformance.liars.amplitude_parts import L2_PARTS, amplitude_loss
from conformance.liars.bank import BANK, bank
from conformance.liars.operations import operations
from conformance.liars.score import HONEST
from conformance.profile import declare

EPS = 2.0**-40


def norm(x: Tensor) -> Tensor:
    return x.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(EPS)


def detached(p: Tensor, t: Tensor) -> Tensor:
    return (p / norm(p).detach() - t / norm(t)).abs().mean()


def summed_per_sample(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
    k = (s * t) ** 2
    return (right_nll(p, t, s) * p.numel() + torch.lgamma(k + 1).sum()) / p.shape[0]


def test_of_a_conformant_loss_there_is_no_diagnosis() -> None:
    assert check_loss(right_nll, loss="poisson_nll", cases=["nll-typical"]).diagnosis is None


def test_another_convention_is_named_with_what_declares_it_and_the_map() -> None:
    found = diagnosis_of(summed_per_sample, "poisson_nll")
    assert found.said == ("convention reduction=sample_sum constant=lgamma",)
    text = "\n".join(found.lines)
    assert "--profile torch-sample-sum-lgamma makes it conformant in float64: 47 golden cases" in text
    assert "alpha = [C H W] / [1]" in text and "[sum lgamma(k + 1)]" in text
    declared = check_loss(summed_per_sample, loss="poisson_nll", profile="torch-sample-sum-lgamma")
    assert declared.conformant


def test_a_user_s_own_detached_norm_is_recognised() -> None:
    found = diagnosis_of(detached, "amplitude_l2_mae")
    assert found.said == ("liar norm-detached",)
    assert any("the gradient lacks - phat <s, phat>" in line for line in found.lines)
    assert any("only gradients are wrong, every value compared is right" in line for line in found.lines)
    assert not any(line.startswith("fails exactly") for line in found.clues)  # nothing sets the failing cases apart


def test_norms_over_the_batch_are_a_convention_with_few_golden_cases() -> None:
    right = amplitude_loss(L2_PARTS, scope="batch")(operations("torch"))
    found = diagnosis_of(right, "amplitude_l2_mae")
    assert found.said[0] == "convention scope=batch"
    assert found.findings[0].evidence == (
        "--set scope=batch makes it conformant in float64: 4 golden cases; and in all 52 that were asked it is right "
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
    assert undeclared.clues[0].startswith("with --profile torch-sample-sum all but 2 of 47 cases pass: nll-infinite")


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
    assert int(counts[1]) >= 10 and int(counts[1]) - int(counts[2]) in (0, 1)  # every other one


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
