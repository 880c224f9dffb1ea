"""The shipped codepaths against the golden truth, and what holds for them alone."""

import pytest

from conformance.backends import BACKENDS, load_backend
from conformance.case import DTYPES
from conformance.golden import GoldenSet
from conformance.judge import judge_all
from conformance.verdict import Verdict

WORST_SHIPPED_MARGIN = 0.5
FAST_MODES = [("jax", "eager"), ("jax", "jit"), ("torch", "eager"), ("tensorflow", "eager"), ("tensorflow", "xla")]


def _verdicts(golden: GoldenSet, backend: str, mode: str, pattern: str = "") -> list[Verdict]:
    loaded = load_backend(backend)
    cases = [case for case in golden.cases if pattern in case.question.case_id]
    return list(judge_all(loaded, loaded.shipped, cases, dtypes=DTYPES, modes=[mode], device="cpu", ties="strict"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_shipped_codepath_uses_half_of_its_tolerance(golden: GoldenSet, backend: str) -> None:
    verdicts = _verdicts(golden, backend, "eager")
    assert len(verdicts) == 2 * len(golden.cases)
    held = {(case.question.case_id, dtype) for case in golden.cases for dtype in DTYPES if case.question.holds(dtype)}
    judged = {(verdict.case_id, verdict.dtype): verdict.status for verdict in verdicts}
    assert judged == {what: "pass" if what in held else "skip" for what in judged} and len(held) > len(judged) - 5
    settled = [verdict for verdict in verdicts if verdict.status == "pass" and not verdict.has_ties]
    assert max(max(verdict.value_margin, verdict.gradient_margin) for verdict in settled) <= WORST_SHIPPED_MARGIN


@pytest.mark.parametrize(("backend", "mode"), FAST_MODES)
def test_dyadic_cases_are_hit_bit_for_bit(golden: GoldenSet, backend: str, mode: str) -> None:
    verdicts = _verdicts(golden, backend, mode, "bit-exact")
    exact = [case.question.case_id for case in golden.cases if case.bit_exact]
    assert len(exact) >= 6 and sorted(v.case_id for v in verdicts) == sorted(2 * exact)
    assert {(verdict.value_margin, verdict.gradient_margin) for verdict in verdicts} == {(0.0, 0.0)}


def test_a_configured_constant_survives_a_compiler_that_met_another_one_first(golden: GoldenSet) -> None:
    """torch.compile with dynamic shapes keeps a Python number given to clamp_min from an earlier call, silently."""
    for case in ("l2-odd", "l2-eps-large"):
        assert [verdict.status for verdict in _verdicts(golden, "torch", "compile", case)] == ["pass", "pass"]
