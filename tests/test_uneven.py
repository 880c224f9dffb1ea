"""Several returned numbers have a weight each at the second call, as in a loss of terms or a weighted batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance import check_loss
from conformance.backends import load_backend
from conformance.case import Case
from conformance.judge import judge_case
from conformance.liars.operations import operations
from conformance.profile import declare
from conformance.uneven import of_gradient, uneven

SEPARABLE = ["l2-per-sample", "l2-per-element", "l2-view-per-sample", "l2-field-per-element", "mae-per-sample",
             "mae-per-element", "mae-mask-per-element", "nll-per-element", "nll-infinite-per-element"]  # fmt: skip
TURNS = "-65536, -32768 and -16384"


@pytest.mark.parametrize("case_id", ["l2-typical", "nll-sample-sum", "l2-batch-unit-rms-per-sample"])
def test_one_number_and_what_shares_one_norm_has_one_weight(case_of: dict[str, Case], case_id: str) -> None:
    assert uneven(case_of[case_id].question) is None


def test_samples_take_turns_views_take_turns_and_elements_take_turns(case_of: dict[str, Case]) -> None:
    samples = uneven(case_of["l2-per-sample"].question)
    assert samples is not None and samples.tolist() == [1.0, 0.5, 0.25]
    assert of_gradient(samples).shape == (3, 1, 1, 1)
    elements = uneven(case_of["l2-per-element"].question)
    assert elements is not None and elements.shape == (3, 1, 1, 1)
    views, ids = uneven(case_of["l2-view-per-sample"].question), case_of["l2-view-per-sample"].question.view_ids
    assert views is not None and ids is not None and set(views) == {1.0, 0.5, 0.25}
    for view in np.unique(ids):
        assert np.unique(views[ids == view]).size == 1
    everywhere = uneven(case_of["mae-per-element"].question)
    assert everywhere is not None and everywhere.shape == case_of["mae-per-element"].question.prediction.shape
    assert everywhere.ravel()[:4].tolist() == [1.0, 0.5, 0.25, 1.0]


@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax"])
@pytest.mark.parametrize("case_id", SEPARABLE)
def test_a_backward_pass_that_mixes_what_it_is_given_is_rejected(
    case_of: dict[str, Case], framework: str, case_id: str
) -> None:
    case, backend, o = case_of[case_id], load_backend(framework), operations(framework)
    shipped = backend.shipped(case.question)
    how: dict[str, Any] = {"dtype": "float32", "mode": "eager", "device": "cpu", "ties": "strict"}
    assert judge_case(backend, shipped, case, **how).status == "pass"

    def mixed(turn: Callable[[Any], Any]) -> Callable[..., Any]:
        return lambda *operands, **arrays: o.reflect(shipped(*operands, **arrays), turn)

    for turn in (lambda g: o.ones(g) * o.mean(g), lambda g: o.concat([g[1:], g[:1]], 0)):
        verdict = judge_case(backend, mixed(turn), case, **how)
        assert verdict.status == "fail", verdict
        assert verdict.message.startswith(f"on the second call, of {TURNS} times the returned numbers by turns: ")


def test_mixing_is_said_to_be() -> None:
    import torch

    o = operations("torch")

    def loss(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return o.reflect((p - t).abs(), lambda g: o.ones(g) * o.mean(g))

    found = check_loss(loss, loss="amplitude_mae", profile=declare("contract", {"reduction": "none"}), dtype="float64")
    assert not found.conformant and found.diagnosis is not None
    said = " ".join((*found.diagnosis.said, *found.diagnosis.clues))
    assert "mixes, clips or leaves out" in said or "upstream-averaged" in said, said
