"""Pairwise gradient parity: agrees on the shipped codepaths, and finds a disagreement of any one element."""

from dataclasses import replace

import numpy as np

from conformance.backends import Backend, load_backend
from conformance.backends.answer import Answer
from conformance.case import Case
from conformance.golden import GoldenSet
from conformance.parity import ask, parity


def _cases(golden: GoldenSet) -> list[Case]:
    return [case for case in golden.cases if case.question.case_id in ("l2-typical", "mae-typical", "nll-typical")]


def test_the_shipped_codepaths_agree_pair_by_pair(golden: GoldenSet) -> None:
    backends = [load_backend(name) for name in ("torch", "tensorflow", "jax")]
    rows = parity(backends, _cases(golden), ("float32", "float64"))
    assert len(rows) == 3 * 2 * 3
    assert all(row.holds and row.cases == 1 for row in rows)


def test_one_element_apart_is_found_and_named(golden: GoldenSet) -> None:
    def spoilt(backend: Backend, case: Case, dtype: str) -> Answer:
        answer = ask(backend, case, dtype)
        if backend.name == "tensorflow" and case.question.loss == "poisson_nll":
            gradient = answer.gradient.copy()
            gradient[1, 0, 2, 3] *= np.float32(1.001)
            return replace(answer, gradient=gradient)
        return answer

    backends = [load_backend(name) for name in ("torch", "tensorflow")]
    rows = parity(backends, _cases(golden), ("float32",), spoilt)
    (broken,) = [row for row in rows if not row.holds]
    assert (broken.loss, broken.case_id, broken.worst.index) == ("poisson_nll", "nll-typical", (1, 0, 2, 3))


def test_a_nan_never_agrees(golden: GoldenSet) -> None:
    def blank(backend: Backend, case: Case, dtype: str) -> Answer:
        answer = ask(backend, case, dtype)
        return replace(answer, gradient=answer.gradient * np.nan)

    backends = [load_backend(name) for name in ("torch", "tensorflow")]
    assert not any(row.holds for row in parity(backends, _cases(golden), ("float64",), blank))


def test_what_a_dtype_does_not_hold_is_not_compared_in_it(golden: GoldenSet) -> None:
    """Its signs would be those of roundings of the inputs, which is nobody's fault."""
    backends = [load_backend(name) for name in ("torch", "tensorflow")]
    cases = [case for case in golden.cases if case.question.case_id in ("l2-typical", "l2-double-close")]
    assert [(row.dtype, row.cases) for row in parity(backends, cases, ("float32", "float64"))] == [
        ("float32", 1),
        ("float64", 2),
    ]
    assert parity(backends, cases[1:], ("float32",)) == []
