"""The bank of wrong losses: it is what it claims, every liar dies in Torch, and who is honest does not.

`nox -s liars` asks them in TensorFlow too, and in every mode.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from conformance.backends import Answer, load_backend
from conformance.case import DTYPES
from conformance.exit_codes import BackendError
from conformance.golden import GoldenSet
from conformance.liars.bank import BANK, bank
from conformance.liars.compiled import _kill, ties_of_right
from conformance.liars.gate import Task, perform
from conformance.liars.merits import killed_alone, sentences
from conformance.liars.operations import operations
from conformance.liars.parts import changed, composable
from conformance.liars.score import HONEST, Score, difference, score
from conformance.liars.universal import survivors
from conformance.verdict import judge_answer

FRAMEWORKS = ("torch", "tensorflow")
DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    """What writes docs/liars.md."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(DOCS))
        yield import_module("liars_page")


@pytest.fixture(scope="module")
def whole(page: ModuleType) -> dict[str, list[Score]]:
    """Every liar of Torch against every case that it can be asked, eager."""
    found = page.whole()
    return {dtype: [entry for entry in found if entry.dtype == dtype] for dtype in DTYPES}


def test_the_page_of_the_bank_is_what_the_judge_says(
    page: ModuleType, whole: dict[str, list[Score]], golden: GoldenSet
) -> None:
    wanted = page.liars_page(golden, [entry for dtype in DTYPES for entry in whole[dtype]])
    assert (DOCS / "liars.md").read_text(encoding="utf-8").splitlines() == wanted.splitlines()


def test_each_bank_is_large_and_every_entry_says_what_it_is() -> None:
    for framework in FRAMEWORKS:
        assert len(bank(framework)) >= 60
    names = [liar.name for liar in BANK]
    assert len(set(names)) == len(names)
    assert all(liar.wrong and liar.seen and set(liar.kin) <= set(names) for liar in BANK)
    kinds = {liar.kind for liar in BANK}
    assert {"value", "gradient", "convention", "numerical", "state", "layout", "dtype", "side effect"} == kinds


