"""From a record to a case: what a wrong record is told, and what a case says of itself."""

import os
import zlib
from typing import Any

import numpy as np
import pytest
from test_archives import WHOLE

from conformance import golden as reader
from conformance import npz
from conformance.case import Case
from conformance.forms import require_parameters
from conformance.record import case_of, rounding_error

RECORD: dict[str, Any] = {
    "id": "one",
    "loss": "amplitude_mae",
    "parameters": {"reduction": "mean"},
    "why": "",
    "catches": "",
    "bit_exact": False,
}


def _arrays(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"prediction": np.ones(shape), "target": np.ones(shape), "gradient": np.zeros(shape), "value": np.array(0.0)}


def test_a_case_is_of_rank_four() -> None:
    assert case_of(RECORD, _arrays((1, 1, 1, 2))).question.case_id == "one"
    for shape in ((1, 1, 2), (1, 1, 1, 1, 2)):
        with pytest.raises(ValueError, match="shapes that do not belong together"):
            case_of(RECORD, _arrays(shape))


@pytest.mark.parametrize(
    ("name", "tied"),
    [
        ("l2-equal", True),
        ("mae-dead-pixels", True),
        ("l2-quarter-off", False),
        ("l2-mask", False),
        ("nll-equal", False),
    ],
)
def test_a_case_has_ties_where_valid_signs_are_0(case_of: dict[str, Case], name: str, tied: bool) -> None:
    assert case_of[name].has_ties is tied


def test_the_truth_is_half_an_ulp_from_exact_at_most() -> None:
    assert rounding_error(np.array([1.0, -2.0, 0.0])).tolist() == [2.0**-53, 2.0**-52, 0.0]


def test_every_truth_is_0_or_a_normal_number(golden: Any) -> None:
    """Which is what makes that so."""
    for case in golden.cases:
        for truth in (case.truth.value, case.truth.gradient):
            parts = np.stack([truth.real, truth.imag]) if truth.dtype.kind == "c" else truth
            lit = np.abs(parts[np.isfinite(parts) & (parts != 0)])
            assert np.all(lit >= 2.0**-1022), case.question.case_id


def test_parameters_of_another_loss_are_named() -> None:
    with pytest.raises(ValueError, match=r"parameters \['gain', 'intensity_scale'\] of the loss amplitude_mae"):
        require_parameters("amplitude_mae", {"reduction": "mean", "domain": "amplitude", "wrt": "target", "gain": ""})


def test_golden_files_are_opened_without_following_or_waiting() -> None:
    assert reader._NO_DEVICE & os.O_NOFOLLOW and reader._NO_DEVICE & os.O_NONBLOCK
    assert not reader._NO_DEVICE & (os.O_WRONLY | os.O_RDWR)


@pytest.mark.parametrize("step", [1, -1])
def test_a_checksum_that_is_off_in_either_direction_is_refused(step: int) -> None:
    start = WHOLE.index(b"PK\3\4")
    stored = int.from_bytes(WHOLE[start + 14 : start + 18], "little")
    changed = (stored + step).to_bytes(4, "little")
    central = WHOLE.index(b"PK\1\2")
    damaged = WHOLE[: start + 14] + changed + WHOLE[start + 18 : central + 16] + changed + WHOLE[central + 20 :]
    assert zlib.crc32(damaged) != zlib.crc32(WHOLE)
    with pytest.raises(ValueError, match="does not have the checksum"):
        npz.members(damaged)
