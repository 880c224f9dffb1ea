"""Ways in which well-known suites turn green by mistake. Each must stay red here."""

from collections.abc import Callable
from dataclasses import fields, replace
from math import inf, nan
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conformance import BackendError, UsageError, check_loss
from conformance.backends import load_backend
from conformance.backends.answer import Answer
from conformance.case import Case, Question
from conformance.check import Conformance
from conformance.exit_codes import ExitCode
from conformance.judge import exit_code, judge_case
from conformance.verdict import Verdict, element_margins, judge_answer, margins, worst_element


def _verdict(**changes: Any) -> Verdict:
    blank = Verdict("case", "amplitude_mae", "torch", "float32", "eager", "cpu", "pass", 0.0, 0.0)
    return replace(blank, **changes)


def _true_answer(case: Case, dtype: str = "float64") -> Answer:
    return Answer.of(case.truth.value.astype(dtype), case.truth.gradient.astype(dtype))


def test_all_skipped_is_not_success() -> None:
    assert exit_code([_verdict(status="skip"), _verdict(status="skip")]) == ExitCode.NOTHING_CHECKED


def test_an_empty_case_list_is_not_success() -> None:
    assert exit_code([]) == ExitCode.NOTHING_CHECKED
    result = check_loss(lambda p, t: p, loss="amplitude_mae", cases=["no-such-case"])
    assert not result.conformant and result.worst_margin == inf and result.summary == "nothing was checked"


@pytest.mark.parametrize("status", ["fail", "error"])
def test_one_failure_among_a_hundred_passes_is_failure(status: str) -> None:
    assert exit_code([_verdict()] * 100 + [_verdict(status=status)]) == ExitCode.NOT_CONFORMANT


def test_a_summary_names_the_first_failure_with_its_case() -> None:
    bad = _verdict(status="fail", case_id="mae-x", message="value: got 1", why="p = t")
    expected = "1 of 2 verdicts fail, first mae-x (torch float32 eager): value: got 1 [case: p = t]"
    assert Conformance((_verdict(), bad)).summary == expected
    assert Conformance((_verdict(),)).summary == "conformant: 1 verdicts, worst margin 0"


def test_an_error_counts_as_an_infinite_margin() -> None:
    assert Conformance((_verdict(status="error", value_margin=nan),)).worst_margin == inf


def test_a_framework_that_does_not_import_is_missed_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "conformance.backends.torch_backend", None
    )  # what Python does for a module that cannot be imported
    with pytest.raises(BackendError, match="backend torch: does not import"):
        load_backend("torch")


def test_an_unknown_backend_loss_or_dtype_is_refused() -> None:
    with pytest.raises(UsageError, match="backend: got 'numpy'"):
        load_backend("numpy")
    with pytest.raises(UsageError, match="loss: got 'mae'"):
        check_loss(lambda p, t: p, loss="mae")
    with pytest.raises(UsageError, match="dtype: got none"):
        check_loss(lambda p, t: p, loss="amplitude_mae", dtype=())


def test_not_supported_is_an_error_not_a_pass(case_of: dict[str, Case]) -> None:
    def unsupported(p: Any, t: Any) -> Any:
        raise NotImplementedError("not supported on this device")

    result = check_loss(unsupported, loss="amplitude_mae", cases=["mae-typical"])
    assert {verdict.status for verdict in result.verdicts} == {"error"}
    assert "not supported on this device" in result.verdicts[0].message


@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "margin"),
    [
        (nan, nan, 1.0, inf),
        (nan, 0.0, inf, inf),
        (inf, inf, 1.0, 0.0),
        (inf, -inf, 1.0, inf),
        (inf, 1.0, 1.0, inf),
        (1.0, inf, 1.0, inf),
        (1.0, 1.0, 0.0, 0.0),
        (1.0 + 2**-52, 1.0, 0.0, inf),
        (1.5, 1.0, inf, inf),
        (1.5, 1.0, nan, inf),
        (1.0, 1.0, nan, inf),
        (1.5, 1.0, -1.0, inf),
        (1.5, 1.0, 1.0, 0.5),
    ],
)
def test_margins_of_odd_numbers(actual: float, expected: float, tolerance: float, margin: float) -> None:
    got = margins(np.array([actual]), np.array([expected]), np.array([tolerance]))
    assert got.tolist() == [margin]


