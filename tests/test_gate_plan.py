"""Who is asked what by the gate: few programs, few cases in each, and nobody left out."""

from dataclasses import replace

import pytest

from conformance.backends import load_backend
from conformance.backends.answer import kind
from conformance.golden import GoldenSet
from conformance.liars import compiled, gate
from conformance.liars.bank import BANK, bank
from conformance.liars.compiled import A_FEW, EPSILONS_APART, gathered, hint
from conformance.liars.liar import Liar
from conformance.liars.score import HONEST, Kill, score


def _liar(name: str) -> Liar:
    return next(liar for liar in BANK if liar.name == name)


def test_every_liar_is_in_one_program_with_cases_of_its_own_that_are_of_one_kind(golden: GoldenSet) -> None:
    liars = [liar for liar in bank("torch") if liar.loss == "amplitude_l2_mae"][:40]
    programs = list(gathered(liars, golden.cases, "float32", {}))
    assert sorted(liar.name for shared in programs for liar in shared.liars) == sorted(liar.name for liar in liars)
    for shared in programs:
        assert len(shared.liars) <= compiled.TOGETHER
        assert len({kind(case.question) for case in shared.asked.values()}) == 1
        for liar, cases in zip(shared.liars, shared.cases, strict=True):
            assert cases and {case.question.case_id for case in cases} <= {
                case.question.case_id for case in liar.asked(golden.cases)
            }


def test_liars_that_die_of_other_numbers_share_a_program(golden: GoldenSet) -> None:
    killers = {"squared-error": "l2-typical", "nan-on-both-sides-is-0": "l2-nan-both"}
    kills = {(name, "float64"): (Kill(case_id, float("inf"), "value"),) for name, case_id in killers.items()}
    (shared,) = gathered([_liar(name) for name in killers], golden.cases, "float64", kills)
    assert [[case.question.case_id for case in cases] for cases in shared.cases] == [[own] for own in killers.values()]


def test_of_many_cases_that_kill_a_liar_a_few_are_asked(golden: GoldenSet) -> None:
    liar = _liar("squared-error")
    alike = [case.question.case_id for case in golden.cases if case.question.prediction.shape == (2, 1, 8, 8)]
    kills = {(liar.name, "float64"): tuple(Kill(case_id, float("inf"), "value") for case_id in alike)}
    (shared,) = gathered([liar], golden.cases, "float64", kills)
    assert len(shared.cases[0]) == A_FEW < len(alike)


def test_a_liar_that_can_be_asked_nothing_is_named(golden: GoldenSet) -> None:
    with pytest.raises(ValueError, match="squared-error: no case can be asked"):
        list(gathered([_liar("squared-error")], golden.cases[:0], "float64", {}))


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"float32": [("here", 2.0)], "float64": [("there", float("inf"))]}, ["here"]),
        ({"float64": [("small", EPSILONS_APART / 2), ("large", 2 * EPSILONS_APART)]}, ["large"]),
        ({"float64": [("small", 2.0)]}, ["small"]),
        ({"float32": [], "float64": []}, []),
        ({}, []),
    ],
    ids=["its-own-dtype-first", "the-large-of-another", "rather-than-nothing", "no-kill", "unknown"],
)
def test_what_killed_a_liar_in_another_dtype_is_a_hint_where_the_error_is_large(
    known: dict[str, list[tuple[str, float]]], wanted: list[str]
) -> None:
    liar = _liar("squared-error")
    kills = {(liar.name, dtype): tuple(Kill(*kill, "value") for kill in found) for dtype, found in known.items()}
    assert hint(liar, "float32", kills) == wanted


def test_enough_kills_are_enough_and_without_a_number_all_are_found(golden: GoldenSet) -> None:
    asked = _liar("squared-error"), load_backend("torch"), golden.cases[:40], "float64", "eager"
    whole = score(*asked)
    assert len(whole.kills) > 3
    assert score(*asked, enough=3).kills == whole.kills[:3]
    assert len(score(*asked, first=()).kills) == 1


def test_every_framework_mode_and_dtype_is_asked_of_everyone() -> None:
    dtypes = ("float32", "float64")
    names = [liar.name for liar in bank("torch")]
    first = gate._first(names, dtypes)
    kills = {(name, task.dtype): () for task in first for name in task.names}
    tasks = first + gate._rest(("torch", "tensorflow"), ("eager", "aot_eager", "function", "xla"), dtypes, kills)
    for framework, modes in gate.MODES.items():
        for mode in set(modes) - {"compile"}:
            for dtype in dtypes:
                asked = [
                    name
                    for task in tasks
                    if (task.framework, task.dtype) == (framework, dtype) and mode in task.modes
                    for name in task.names
                ]
                assert sorted(asked) == sorted(liar.name for liar in bank(framework)), (framework, mode, dtype)


def test_function_and_xla_answer_what_each_answers_by_itself(golden: GoldenSet) -> None:
    from conformance.liars.tensorflow_together import program, programs

    traced = list[str]()
    backend = load_backend("tensorflow")
    case = next(case for case in golden.cases if case.question.case_id == "l2-typical")
    right = backend.shipped(case.question)

    def counted(*operands: object, **arrays: object) -> object:
        traced.append("once")
        return right(*operands, **arrays)

    both = programs([counted], case.question, "float32", ["xla", "function"])
    answers = {compiler: both[compiler](case.question, 1.0)[0] for compiler in both}
    assert traced == ["once"]
    for compiler, answer in answers.items():
        (alone,) = program([right], case.question, "float32", compiler)(case.question, 1.0)
        assert replace(answer, value=0, gradient=0) == replace(alone, value=0, gradient=0)
        assert answer.gradient.tobytes() == alone.gradient.tobytes()


def test_who_is_honest_survives_among_liars_in_one_program_and_alone(golden: GoldenSet) -> None:
    detached = _liar("norm-detached")
    honest = replace(detached, name="honest", make=HONEST["amplitude_l2_mae"])
    few = [case for case in golden.cases if case.question.case_id in ("l2-typical", "l2-odd", "l2-dense")]
    lying = {"xla": [detached, honest], "function": [honest]}
    found = list(compiled.scores("tensorflow", "float32", lying, few, {}))
    assert sorted((entry.mode, entry.liar, entry.status) for entry in found) == [
        ("function", "honest", "survived"),
        ("xla", "honest", "survived"),
        ("xla", "norm-detached", "killed"),
    ]
