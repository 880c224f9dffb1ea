"""Honest losses written differently are accepted in every framework and dtype; liars are in test_liars.py."""

import pytest
from right_losses import RIGHT

from conformance import check_loss
from conformance.liars.operations import FRAMEWORKS, operations

WORST_RIGHT_MARGIN = 0.5


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", RIGHT)
def test_every_right_loss_is_accepted_in_each_dtype(name: str, framework: str) -> None:
    loss, maker = RIGHT[name]
    result = check_loss(maker(operations(framework)), loss=loss, framework=framework)
    assert result.conformant, [verdict.message for verdict in result.failures[:3]]
    settled = [verdict for verdict in result.verdicts if not verdict.has_ties]
    worst = max(settled, key=lambda verdict: max(verdict.value_margin, verdict.gradient_margin))
    assert max(worst.value_margin, worst.gradient_margin) <= WORST_RIGHT_MARGIN, worst


def test_the_right_losses_are_as_many_as_they_claim() -> None:
    assert len(RIGHT) >= 12
