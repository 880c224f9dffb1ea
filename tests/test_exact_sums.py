"""Sums of squares that are declared exact are exact in every order; those that are not, are not declared so."""

from fractions import Fraction

import numpy as np
import pytest
from hand_parts import rows_of
from orders import ORDERS, Sums
from rounded import Machine

from conformance.case import Parameters, Question
from conformance.golden import GoldenSet
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.arithmetic import SQUARE_ROOT
from conformance.tolerance.inputs import finite
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import energy_error, lowest_bit, overflows


@pytest.mark.parametrize(
    ("numbers", "bits"),
    [([1.0, 3.0, 6.0, 0.0, 2.0**-30, 5 * 2.0**20], [1.0, 1.0, 2.0, np.inf, 2.0**-30, 2.0**20])],
)
def test_the_lowest_bit_of_a_number(numbers: list[float], bits: list[float]) -> None:
    assert lowest_bit(np.array(numbers)).tolist() == bits


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_sums_declared_exact_are_exact_in_every_order(golden: GoldenSet, dtype: str) -> None:
    declared = 0
    for question in {case.question.case_id: case.question for case in golden.cases}.values():
        if question.parameters.domain != "amplitude" or question.prediction.size > 512:
            continue
        scopes = Scopes(question)
        label = np.broadcast_to(scopes.label[:, :, None, None], question.prediction.shape)
        sums = Sums(Machine("plain", dtype), rows_of(label), label.size, ORDERS)
        names = np.unique(label)
        for array in (question.prediction, question.target):
            amplitude = finite(array, question)
            if overflows(amplitude, scopes, ARITHMETICS[dtype]):
                continue
            error = np.broadcast_to(energy_error(amplitude, 0, scopes, ARITHMETICS[dtype]), label.shape)
            totals = sums.total(np.square(amplitude.astype(dtype)).reshape(1, -1))
            for name, total in zip(names, totals.T):
                if np.any(error[label == name] != 0):
                    continue
                declared += 1
                exact = sum(Fraction(float(x)) ** 2 for x in amplitude[label == name])
                assert all(Fraction(float(each)) == exact for each in total), question.case_id
    assert declared > 200


def _energy_error(numbers: list[float], dtype: str, roundings: int = 0) -> float:
    amplitude = np.array(numbers).reshape(1, 1, 1, -1)
    question = Question("energy", "amplitude_l2_mae", Parameters(), amplitude, amplitude)
    return float(energy_error(amplitude, roundings, Scopes(question), ARITHMETICS[dtype]).item())


def test_a_sum_that_needs_25_bits_is_not_declared_exact() -> None:
    assert _energy_error([4096.0, 1.0], "float32") > 0
    assert _energy_error([4096.0, 1.0], "float64") == 0


def test_a_sum_of_made_amplitudes_is_not_declared_exact() -> None:
    assert _energy_error([2.0, 1.0], "float32") == 0
    assert _energy_error([2.0, 1.0], "float32", SQUARE_ROOT) > 2 * SQUARE_ROOT * 2.0**-24


def test_squares_that_underflow_are_not_declared_exact() -> None:
    assert _energy_error([2.0**-70] * 2, "float32") > 0.5
    assert _energy_error([2.0**-70] * 2, "float64") == 0
