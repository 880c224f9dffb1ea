"""The judge against liars and against honest losses written differently, in every framework and dtype."""

import pytest
from right_losses import RIGHT
from wrong_losses import WRONG

from conformance import check_loss
from conformance.case import DTYPES
from conformance.liars.operations import FRAMEWORKS, operations

WORST_RIGHT_MARGIN = 0.5


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_loss_is_rejected_in_each_dtype(name: str, framework: str) -> None:
    loss, maker = WRONG[name]
    wrong = maker(operations(framework))
    for dtype in DTYPES:
        result = check_loss(wrong, loss=loss, framework=framework, dtype=dtype)
        assert not result.conformant, f"{name} passes in {dtype}"
        assert all(verdict.status == "fail" and verdict.message for verdict in result.failures)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", RIGHT)
def test_every_right_loss_is_accepted_in_each_dtype(name: str, framework: str) -> None:
    loss, maker = RIGHT[name]
    result = check_loss(maker(operations(framework)), loss=loss, framework=framework)
    assert result.conformant, [verdict.message for verdict in result.failures[:3]]
    settled = [verdict for verdict in result.verdicts if not verdict.has_ties]
    worst = max(settled, key=lambda verdict: max(verdict.value_margin, verdict.gradient_margin))
    assert max(worst.value_margin, worst.gradient_margin) <= WORST_RIGHT_MARGIN, worst


def test_the_bank_is_as_large_as_it_claims() -> None:
    assert len(WRONG) >= 40 and len(RIGHT) >= 12
