"""What an examination holds: both answers, whether they agree bit for bit, and how long it took."""

from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Any

import jax
import numpy as np
import pytest

from conformance import check_loss
from conformance.backends import load_backend
from conformance.case import Case
from conformance.judge import Examination, examine, judge_all, judge_case
from conformance.liars.operations import operations
from conformance.liars.score import HONEST

right = HONEST["amplitude_l2_mae"](operations("torch"))
HOW = {"mode": "eager", "device": "cpu", "ties": "strict"}


def _examined(loss: Any, case: Case, dtype: str = "float64") -> Examination:
    return examine(load_backend("torch"), loss, case, dtype=dtype, **HOW)


def test_a_right_loss_is_asked_twice_and_answers_alike(case_of: dict[str, Case]) -> None:
    start = perf_counter()
    found = _examined(right, case_of["l2-typical"])
    assert 0 < found.verdict.seconds <= perf_counter() - start
    assert found.verdict.status == "pass" and found.verdict.repeatable is True and len(found.answers) == 3
    assert (
        found.case is case_of["l2-typical"]
        and found.answers[0].value == found.answers[1].value == found.answers[2].value
    )


def test_two_answers_of_other_bits_are_said_to_be(case_of: dict[str, Case]) -> None:
    calls = count()
    found = _examined(lambda p, t: right(p, t) * (1 + 2.0**-52 * next(calls)), case_of["l2-typical"])
    assert found.verdict.status == "pass" and found.verdict.repeatable is False


def test_a_wrong_answer_ends_the_questions(case_of: dict[str, Case]) -> None:
    found = _examined(lambda p, t: 2 * right(p, t), case_of["l2-typical"])
    assert (found.verdict.status, found.verdict.repeatable, len(found.answers)) == ("fail", None, 1)


def test_a_wrong_second_answer_is_kept_beside_the_first(case_of: dict[str, Case]) -> None:
    calls = count()
    found = _examined(lambda p, t: right(p, t) * (1 + next(calls)), case_of["l2-typical"])
    assert (found.verdict.status, found.verdict.repeatable, len(found.answers)) == ("fail", False, 2)
    assert found.verdict.message.startswith("on the second call, of -65536 times the loss: value: got ")
    assert found.verdict.value_margin > 1


def test_an_exception_is_an_error_without_answers(case_of: dict[str, Case]) -> None:
    def broken(p: Any, t: Any) -> Any:
        raise SystemExit("no\nmore")

    found = _examined(broken, case_of["l2-typical"])
    assert (found.verdict.status, found.verdict.message, found.answers) == ("error", "SystemExit: no more", ())


def test_what_a_dtype_does_not_hold_is_skipped_with_its_reason(case_of: dict[str, Case]) -> None:
    found = _examined(right, case_of["l2-underflow"], "float16")
    assert (found.verdict.status, found.answers) == ("skip", ())
    assert found.verdict.message == "its inputs are no numbers of float16"


def test_all_are_judged_mode_by_mode_and_dtype_by_dtype(case_of: dict[str, Case]) -> None:
    backend = load_backend("torch")
    cases = [case_of["l2-typical"], case_of["l2-equal"]]
    found = judge_all(
        backend,
        lambda _: right,
        cases,
        dtypes=("float64", "float32"),
        modes=("eager", "strided"),
        device="cpu",
        ties="strict",
    )
    wanted = [(m, d, c.question.case_id) for m in ("eager", "strided") for d in ("float64", "float32") for c in cases]
    assert [(verdict.mode, verdict.dtype, verdict.case_id) for verdict in found] == wanted
    assert judge_case(backend, right, cases[0], dtype="float64", **HOW).status == "pass"


RULES: dict[str, Any] = {
    "torch": lambda o: lambda p, t: right_in(o)(p, t) * (1.0 if p.requires_grad else 2.0),
    "jax": lambda o: _halved_by_its_rule(right_in(o)),
    "tensorflow": lambda o: _counted_in_threes(right_in(o)),
}


def right_in(o: Any) -> Any:
    return HONEST["amplitude_l2_mae"](o)


