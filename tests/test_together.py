"""Many losses in one compiled program: each has its own answer, the one that it has alone."""

from importlib import import_module
from typing import Any

import pytest

from conformance.backends import load_backend
from conformance.backends.answer import kind
from conformance.case import Case
from conformance.golden import GoldenSet
from conformance.liars import compiled
from conformance.liars.bank import bank
from conformance.liars.operations import operations
from conformance.liars.score import HONEST, Kill, Score
from conformance.tolerance import loss_scale
from conformance.verdict import judge_answer

CASES = ("l2-field-mask", "nll-mask-clamp", "l2-view-ids", "l2-wrt-target-batch")
COMPILERS = (
    ("torch", "conformance.liars.torch_together", "aot_eager"),
    ("tensorflow", "conformance.liars.tensorflow_together", "function"),
    ("jax", "jax_together", "jit"),
    ("jax", "jax_together", "grad_of_jit"),
    ("jax", "jax_together", "vmap"),
)


@pytest.mark.parametrize(("framework", "module", "compiler"), COMPILERS)
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_right_loss_passes_between_two_wrong_ones(
    golden: GoldenSet, framework: str, module: str, compiler: str, dtype: str
) -> None:
    backend = load_backend(framework)
    asked = [case for case in golden.cases if case.question.case_id in CASES and case.question.holds(dtype)]
    assert len(asked) >= 2
    for case in asked:
        right = backend.shipped(case.question)

        def wrong(*operands: Any, right: Any = right, **arrays: Any) -> Any:
            return right(*operands, **arrays) * 1.125

        program = import_module(module).program([wrong, right, wrong], case.question, dtype, compiler)
        answers = program(case.question, loss_scale(case.truth.gradient, dtype))
        said = [judge_answer(case, answer, dtype, "strict")[0] for answer in answers]
        assert said == ["fail", "pass", "fail"], case.question.case_id


@pytest.mark.parametrize(("framework", "module", "compiler"), COMPILERS)
def test_a_program_answers_another_case_of_its_kind_with_that_ones_numbers(
    golden: GoldenSet, framework: str, module: str, compiler: str
) -> None:
    backend, dtype = load_backend(framework), "float16"
    alike: dict[object, list[Case]] = {}
    for case in golden.cases:
        if case.question.holds(dtype):
            alike.setdefault(kind(case.question), []).append(case)
    some = [cases for cases in alike.values() if len(cases) > 1 and cases[0].question.parameters.scale is not None]
    assert some
    for cases in some[:2]:
        scales = [loss_scale(case.truth.gradient, dtype) for case in cases]
        assert len({case.truth.value.tobytes() for case in cases}) > 1
        program = import_module(module).program(
            [backend.shipped(cases[0].question)], cases[0].question, dtype, compiler
        )
        for case, scale in zip(cases, scales):
            (answer,) = program(case.question, scale)
            assert judge_answer(case, answer, dtype, "strict")[0] == "pass", case.question.case_id


@pytest.mark.parametrize(("by", "status"), [("value", "equivalent"), ("gradient", "equivalent"), ("error", "survived")])
def test_a_compiler_that_fails_is_no_proof_that_it_undid_a_lie(
    golden: GoldenSet, monkeypatch: pytest.MonkeyPatch, by: str, status: str
) -> None:
    liar = bank("torch")[0]
    alive = Score(liar.name, "torch", "float32", "compile", (), 5)
    dead = Score(liar.name, "torch", "float32", "compile", (Kill("l2-typical", 2.0, by),), 5)
    told = iter([alive, dead])
    monkeypatch.setattr(compiled, "score", lambda *_, **__: next(told))
    asked = liar, load_backend("torch"), golden.cases, "float32"
    assert compiled._alone(*asked, "compile", {}).status == status
    told = iter([alive, dead])
    assert compiled._alone(*asked, "aot_eager", {}).status == "survived"
    assert next(told) is dead


@pytest.mark.parametrize(
    ("framework", "compiler"),
    [("torch", "aot_eager"), ("torch", "inductor"), ("tensorflow", "function"), ("tensorflow", "xla")],
)
def test_the_loss_that_wrong_ones_are_made_of_keeps_its_nan_where_it_is_compiled(
    golden: GoldenSet, framework: str, compiler: str
) -> None:
    """Inductor makes 0 of 0 times a number that is not finite: its norm would be finite where the squares overflow."""
    asked = [
        case for case in golden.cases if case.question.case_id in ("l2-overflow", "l2-overflow-target", "l2-typical")
    ]
    assert len(asked) == 3
    program = import_module(f"conformance.liars.{framework}_together").program
    for case in asked:
        honest = HONEST[case.question.loss](operations(framework))
        (answer,) = program([honest], case.question, "float32", compiler)(case.question, 1.0)
        assert compiled.ties_of_right(case, answer, "float32"), case.question.case_id
