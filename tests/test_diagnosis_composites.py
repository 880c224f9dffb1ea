"""Two wrong parts in one loss: rejected, and not put down to a cause that does not explain it."""

from random import Random
from typing import Any

import pytest
from diagnosed import causes, is_right, subject_of

from conformance.backends import load_backend
from conformance.golden import GoldenSet
from conformance.liars.amplitude_parts import L2_PARTS, MAE_PARTS, amplitude_loss
from conformance.liars.bank import bank
from conformance.liars.liar import Liar
from conformance.liars.parts import changed, composable
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss

MADE: dict[str, Any] = {
    "amplitude_l2_mae": lambda edit: amplitude_loss(changed(L2_PARTS, edit)),
    "amplitude_mae": lambda edit: amplitude_loss(changed(MAE_PARTS, edit)),
    "poisson_nll": lambda edit: poisson_loss(changed(NLL_PARTS, edit)),
}
PAIRS, SEED = 50, 20261126


def _composed(one: Liar, other: Liar) -> Liar:
    edit = (*(one.edit or ()), *(other.edit or ()))
    return Liar(f"{one.name} and {other.name}", one.loss, "value", "both", "", MADE[one.loss](edit))


def _pairs() -> list[tuple[Liar, Liar]]:
    """Return pairs that change different parts, drawn with a literal seed."""
    draw, found = Random(SEED), list[tuple[Liar, Liar]]()
    parts = [liar for liar in bank("torch") if liar.edit and not liar.mode and not liar.settings]
    while len(found) < PAIRS:
        one, other = draw.sample(parts, 2)
        if one.loss == other.loss and composable(one.edit or (), other.edit or ()):
            found.append((one, other))
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_two_faults_are_rejected_and_not_taken_for_another_one(golden: GoldenSet, dtype: str) -> None:
    backend, known = load_backend("torch"), bank("torch")
    told, said = 0, []
    for one, other in _pairs():
        if {dtype} & (set(one.equivalent) | set(other.equivalent)):
            continue
        subject = subject_of(_composed(one, other), backend, golden.cases, dtype)
        assert subject.failing, f"{one.name} and {other.name} undo each other"
        findings = causes(subject, golden.cases, known)
        said += [
            f"{one.name} and {other.name}: {finding.said}"
            for finding in findings
            if not is_right(one, finding) and not is_right(other, finding)
        ]
        told += not findings
    assert said == []
    assert told > PAIRS / 3
