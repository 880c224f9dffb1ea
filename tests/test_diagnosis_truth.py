"""Half precision, second faults, factors that are none: what is said of them is so to the letter."""

import re
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from diagnosed import diagnosis_of, only, right_nll
from torch import Tensor
from torch.nn.functional import l1_loss

from conformance.diagnosis.places import apart
from conformance.profile import declare


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_right_formula_in_half_precision_is_no_known_lie(dtype: str) -> None:
    right = only("amplitude_mae")
    for loss in (l1_loss, lambda p, t: right(p.float(), t.float()).to(p.dtype)):
        found = diagnosis_of(loss, "amplitude_mae", dtype=dtype)
        assert found.said == ("unknown",), found.said
        assert any(f"value: dtype {dtype}, wanted float32" in line for line in found.clues), found.clues


def test_a_known_lie_with_a_second_fault_is_another_one() -> None:
    def stirling(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        k = (s * t) ** 2
        return right_nll(p, t, s) + torch.where(k > 1, k * k.log() - k + 0.5 * (2 * 3.14159265 * k).log(), 0.0).mean()

    def lgamma(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return right_nll(p, t, s) + (1 + 1e-9) * torch.lgamma((s * t) ** 2 + 1).mean()

    for loss in (stirling, lgamma):
        found = diagnosis_of(loss, "poisson_nll", dtype="float64")
        assert found.said == ("unknown",), found.said
    doubled = diagnosis_of(lambda p, t: 2 * (1 + 5e-9) * only("amplitude_l2_mae")(p, t), "amplitude_l2_mae")
    assert not any("weight-of-2" in said for said in doubled.said), doubled.said


class Unweighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(p, t)
        return (p.float() - t.float()).abs().mean()

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        p, t = ctx.saved_tensors
        return (torch.sign(p.float() - t.float()) / p.numel()).to(p.dtype), None


def test_a_factor_within_the_tolerance_of_none_is_no_relation() -> None:
    found = diagnosis_of(Unweighted.apply, "amplitude_mae", dtype="float16")
    assert not [said for said in found.said if said.startswith("factor")], found.said


def test_a_layout_beside_another_reduction_is_no_explanation_where_it_changes_nothing() -> None:
    def loss(p: Tensor, t: Tensor) -> Tensor:
        value = only("amplitude_l2_mae")(p, t) * (p.numel() // p.shape[0])
        return value * (1.125 if p.shape[1] == 1 else 1)

    found = diagnosis_of(loss, "amplitude_l2_mae", dtype="float64")
    assert not [said for said in found.said if "layout" in said], found.said


def test_an_ignored_upstream_gradient_is_said_to_be() -> None:
    found = diagnosis_of(lambda p, t: Unweighted.apply(p, t) * 1.0, "amplitude_mae", dtype="float32")
    assert found.said == ("liar mae-upstream-ignored",), found.said
    lines = [
        line for line in found.clues if "the gradient of -65536 times the loss is 1 times that of the loss" in line
    ]
    assert len(lines) == 1, found.clues
    calls = count()
    forgetful = diagnosis_of(lambda p, t: only("amplitude_mae")(p, t) * (1 + next(calls) % 2), "amplitude_mae")
    assert any("it keeps a state, draws, or reads memory" in line for line in forgetful.clues)


@pytest.mark.parametrize(
    ("reduction", "reduce"), [("none", lambda e: e), ("sample", lambda e: e.mean((1, 2, 3)))], ids=["none", "sample"]
)
def test_a_convention_without_an_affine_map_is_diagnosed_too(reduction: str, reduce: Any) -> None:
    profile = declare("contract", {"reduction": reduction})
    found = diagnosis_of(lambda p, t: 2 * reduce((p - t).abs()), "amplitude_mae", dtype="float64", profile=profile)
    assert found.said == ("factor value 2, gradient 2",), found.said


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Tensor:  # type: ignore[override]
        return given.clamp(-1, 1)


def test_a_factor_that_the_second_call_does_not_have_is_none() -> None:
    found = diagnosis_of(lambda p, t: 2 * Clipped.apply(only("amplitude_mae")(p, t)), "amplitude_mae")
    assert not [said for said in found.said if said.startswith("factor")], found.said
    assert "only values are wrong, every gradient compared is right" in found.clues[0], found.clues


def test_a_gradient_that_is_cut_is_not_said_to_come_of_other_bits() -> None:
    found = diagnosis_of(lambda p, t: Clipped.apply(only("amplitude_mae")(p, t)), "amplitude_mae")
    assert not any("different bits" in line for line in found.clues), found.clues
    profile = declare("contract", {"reduction": "none"})
    each = diagnosis_of(lambda p, t: Clipped.apply((p - t).abs()), "amplitude_mae", dtype="float64", profile=profile)
    assert any("mixes, clips or leaves out the gradients" in line for line in each.clues), each.clues


def test_what_returns_no_tensor_is_not_said_to_raise() -> None:
    found = diagnosis_of(lambda p, t: float((p - t).abs().mean()), "amplitude_mae")
    text = " ".join(found.clues)
    assert "it returns no tensor of the framework in" in text and "it raises" not in text, text


def test_a_first_answer_that_is_not_given_again_is_said_to_be() -> None:
    seen: set[tuple[int, ...]] = set()

    def lazy(p: Tensor, t: Tensor) -> Tensor:
        first = p.shape not in seen
        seen.add(p.shape)
        return only("amplitude_mae")(p, t) * (2 if first else 1)

    found = diagnosis_of(lazy, "amplitude_mae")
    assert any("gets another answer: it keeps a state" in line for line in found.clues), found.clues
    assert not any("still fails when cut" in line for line in found.clues), found.clues


def test_a_place_of_the_gradient_is_said_to_be_one_where_values_are_wrong_elsewhere() -> None:
    def loss(p: Tensor, t: Tensor) -> Tensor:
        d = torch.cat([(p - t).detach()[:, :, :1], (p - t)[:, :, 1:]], 2)
        value = (d * d.detach().sign()).mean()
        return value + 0.5 * value.detach()

    found = diagnosis_of(loss, "amplitude_mae", dtype="float64")
    assert "in the gradient only pixel row 0 differs" in found.clues, found.clues


def test_an_exact_tie_has_no_interval_where_any_subgradient_is_accepted() -> None:
    def lifted(p: Tensor, t: Tensor) -> Tensor:
        d = p - t
        return (torch.where(d == 0, 1.5, d.sign()).detach() * d).mean()

    found = diagnosis_of(lifted, "amplitude_mae", dtype="float64", ties="subgradient")
    shown = [line for line in found.clues if "wanted within" in line]
    assert not [line for line in shown if re.search(r"wanted within \[-?2\.2\d*e-308", line)], found.clues


def test_no_gradient_is_called_right_that_was_not_asked_for() -> None:
    right = only("amplitude_mae")
    hidden = lambda p, t: right(p, torch.where(t.isnan(), p, t))  # noqa: E731
    found = diagnosis_of(hidden, "amplitude_mae", dtype="float64", cases=["mae-nan-target", "mae-typical"])
    assert "only values are wrong, of no gradient was one asked" in found.clues[0], found.clues


def test_two_numbers_are_printed_on_their_own_sides() -> None:
    draws = np.random.default_rng(5)
    for low in draws.uniform(90, 110, 200):
        high = low * (1 + 10.0 ** -draws.uniform(0, 15))
        one, other = (float(text) for text in apart(float(low), float(high)))
        assert low <= one < other <= high
    assert apart(1.0, 8.0) == ("1", "8")