def _halved_by_its_rule(loss: Any) -> Any:
    """The loss is twice what its rule of differentiation says that it is."""

    @jax.custom_vjp
    def doubled(p: Any, t: Any) -> Any:
        return 2 * loss(p, t)

    doubled.defvjp(lambda p, t: jax.vjp(loss, p, t), lambda back, given: back(given))
    return doubled


def _counted_in_threes(loss: Any) -> Any:
    """TensorFlow does not tell a loss whether a tape watches; calls are counted, then."""
    calls = count(1)
    return lambda p, t: loss(p, t) * (2.0 if next(calls) % 3 == 0 else 1.0)


@pytest.mark.parametrize("framework", RULES)
def test_a_value_of_its_own_without_a_gradient_is_seen(case_of: dict[str, Case], framework: str) -> None:
    o = operations(framework)
    loss = RULES[framework](o)
    asked = examine(load_backend(framework), loss, case_of["l2-typical"], dtype="float64", **HOW)
    assert (asked.verdict.status, len(asked.answers)) == ("fail", 3), asked.verdict
    assert asked.verdict.message.startswith("called without a gradient, as in validation: value: got ")
    if framework == "torch":
        diagnosis = check_loss(loss, loss="amplitude_l2_mae", dtype="float64").diagnosis
        said = "its value is wrong only where it is called without a gradient, as in validation"
        assert diagnosis is not None and any(said in clue for clue in diagnosis.clues), diagnosis


@pytest.mark.parametrize("wrong_from", [lambda call: call % 3 == 0, lambda call: call == 81 or call > 83])
def test_a_loss_that_counts_its_calls_is_not_said_to_differ_in_validation(wrong_from: Callable[[int], bool]) -> None:
    calls = count(1)
    found = check_loss(
        lambda p, t: right(p, t) * (1.5 if wrong_from(next(calls)) else 1), loss="amplitude_l2_mae", dtype="float64"
    )
    text = " ".join(found.diagnosis.clues) if found.diagnosis else ""
    assert "asked again not that one alone: it keeps a state, counts its calls or draws" in text, text
    assert "in validation" not in text


def test_a_loss_that_raises_without_a_gradient_is_said_to_do_that(case_of: dict[str, Case]) -> None:
    def asserting(p: Any, t: Any) -> Any:
        assert p.requires_grad
        return right(p, t)

    found = check_loss(asserting, loss="amplitude_l2_mae", dtype="float64")
    assert not found.conformant and found.diagnosis is not None and not found.diagnosis.findings
    text = " ".join(found.diagnosis.clues)
    assert "it raises only where it is called without a gradient, as in validation" in text
    assert "second of two calls" not in text and "cases pass" not in text


def test_a_misdeed_without_a_gradient_is_not_called_a_wrong_value(case_of: dict[str, Case]) -> None:
    def moving(p: Any, t: Any) -> Any:
        value = right(p, t)
        if not p.requires_grad:
            p.neg_()
        return value

    found = check_loss(moving, loss="amplitude_l2_mae", dtype="float64")
    text = " ".join(found.diagnosis.clues) if found.diagnosis else ""
    assert "it is wrong only where it is called without a gradient" in text and "every number that came back" in text


def test_a_backward_pass_that_clips_is_not_called_a_state(case_of: dict[str, Case]) -> None:
    def clipped(p: Any, t: Any) -> Any:
        value = right(p, t)
        value.register_hook(lambda given: given.clamp(-1, 1))
        return value

    found = check_loss(clipped, loss="amplitude_l2_mae", dtype="float64")
    text = " ".join(found.diagnosis.clues) if found.diagnosis else ""
    assert not found.conformant and "keeps a state, draws" not in text
    assert "does not multiply by the gradient" in text or "not linear in the gradient that it is given" in text


def test_numpy_that_raises_is_no_error_of_a_loss(case_of: dict[str, Case]) -> None:
    with np.errstate(all="raise"):
        assert check_loss(right, loss="amplitude_l2_mae").conformant
        assert np.geterr()["over"] == "raise"

    def setting(p: Any, t: Any) -> Any:
        np.seterr(all="raise")
        return right(p, t)

    before = np.geterr()
    assert check_loss(setting, loss="amplitude_l2_mae", dtype="float64").conformant
    assert np.geterr() == before
