"""What stands in for a GPU: every order of summation and every rounding that the hypotheses allow, on the golden set.

The bounds of docs/tolerances.md are theorems under hypotheses; here the three losses are computed by hand, in
arithmetic made as adversarial as those hypotheses permit, and every answer is held against the bound.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hand_amplitude import L2_FORMS, MAE_FORMS, l2_mae, mae
from hand_parts import Result, Setting
from hand_poisson import NLL_FORMS, poisson_nll
from numpy.typing import NDArray
from orders import ORDERS, Order
from rounded import Machine

from conformance.backends.answer import Answer
from conformance.case import Case, Parameters, Question, Truth
from conformance.golden import GoldenSet
from conformance.record import rounding_error
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.inputs import components_of
from conformance.tolerance.scopes import Scopes
from conformance.verdict import judge_answer, margins, tolerances

Array = NDArray[Any]
BY_HAND: dict[str, tuple[Callable[[Setting], Result], tuple[str, ...]]] = {
    "amplitude_l2_mae": (l2_mae, L2_FORMS),
    "amplitude_mae": (mae, MAE_FORMS),
    "poisson_nll": (poisson_nll, NLL_FORMS),
}
SOME = tuple(
    o for o in ORDERS if o.name in ("sequential", "descending", "negative-first", "block-of-128", "random-tree-1")
)
MACHINES = (
    (Machine("ieee"), ORDERS),
    (Machine("fused", fused=True), ORDERS),
    (Machine("flush", flush=True, reciprocal=True), SOME),
    (Machine("up", lean="up", flush=True), SOME),
    (Machine("down", lean="down", reciprocal=True), SOME),
    (Machine("apart", lean="apart"), SOME),
    (Machine("apart-reciprocal", lean="apart", reciprocal=True, flush=True), SOME),
    (Machine("together", lean="together", fused=True, flush=True, reciprocal=True), SOME),
    (Machine("mixed", lean="mixed", fused=True), SOME),
    (Machine("double", "float64"), ORDERS),
    (Machine("double-apart", "float64", lean="apart", reciprocal=True), SOME),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):  # overflow to inf and 0 / 0 are part of what is tried
        yield


@pytest.fixture(scope="module")
def finite(golden: GoldenSet) -> tuple[Case, ...]:
    """Every case with a finite truth."""
    return tuple(
        c for c in golden.cases if np.all(np.isfinite(c.truth.value)) and np.all(np.isfinite(c.truth.gradient))
    )


def one_weight(question: Question) -> bool:
    """True where all elements of a scope have one weight, so that it can be applied last."""
    scopes, weight = Scopes(question), np.broadcast_to(question.weight, question.prediction.shape)
    largest = scopes.largest(np.where(question.valid, weight, 0.0))
    return bool(np.all(np.where(question.valid, weight, largest) == largest))


def forms_of(question: Question) -> tuple[str, ...]:
    _, forms = BY_HAND[question.loss]
    return forms if one_weight(question) else tuple(form for form in forms if form != "uniform")


class Allowed:
    """The truth of a case with the tolerances of one dtype."""

    def __init__(self, case: Case, dtype: str) -> None:
        derived, *self.tolerances = tolerances(case, dtype)
        self.overflow, self.true = derived.overflow, (case.truth.value, components_of(case.truth.gradient))

    def margins(self, result: Result, spoiled: float = 1.0) -> tuple[Array, Array]:
        """Return, per order, the largest margin of value and of gradient; where numbers may overflow, NaN is right."""
        found = []
        for got, true, tolerance in zip((result.value, result.gradient * spoiled), self.true, self.tolerances):
            got = np.where(self.overflow & ~np.isfinite(got), true, got.astype(float))
            found.append(np.max(margins(got, true, tolerance).reshape(got.shape[0], -1), axis=1))
        return found[0], found[1]


@pytest.fixture(scope="module")
def allowed(finite: tuple[Case, ...]) -> dict[tuple[str, str], Allowed]:
    return {(case.question.case_id, dtype): Allowed(case, dtype) for case in finite for dtype in ARITHMETICS}


@pytest.mark.parametrize(("machine", "orders"), MACHINES, ids=lambda x: x.name if isinstance(x, Machine) else "")
def test_no_order_and_no_rounding_exceeds_the_tolerance(
    finite: tuple[Case, ...], allowed: dict[tuple[str, str], Allowed], machine: Machine, orders: tuple[Order, ...]
) -> None:
    worst: dict[str, tuple[float, str]] = {}
    for case in finite:
        if not case.question.holds(machine.dtype):
            continue
        by_hand, _ = BY_HAND[case.question.loss]
        for form in forms_of(case.question):
            both = allowed[case.question.case_id, machine.dtype].margins(by_hand(Setting(case, machine, form, orders)))
            for quantity, found in zip(("value", "gradient"), both):
                k = int(np.argmax(found))
                where = f"{case.question.case_id}, {form}, {orders[k % len(orders)].name}"
                key = f"{case.question.loss} {quantity}"
                worst[key] = max(worst.get(key, (0.0, "")), (float(found[k]), where))
    for key, (margin, where) in worst.items():
        print(f"{machine.name:>17} {key:<26} {margin:.3f}  {where}")
    assert {key: entry for key, entry in worst.items() if not entry[0] <= 1} == {}
    assert len(worst) == 6


def test_the_cases_cover_what_the_contract_offers(finite: tuple[Case, ...]) -> None:
    assert len(finite) > 180
    offered = {
        "scope": {"sample", "patch", "view", "batch"},
        "gain": {"unit_l2", "unit_rms"},
        "domain": {"amplitude", "intensity", "field"},
        "reduction": {"mean", "sum", "sample", "sample_sum", "none"},
        "constant": {"none", "lgamma", "stirling", "saturated"},
        "rate_guard": {"none", "clamp", "log_add"},
        "normaliser": {"none", "batch_mean_amplitude", "frozen_mean_intensity"},
        "wrt": {"prediction", "target"},
    }
    for name, choices in offered.items():
        assert {getattr(case.question.parameters, name) for case in finite} == choices
    assert sum(case.question.mask is not None for case in finite) > 30


def small(cases: tuple[Case, ...]) -> list[Case]:
    return [c for c in cases if c.question.prediction[0].size <= 256 and c.question.prediction.size <= 512]


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_a_stated_small_defect_is_seen_in_every_order(
    finite: tuple[Case, ...], allowed: dict[tuple[str, str], Allowed], dtype: str
) -> None:
    """4096 u in the gradient, beside what the order does, fails each untied case of at most 256 elements a sample.

    All but those whose rates are within noise of many counts: there a correct autodiff of lambda - k log lambda
    cancels, by as much as the tolerance allows.
    """
    unseen, judged = [], 0
    for case in small(finite):
        if case.has_ties or not np.any(case.truth.gradient) or not case.question.holds(dtype):
            continue
        by_hand, forms = BY_HAND[case.question.loss]
        result = by_hand(Setting(case, Machine("ieee", dtype), forms[0], ORDERS))
        _, found = allowed[case.question.case_id, dtype].margins(result, 1 + 4096 * ARITHMETICS[dtype].unit)
        judged += 1
        if not np.all(found > 1):
            unseen.append(case.question.case_id)
    assert judged > 100
    assert all(name.startswith(("nll-shot-noise", "nll-double-close")) for name in unseen)


def test_a_forgotten_term_is_seen_in_every_order(
    finite: tuple[Case, ...], allowed: dict[tuple[str, str], Allowed]
) -> None:
    """Every sum forgets its term of median size, a lane that is not added: seen by nearly all cases of loss 1.

    Not by those without sums (reduction none), without anything to add, or with p = t.
    """
    seen = {loss: np.zeros(len(ORDERS)) for loss in BY_HAND}
    judged = dict.fromkeys(BY_HAND, 0)
    for case in small(finite):
        if not case.question.holds("float32"):
            continue
        loss = case.question.loss
        by_hand, forms = BY_HAND[loss]
        both = allowed[case.question.case_id, "float32"].margins(
            by_hand(Setting(case, Machine("ieee"), forms[0], ORDERS, lose=True))
        )
        judged[loss] += 1
        seen[loss] += (both[0] > 1) | (both[1] > 1)
    share = {loss: float(np.min(seen[loss])) / judged[loss] for loss in BY_HAND}
    assert share["amplitude_l2_mae"] >= 0.9
    assert share["amplitude_mae"] >= 0.7
    assert share["poisson_nll"] >= 0.7


def test_a_contracted_difference_is_judged_by_subgradients(finite: tuple[Case, ...]) -> None:
    """Signs of fma(p, 1 / P, -t / T) are arbitrary at ties: refused strictly, and still some subgradient."""
    contracting = Machine("contracting", fused=True)
    refused = []
    for case in small(finite):
        question = case.question
        if question.loss != "amplitude_l2_mae" or not case.has_ties or question.parameters.domain == "field":
            continue
        result = l2_mae(Setting(case, contracting, "product", SOME[:1]), contracted_signs=True)
        answer = Answer(result.value[0].astype(float), result.gradient[0].astype(float), "float32", "float32")
        assert judge_answer(case, answer, "float32", "subgradient")[0] == "pass", question.case_id
        if judge_answer(case, answer, "float32", "strict")[0] == "fail":
            refused.append(question.case_id)
    assert "l2-equal" in refused


def uneven(pixels: int) -> Question:
    """One valid pixel in the first sample, all in the second, one scope: weights 1 and 1 / pixels^2."""
    shape = (2, 1, pixels, pixels)
    p = np.random.default_rng(5).integers(1, 9, shape).astype(float)
    t = p[:, :, ::-1] + 1
    mask = np.zeros(shape, np.bool_)
    mask[0, 0, 0, 0], mask[1] = True, True
    p[:, 0, 0, 0], t[:, 0, 0, 0] = (2.0**14, 2.0**12), 2.0**13
    return Question("uneven", "amplitude_l2_mae", Parameters(scope="batch", reduction="sample"), p, t, mask)


@pytest.mark.parametrize("form", [form for form in L2_FORMS if form != "uniform"])
def test_weights_may_differ_within_a_scope(form: str) -> None:
    """A sample with one valid pixel weighs more, in the coupling of every other sample of its scope too.

    A tolerance that multiplied the coupling by the weight of the element itself would be exceeded thirteenfold.
    """
    question = uneven(16)
    zero = np.zeros(question.prediction.shape)
    norms = [np.sqrt(np.sum(np.square(x), where=question.valid)) for x in (question.prediction, question.target)]
    sign = np.sign(question.prediction / norms[0] - question.target / norms[1]) * question.valid
    blank = Case(question, Truth(np.zeros(2), zero, sign.astype(np.int8), np.zeros(2), zero))
    true = l2_mae(Setting(blank, Machine("double", "float64"), "closed", SOME[:1]))
    value, gradient = true.value[0], true.gradient[0]
    truth = replace(blank.truth, value=value, gradient=gradient, value_error=rounding_error(value))
    case = replace(blank, truth=replace(truth, gradient_error=rounding_error(gradient)))
    bound = Allowed(case, "float32")
    for machine, orders in MACHINES:
        if machine.dtype == "float32":
            value_margins, gradient_margins = bound.margins(l2_mae(Setting(case, machine, form, orders)))
            assert max(value_margins) <= 1
            assert max(gradient_margins) <= 1, machine.name
