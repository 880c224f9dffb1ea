"""Honest losses written differently are accepted in every framework and dtype; liars are in test_liars.py."""

from collections import Counter

import pytest
from right_losses import RIGHT

from conformance import check_loss
from conformance.affine import under_profile
from conformance.golden import GoldenSet
from conformance.liars.operations import FRAMEWORKS, operations
from conformance.profile import PROFILES, is_asked

CONTRACT = PROFILES["contract"]
WORST_RIGHT_MARGIN = 0.5


def of_common_shape(golden: GoldenSet, loss: str) -> list[str]:
    """Return the plain cases whose shape others have too: eager JAX compiles every operation for every shape."""
    pool = [case for case in golden.cases if is_asked(case.question, loss, CONTRACT)]
    questions = [case.question for case in under_profile(pool, CONTRACT)]
    shapes = Counter(question.prediction.shape for question in questions)
    return [question.case_id for question in questions if shapes[question.prediction.shape] > 1]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", RIGHT)
def test_every_right_loss_is_accepted_in_each_dtype(golden: GoldenSet, name: str, framework: str) -> None:
    loss, maker = RIGHT[name]
    asked = of_common_shape(golden, loss) if framework == "jax" else ()
    result = check_loss(maker(operations(framework)), loss=loss, framework=framework, cases=asked)
    assert len(result.verdicts) >= 20
    assert result.conformant, [verdict.message for verdict in result.failures[:3]]
    settled = [verdict for verdict in result.verdicts if not verdict.has_ties]
    worst = max(settled, key=lambda verdict: max(verdict.value_margin, verdict.gradient_margin))
    assert max(worst.value_margin, worst.gradient_margin) <= WORST_RIGHT_MARGIN, worst


def test_the_right_losses_are_as_many_as_they_claim() -> None:
    assert len(RIGHT) >= 12
