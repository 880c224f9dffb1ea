"""Metrics that need no truth: nothing to find in a perfect reconstruction, and each fault in the metric made for it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from conformance.rollout.study.consistency import measures, outcome, r_factors
from conformance.rollout.study.scan import Scan, far_field_intensity, patches_of, simulated
from conformance.rollout.study.settings import Setting
from conformance.rollout.study.training import Trained

FEW = 24
"""Neighbouring samples that are looked at, of the 144 of a scan."""


@cache
def noiseless() -> tuple[Scan, np.ndarray]:
    """Return a scan whose targets are exactly what its object gives, and the object's patches (G, C, N, N)."""
    scan = simulated(Setting("synthetic", 4, 1e6, "mae", 4))
    patches = patches_of(scan.truth, scan.positions, scan.targets.shape[-1])
    exact = np.sqrt(far_field_intensity(patches, scan.probe)).astype(np.float32)
    groups = scan.groups[:FEW]
    kept = np.unique(groups)
    scan = replace(
        scan,
        targets=exact[kept],
        positions=scan.positions[kept] - scan.positions[kept].min(axis=0),
        groups=np.searchsorted(kept, groups),
        truth=None,
    )
    return scan, patches[groups]


def trained(patches: np.ndarray, losses: tuple[float, ...] = (2.0, 1.0)) -> Trained:
    return Trained(patches.astype(np.complex64), losses, (0.5, 0.25), (0.6, 0.5, 0.4), (1.0,))


def phases(size: tuple[int, ...]) -> np.ndarray:
    return np.exp(1j * np.random.default_rng(5).uniform(-np.pi, np.pi, size))


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.5j], ids=["itself", "three times", "half and turned"])
def test_a_perfect_reconstruction_has_no_fault_whatever_its_gauge(factor: complex) -> None:
    scan, patches = noiseless()
    found = outcome(trained(factor * patches), scan)
    for metric in ("r_factor", "r_factor_each", "r_factor_canvas"):
        assert found[metric] < 1e-5, metric
    for metric in ("overlap_modulus", "overlap_complex", "dispersion"):
        assert found[metric] < 1e-6, metric
    assert found["raw_ratio"] == pytest.approx(abs(factor), rel=1e-5)
    assert found["beats_constant"] is True and found["finite"] is True and found["drift"] == pytest.approx(0.8)


def test_one_phase_of_each_patch_is_free() -> None:
    scan, patches = noiseless()
    found = measures(patches * phases((*patches.shape[:2], 1, 1)), scan)
    assert found["r_factor"] < 1e-5 and found["overlap_modulus"] < 1e-6 and found["overlap_complex"] < 1e-6


def test_a_scale_of_each_patch_shows_in_the_dispersion_and_not_in_the_gauge_of_each() -> None:
    scan, patches = noiseless()
    scales = np.exp(np.random.default_rng(6).normal(0, 0.3, (*patches.shape[:2], 1, 1)))
    found = measures(patches * scales, scan)
    assert found["dispersion"] == pytest.approx(np.std(np.log(scales)), rel=1e-4)
    assert found["r_factor_each"] < 1e-5 and found["r_factor"] > 0.1 and found["overlap_modulus"] > 0.1


def test_objects_that_differ_by_patch_show_in_the_overlap_even_where_each_fits_its_pattern() -> None:
    scan, patches = noiseless()
    broken = np.roll(patches, 1, axis=0)
    found, right = measures(broken, scan), measures(patches, scan)
    assert found["overlap_modulus"] > 0.05 and found["overlap_complex"] > 0.1
    assert found["r_factor"] > 0.1 and found["r_factor_constant"] == right["r_factor_constant"]


def test_a_flat_object_is_no_better_than_a_constant() -> None:
    scan, patches = noiseless()
    found = outcome(trained(np.ones_like(patches)), scan)
    # float32 patches and the float64 constant differ by nothing: 1 is exact in both.
    assert found["r_factor_canvas"] == pytest.approx(found["r_factor_constant"], rel=1e-6)
    assert 0.05 < found["r_factor_constant"] < 1
    noise = outcome(trained(np.ones_like(patches) * phases(patches.shape)), scan)
    assert noise["beats_constant"] is False


def test_masked_pixels_count_nowhere() -> None:
    scan, patches = noiseless()
    mask = scan.mask.copy()
    mask[16, 10:20] = False
    spoiled = replace(scan, mask=mask, targets=np.where(mask, scan.targets, np.float32(np.nan)))
    found = measures(patches, spoiled)
    assert found["r_factor"] < 1e-5 and found["raw_ratio"] == pytest.approx(1, rel=1e-5)


def test_the_gauge_is_the_least_squares_one_and_the_residual_the_sum_of_moduli() -> None:
    p, t = np.array([[[1.0, 1.0]], [[2.0, 0.0]]]), np.array([[[1.0, 3.0]], [[2.0, 0.0]]])
    one, each = r_factors(p, t)  # by hand: g = (1 + 3 + 4) / (2 + 4) = 4/3; |1/3| + |5/3| + |2/3| over 6; g_1 = 2
    assert one == pytest.approx((1 / 3 + 5 / 3 + 2 / 3) / 6) and each == pytest.approx(2 / 6)
    assert r_factors(0 * p, t) == (1.0, 1.0)


def test_a_run_that_broke_down_has_no_measures() -> None:
    scan, patches = noiseless()
    found = outcome(trained(np.full_like(patches, np.nan)), scan)
    assert found["finite"] is False and found["beats_constant"] is False and "r_factor" not in found
    assert outcome(trained(patches, (1.0, float("nan"))), scan)["finite"] is False


def test_the_measures_of_one_reconstruction_are_the_same_twice() -> None:
    scan, patches = noiseless()
    broken = patches * phases(patches.shape)
    assert measures(broken, scan) == measures(broken, scan)
