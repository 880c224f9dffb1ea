"""float32 keeps seven digits of gradient and deviance at 1e9 photons per pixel; plain autodiff one or none."""

import numpy as np
import pytest
from precision import DEVIANCE_CASES, GRADIENT_CASES, LOST, WANTED, relative_error, rows

from conformance.backends import BACKENDS
from conformance.case import Case

FAST = ("eager", "func", "vmap", "channels_last", "strided", "both", "persistent", "function", "xla", "jit")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_shipped_nll_keeps_what_autodiff_loses(backend: str) -> None:
    found = list(rows([backend], FAST))
    assert len(found) >= 2
    for row in found:
        assert max(row.gradient, row.deviance) <= WANTED, row
        assert row.plain_gradient >= LOST, row


def test_the_cases_are_as_bright_and_as_near_as_they_say(case_of: dict[str, Case]) -> None:
    for name in GRADIENT_CASES + DEVIANCE_CASES:
        question = case_of[name].question
        assert question.parameters.scale is not None
        counts = (question.parameters.scale.value * question.target) ** 2
        assert counts.min() >= 2e8 and counts.max() <= 1.2e9
    noise = case_of["nll-shot-noise"].question
    assert noise.parameters.scale is not None
    rate, counts = ((noise.parameters.scale.value * array) ** 2 for array in (noise.prediction, noise.target))
    assert np.max(np.abs(rate - counts) / np.sqrt(counts)) < 4
    assert not noise.holds("float16") and not noise.holds("bfloat16")


def test_a_relative_error_is_that_of_the_worst_element() -> None:
    exact = np.array([1.0, -2.0, 0.0])
    assert relative_error(np.array([1.5, -2.0, 0.0]), exact) == 0.5
    assert relative_error(np.array([1.0, -2.0, 1e-30]), exact) == np.inf
