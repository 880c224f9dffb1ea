"""Half precision: cast up once, computed in float32, the gradient rounded back once; its tolerance sees the rest."""

from math import log2

import numpy as np
import pytest
import torch
from torch import Tensor

from conformance import check_loss
from conformance.case import HALF_DTYPES, Case
from conformance.tolerance import loss_scale, narrowed_gradient
from conformance.tolerance.narrow import NARROW, before_narrowing, narrowing


def _l2(p: Tensor, t: Tensor) -> Tensor:
    def unit(x: Tensor) -> Tensor:
        energy = x.square().sum((1, 2, 3), keepdim=True)
        lit = energy > 0
        norm = torch.where(lit, torch.where(lit, energy, 1.0).sqrt(), 0.0)
        return x / torch.maximum(torch.where(norm.isinf(), torch.nan, norm), torch.full_like(norm, 2.0**-40))

    return (unit(p) - unit(t)).abs().mean()


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_computing_in_float32_passes_and_in_the_narrow_type_fails(dtype: str) -> None:
    up = check_loss(lambda p, t: _l2(p.float(), t.float()), loss="amplitude_l2_mae", dtype=dtype)
    assert up.conformant, up.summary
    back = check_loss(lambda p, t: _l2(p.float(), t.float()).to(p.dtype), loss="amplitude_l2_mae", dtype=dtype)
    assert all(f"value: dtype {dtype}, wanted float32" in verdict.message for verdict in back.failures)
    assert not back.conformant
    narrow = check_loss(_l2, loss="amplitude_l2_mae", dtype=dtype)
    assert not narrow.conformant
    assert len(narrow.failures) > len(narrow.verdicts) / 2


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_a_gradient_two_percent_up_is_seen(dtype: str) -> None:
    def steeper(p: Tensor, t: Tensor) -> Tensor:
        value = _l2(p.float(), t.float())
        return value.detach() + 1.02 * (value - value.detach())

    result = check_loss(steeper, loss="amplitude_l2_mae", dtype=dtype, cases=("l2-quarter-off",))
    assert {verdict.status for verdict in result.verdicts} == {"fail"}


def test_a_value_of_another_dtype_is_wrong() -> None:
    result = check_loss(lambda p, t: _l2(p.double(), t.double()), loss="amplitude_l2_mae", dtype="bfloat16")
    assert all("value: dtype float64, wanted float32" in v.message for v in result.failures)
    assert not result.conformant


def test_inputs_that_the_dtype_does_not_hold_are_skipped_and_counted(case_of: dict[str, Case]) -> None:
    result = check_loss(lambda p, t: _l2(p.float(), t.float()), loss="amplitude_l2_mae", dtype="float16")
    skipped = [verdict for verdict in result.verdicts if verdict.status == "skip"]
    assert "l2-overflow" in {verdict.case_id for verdict in skipped}
    assert all("no numbers of float16" in verdict.message for verdict in skipped)
    only = check_loss(lambda p, t: p.sum(), loss="amplitude_l2_mae", dtype="float16", cases=("l2-overflow",))
    assert not only.conformant, "a skip is no pass"


def test_the_loss_scale_brings_the_largest_element_into_range() -> None:
    gradient = np.array([3e-7, -0.02, np.nan, -np.inf])
    scale = loss_scale(gradient, "float16")
    assert log2(scale).is_integer() and 2**13 <= 0.02 * scale < 2**14
    assert loss_scale(gradient, "bfloat16") == loss_scale(gradient, "float32") == 1.0
    assert loss_scale(np.zeros(3), "float16") == 1.0


def test_tolerances_grow_by_the_roundings_declared_and_a_zero_stays_zero() -> None:
    tolerance, gradient = np.array([0.0, 1e-6]), np.array([1.0, 1.0])
    grown = narrowed_gradient(tolerance, gradient, "float16", 1.0)
    assert grown[0] == 0.0 and 2 * 2.0**-11 < grown[1] < 2.2 * 2.0**-11
    assert np.array_equal(narrowed_gradient(tolerance, gradient, "float32", 1.0), tolerance)


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_what_a_rounded_number_was_is_within_what_is_said_of_it(dtype: str) -> None:
    was = torch.linspace(1, 4, 1001, dtype=torch.float64)
    became = was.to(getattr(torch, dtype)).double()
    said = before_narrowing(became.numpy(), dtype, 1.0)
    assert np.all((became - was).abs().numpy() <= said)
    assert np.all(said <= (1 + 8 * NARROW[dtype].unit) * narrowing(became.numpy(), dtype, 1.0))
    assert not before_narrowing(became.numpy(), "float32", 1.0).any()