def test_the_two_banks_are_equal_but_for_what_only_one_framework_can_do() -> None:
    torch, tensorflow = ({liar.name for liar in bank(framework)} for framework in FRAMEWORKS)
    assert tensorflow < torch
    assert {liar.mode for liar in BANK if liar.name in torch - tensorflow} <= {
        "strided",
        "channels_last",
        "both",
        "eager",
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_liar_dies_in_torch(whole: dict[str, list[Score]], dtype: str) -> None:
    assert [entry.liar for entry in whole[dtype] if entry.status not in ("killed", "equivalent")] == []
    assert [entry.liar for entry in whole[dtype] if {kill.by for kill in entry.kills} == {"error"}] == []
    assert {entry.liar for entry in whole[dtype]} >= {liar.name for liar in bank("torch") if liar.mode != "compiled"}


def test_every_case_kills_alone_in_its_group_or_holds_a_sentence(
    whole: dict[str, list[Score]], golden: GoldenSet
) -> None:
    alone = killed_alone([entry for dtype in DTYPES for entry in whole[dtype]], golden.cases)
    said = sentences(golden.cases)
    assert [case_id for case_id in alone if not alone[case_id] and not said[case_id]] == []
    assert sum(bool(names) for names in alone.values()) >= 60
    assert alone["l2-seventy-samples"] == ("beyond-sixty-four-samples",)
    assert alone["nll-dark-prediction"] == ("nll-dark-prediction-is-nothing",)


@pytest.mark.parametrize("mode", ["aot_eager", "compile", "function", "xla"])
def test_who_lies_where_it_is_compiled_dies_there(mode: str) -> None:
    framework = "torch" if mode in ("aot_eager", "compile") else "tensorflow"
    found = perform(Task(framework, (mode,), "float32", ("compiled-only", "norm-detached"), {}))
    assert {entry.liar: entry.status for entry in found} == {"compiled-only": "killed", "norm-detached": "killed"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_equivalence_is_one_bit_for_bit(golden: GoldenSet, framework: str) -> None:
    claims = [(liar, dtype) for liar in bank(framework) for dtype in liar.equivalent]
    assert len(claims) >= 5
    small = [case for case in golden.cases if case.question.prediction.size < 1000]
    for liar, dtype in claims:
        assert difference(liar, load_backend(framework), small, dtype) == 0.0, liar.name


def test_an_honest_loss_survives_and_a_false_proof_is_refuted(golden: GoldenSet) -> None:
    backend = load_backend("torch")
    detached = next(liar for liar in BANK if liar.name == "norm-detached")
    honest = replace(detached, make=HONEST["amplitude_l2_mae"])
    assert score(honest, backend, golden.cases, "float64", "eager").status == "survived"
    claimed = replace(detached, equivalent={"float64": "it is not"})
    assert score(claimed, backend, golden.cases, "float64", "eager").status == "refuted"
    assert difference(claimed, backend, golden.cases[:4], "float64") > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_group_of_cases_lets_a_universal_lie_pass(golden: GoldenSet, dtype: str) -> None:
    assert list(survivors(load_backend("torch"), golden.cases, dtype)) == []


def test_changes_of_different_parts_compose_and_of_the_same_part_do_not() -> None:
    edits = {liar.name: liar.edit for liar in BANK if liar.edit}
    detached, squared = edits["norm-detached"], edits["squared-error"]
    assert composable(detached, squared) and not composable(detached, edits["only-target-normalised"])
    from conformance.liars.amplitude_parts import L2_PARTS

    both = changed(L2_PARTS, (*detached, *squared))
    assert both.unit is detached[0].new and both.elements is squared[0].new


def test_an_honest_loss_passes_beside_a_liar_in_one_compiled_graph(golden: GoldenSet) -> None:
    from conformance.liars.torch_together import program

    backend = load_backend("torch")
    case = next(case for case in golden.cases if case.question.case_id == "l2-typical")
    detached = next(liar for liar in BANK if liar.name == "norm-detached")
    honest = HONEST["amplitude_l2_mae"](operations("torch"))
    answers = program([honest, detached.codepaths(backend)(case.question)], case.question, "float32", "inductor")(
        case.question, 1.0
    )
    assert [judge_answer(case, answer, "float32", "strict")[0] for answer in answers] == ["pass", "fail"]


def test_a_right_loss_that_is_rejected_beside_wrong_ones_stops_the_gate(golden: GoldenSet) -> None:
    case = next(case for case in golden.cases if case.question.case_id == "l2-typical")
    right = Answer.of(case.truth.value, case.truth.gradient)
    assert ties_of_right(case, right, "float64") == "strict"
    with pytest.raises(BackendError, match="their deaths prove nothing"):
        ties_of_right(case, replace(right, gradient=2 * right.gradient), "float64")


def test_nobody_dies_of_a_tie_that_a_compiler_makes_of_a_right_loss_too(golden: GoldenSet) -> None:
    case = next(case for case in golden.cases if case.question.case_id == "mae-bit-exact")
    assert case.truth.sign is not None and np.any(case.truth.sign == 0)
    apart = case.truth.gradient + np.where(case.truth.sign == 0, case.question.weight / 2, 0.0)
    right = Answer.of(case.truth.value, apart)
    assert ties_of_right(case, right, "float64") == "subgradient"
    assert judge_answer(case, right, "float64", "strict")[0] == "fail"
    assert _kill([(case, "subgradient", right)], "float64") is None
    assert _kill([(case, "strict", right)], "float64") is not None


@pytest.mark.parametrize("mode", ["function", "xla"])
def test_an_honest_loss_passes_beside_a_liar_in_one_tensorflow_function(golden: GoldenSet, mode: str) -> None:
    from conformance.liars.tensorflow_together import program

    backend = load_backend("tensorflow")
    for name, liar in (("l2-typical", "norm-detached"), ("nll-typical", "nll-no-graph")):
        case = next(case for case in golden.cases if case.question.case_id == name)
        lie = next(one for one in BANK if one.name == liar)
        honest = backend.shipped(case.question)
        answers = program([lie.codepaths(backend)(case.question), honest], case.question, "float32", mode)(
            case.question, 1.0
        )
        assert [judge_answer(case, answer, "float32", "strict")[0] for answer in answers] == ["fail", "pass"]