def test_nothing_to_compare_is_an_error() -> None:
    for shapes in ((0, 0, 0), (2, 2, 3), (2, 3, 2), (3, 2, 2)):
        with pytest.raises(ValueError, match="cannot compare"):
            worst_element(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_wrong_gradient_element_is_enough(case_of: dict[str, Case], dtype: str) -> None:
    case = case_of["l2-large"]
    answer = _true_answer(case, dtype)
    assert judge_answer(case, answer, dtype, "strict")[0] == "pass"
    answer.gradient[1, 2, 3, 4] *= 2
    status, _, margin, message = judge_answer(case, answer, dtype, "strict")
    assert status == "fail" and margin > 1 and "gradient[1, 2, 3, 4]" in message


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: replace(a, value_dtype="float32"), "value: dtype float32, wanted float64"),
        (lambda a: replace(a, gradient_dtype="float32"), "gradient: dtype float32, wanted float64"),
        (lambda a: Answer.of(a.value.astype("complex128"), a.gradient), "value: dtype complex128, wanted float64"),
        (lambda a: Answer.of(a.value, a.gradient.astype("i4")), "gradient: dtype int32, wanted float64"),
        (lambda a: replace(a, value=a.value[None]), "value: shape (1,), wanted ()"),
        (lambda a: replace(a, gradient=a.gradient[:1]), "gradient: shape (1, 1, 8, 8), wanted (2, 1, 8, 8)"),
        (lambda a: replace(a, gradient=a.gradient * nan), "got nan"),
        (lambda a: replace(a, value=a.value * inf), "got inf"),
        (lambda a: replace(a, misdeeds=("the target was modified in place",)), "the target was modified in place"),
    ],
    ids=[
        "value-dtype",
        "gradient-dtype",
        "complex",
        "integer",
        "value-shape",
        "gradient-shape",
        "nan",
        "inf",
        "misdeed",
    ],
)
def test_form_is_part_of_the_verdict(case_of: dict[str, Case], spoil: Callable[[Answer], Answer], said: str) -> None:
    case = case_of["l2-typical"]
    status, _, _, message = judge_answer(case, spoil(_true_answer(case)), "float64", "strict")
    assert status == "fail" and said in message


def test_an_answer_of_another_form_has_no_margins(case_of: dict[str, Case]) -> None:
    case = case_of["l2-field"]
    right = Answer.of(case.truth.value, case.truth.gradient)
    found = element_margins(case, right, "float64")
    assert found is not None and max(array.max() for array in found) <= 1
    for other in (
        Answer.of(right.value, right.gradient.real),
        Answer.of(right.value, right.gradient[:1]),
        Answer.of(right.value[None], right.gradient),
    ):
        assert element_margins(case, other, "float64") is None
        assert judge_answer(case, other, "float64", "strict")[:3] == ("fail", inf, inf)


class _Spy:
    """A backend that hands over all it is given."""

    name = "spy"
    modes = ("eager",)

    def __init__(self) -> None:
        self.seen: list[Question] = []

    def environment(self, device: str) -> dict[str, str]:
        return {}

    def shipped(self, question: Question) -> Callable[..., Any]:
        return lambda: None

    def answer(
        self, codepath: Any, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float
    ) -> Answer:
        self.seen.append(question)
        question.prediction[...] = 0
        return Answer.of(np.zeros(question.value_shape), np.zeros(question.prediction.shape))


def test_a_codepath_sees_neither_the_answer_nor_the_judges_arrays(case_of: dict[str, Case]) -> None:
    spy, case = _Spy(), case_of["l2-typical"]
    judge_case(spy, spy.shipped(case.question), case, dtype="float64", mode="eager", device="cpu", ties="strict")
    (seen,) = spy.seen
    assert not hasattr(seen, "truth") and {field.name for field in fields(seen)} <= set(vars(case.question))
    assert seen.prediction is not case.question.prediction and np.all(case.question.prediction > 0)


def test_a_loss_that_is_right_and_modifies_its_input_is_rejected() -> None:
    def greedy(p: Any, t: Any) -> Any:
        value = (p - t).abs().mean()
        t.mul_(2)
        return value

    result = check_loss(greedy, loss="amplitude_mae", cases=["mae-typical"])
    assert "target was modified in place" in result.failures[0].message


def test_a_loss_cut_off_from_its_input_is_rejected() -> None:
    result = check_loss(lambda p, t: (p.detach() - t).abs().mean(), loss="amplitude_mae", cases=["mae-equal"])
    assert not result.conformant
    assert "does not depend on the prediction" in result.failures[0].message


def test_a_tensorflow_loss_cut_off_from_its_input_is_rejected() -> None:
    import tensorflow as tf

    def cut(p: Any, t: Any) -> Any:
        return tf.reduce_mean(tf.abs(tf.stop_gradient(p) - t))

    result = check_loss(cut, loss="amplitude_mae", framework="tensorflow", cases=["mae-equal"], mode="all")
    assert {verdict.status for verdict in result.verdicts} == {"fail"}
    assert all("gradient with respect to the prediction is None" in v.message for v in result.verdicts)


@pytest.mark.parametrize("returned", [3.0, None, SimpleNamespace(dtype="float32")], ids=["float", "none", "object"])
def test_a_loss_that_returns_no_tensor_is_an_error(returned: object) -> None:
    for framework in ("torch", "tensorflow"):
        result = check_loss(lambda p, t: returned, loss="amplitude_mae", framework=framework, cases=["mae-typical"])
        assert {verdict.status for verdict in result.verdicts} == {"error"}
