"""What a reconstruction is said to be worth: known answers for hand-made ones, and gates that nothing slips past."""

from dataclasses import replace

import numpy as np
import pytest

from conformance.rollout.study.canvas import stitched, without_plane
from conformance.rollout.study.metrics import FRC_RINGS, frc50, outcome, patch_gauges, ring_correlation
from conformance.rollout.study.scan import Scan, patches_of, simulated
from conformance.rollout.study.settings import Setting
from conformance.rollout.study.thumbnails import BRIGHTEST, SIDE, thumbnails, unpacked
from conformance.rollout.study.training import Trained


@pytest.fixture(scope="module", params=[("synthetic", 4), ("real-like", 1)], ids=["joint", "alone"])
def scan(request: pytest.FixtureRequest) -> Scan:
    data, channels = request.param
    return simulated(Setting(data, channels, 1e6, "mae", 2))


def true_patches(scan: Scan) -> np.ndarray:
    return patches_of(scan.truth, scan.positions, scan.probe.shape[-1])[scan.groups].astype(np.complex64)


def trained(patches: np.ndarray, **numbers: tuple[float, ...]) -> Trained:
    plain = {"losses": (2.0, 1.0), "gradient_norms": (0.5, 0.25), "mean_amplitudes": (0.5, 0.5), "weights": (1.0,)}
    return Trained(patches.astype(np.complex64), **{**plain, **numbers})


def test_the_canvas_of_the_true_patches_is_the_truth(scan: Scan) -> None:
    canvas = stitched(true_patches(scan), scan)
    assert canvas.covered.shape == scan.truth.shape and canvas.covered.mean() > 0.5
    np.testing.assert_allclose(canvas.field[canvas.covered], scan.truth[canvas.covered], atol=1e-6)
    np.testing.assert_allclose(canvas.modulus[canvas.covered], np.abs(scan.truth)[canvas.covered], atol=1e-6)


def test_a_perfect_reconstruction_is_perfect_in_every_metric(scan: Scan) -> None:
    found = outcome(trained(true_patches(scan)), scan)
    for metric in ("amplitude_mae", "phase_mae", "dispersion"):
        assert found[metric] == pytest.approx(0.0, abs=1e-5), metric
    for metric in ("amplitude_ssim", "phase_ssim", "frc50", "canvas_correlation", "amplitude_ratio"):
        assert found[metric] == pytest.approx(1.0, abs=1e-4), metric
    assert found["accepted"] is True and found["finite"] is True and found["beats_constant"] is True
    assert found["amplitude_psnr"] > 80
    assert (found["loss_first"], found["loss_last"], found["gradient_norm_last"]) == (2.0, 1.5, 0.375)


def test_what_diffraction_leaves_free_costs_nothing_but_the_ratio_shows_the_scale(scan: Scan) -> None:
    size = scan.probe.shape[-1]
    rows, columns = np.mgrid[: scan.truth.shape[0], : scan.truth.shape[1]]
    plane = np.exp(1j * (2.0 + 0.3 * rows - 0.2 * columns))
    patches = patches_of(3.0 * plane * scan.truth, scan.positions, size)[scan.groups]
    found = outcome(trained(patches), scan)
    assert found["amplitude_ratio"] == pytest.approx(3.0, rel=1e-5)
    assert found["amplitude_mae"] == pytest.approx(0.0, abs=1e-5)
    assert found["dispersion"] == pytest.approx(0.0, abs=1e-5)
    # The tilt comes from the object's own slopes too, which are the same in truth and reconstruction: nothing is left.
    assert found["phase_mae"] == pytest.approx(0.0, abs=1e-4)
    assert found["accepted"] is True


def test_gauges_and_dispersion_are_the_factors_that_patches_were_given(scan: Scan) -> None:
    patches = true_patches(scan)
    factors = np.where(np.arange(patches.shape[0] * patches.shape[1]) % 2, 2.0, 0.5)
    made = trained(patches * factors.reshape(patches.shape[:2])[..., None, None])
    np.testing.assert_allclose(patch_gauges(made, scan, scan.truth), factors, rtol=1e-5)
    # log of 1/2 and 2 in about equal numbers: spread log 2 (an odd number of patches moves it by 1/(2 n^2)).
    assert outcome(made, scan)["dispersion"] == pytest.approx(np.log(2), rel=1e-4)


def test_a_constant_object_fails_the_gate(scan: Scan) -> None:
    found = outcome(trained(np.full(true_patches(scan).shape, 0.6 + 0.1j)), scan)
    assert found["accepted"] is False and found["canvas_correlation"] == 0.0
    assert found["amplitude_mae"] == pytest.approx(found["constant_amplitude_mae"], rel=1e-6)


def with_modulus(scan: Scan, modulus: np.ndarray) -> Trained:
    return trained(patches_of(np.maximum(modulus, 0.01), scan.positions, scan.probe.shape[-1])[scan.groups])


def test_each_gate_closes_alone(scan: Scan) -> None:
    wanted = np.abs(scan.truth).astype(float)
    mean, spread = wanted.mean(), wanted.std()
    # 0.3 of the contrast and noise of 0.52 spreads: correlation 0.3 / sqrt(0.09 + 0.27) = 1/2, error sqrt(0.76) of a
    # constant's. Then more than twice the contrast: correlation near 1, error more than a constant's.
    noise = 0.52 * spread * np.random.default_rng(6).standard_normal(wanted.shape)
    vague = outcome(with_modulus(scan, mean + 0.3 * (wanted - mean) + noise), scan)
    harsh = outcome(with_modulus(scan, mean + 2.3 * (wanted - mean)), scan)
    assert vague["beats_constant"] is True and 0.4 < vague["canvas_correlation"] < 0.6
    assert harsh["beats_constant"] is False and harsh["canvas_correlation"] > 0.9
    assert vague["accepted"] is False and harsh["accepted"] is False


@pytest.mark.parametrize("broken", [np.nan, np.inf], ids=str)
def test_patches_that_are_no_numbers_have_no_metrics_and_fail(scan: Scan, broken: float) -> None:
    patches = true_patches(scan)
    patches[1, 0, 3, 3] = broken
    found = outcome(trained(patches), scan)
    assert found["accepted"] is False and found["finite"] is False
    assert "amplitude_mae" not in found


def test_a_loss_that_was_no_number_once_fails_the_gate(scan: Scan) -> None:
    found = outcome(trained(true_patches(scan), losses=(1.0, float("nan"), 1.0)), scan)
    assert found["accepted"] is False and found["finite"] is False
    assert found["canvas_correlation"] > 0.99


def test_a_scan_without_truth_is_refused(scan: Scan) -> None:
    wanted = "scan: got one without a truth, wanted a simulated one; use consistency.outcome"
    with pytest.raises(ValueError, match=wanted):
        outcome(trained(true_patches(scan)), replace(scan, truth=None))


def test_constant_and_tilt_go_out_exactly() -> None:
    rows, columns = np.mgrid[:40, :40]
    covered = np.zeros((40, 40), bool)
    covered[3:35, 2:28] = True
    # 2.9 rad a row wraps nearly every row; what is not covered is noise, and must not count.
    angle = np.where(covered, 1.0 + 2.9 * rows - 0.11 * columns, np.random.default_rng(0).uniform(-3, 3, rows.shape))
    left = without_plane(angle, covered)
    assert np.abs(left[covered]).max() < 1e-10


def test_structure_without_a_slope_stays_when_the_plane_goes() -> None:
    rows, columns = np.mgrid[:32, :32]
    structure = 0.3 * np.cos(2 * np.pi * (rows + 0.5) / 32 * 2) * np.cos(2 * np.pi * (columns + 0.5) / 32 * 2)
    left = without_plane(structure + 0.5 + 0.2 * rows + 0.1 * columns, np.ones((32, 32), bool))
    np.testing.assert_allclose(left, structure, atol=1e-9)


def test_the_rings_of_identical_images_correlate_fully_and_of_noise_hardly() -> None:
    draw = np.random.default_rng(3)
    one, other = (draw.standard_normal((64, 64)) + 1j * draw.standard_normal((64, 64)) for _ in range(2))
    np.testing.assert_allclose(ring_correlation(one, one), 1.0, rtol=1e-12)
    np.testing.assert_allclose(ring_correlation(one, -2.0 * one), -1.0, rtol=1e-12)
    # From ring 8 on a ring has at least 60 places, and correlates by chance with a spread below 1/sqrt(120) = 0.09.
    assert np.abs(ring_correlation(one, other)[8:]).max() < 0.3


def test_a_blurred_image_loses_its_high_rings_alone() -> None:
    draw = np.random.default_rng(4)
    image = draw.standard_normal((64, 64)).astype(complex)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    noise = np.fft.fft2(draw.standard_normal((64, 64)))
    low = np.fft.ifft2(np.where(radius < 0.25, np.fft.fft2(image), noise))
    curve = ring_correlation(image, low)
    assert len(curve) == FRC_RINGS and curve[1:10].min() > 0.9 and np.abs(curve[14:]).max() < 0.4
    assert frc50(curve) == pytest.approx(0.5, abs=0.06)  # 0.25 cycles a pixel are half of Nyquist's


@pytest.mark.parametrize(
    ("curve", "wanted"),
    [
        # Rings lie at (i + 1/2) / n: from 0.7 at 2.5 down to 0.3 at 3.5 the half is crossed at 3, of 4.
        ([1.0, 0.9, 0.7, 0.3], 0.75),
        ([1.0, 0.5, 0.4, 0.9], 1.5 / 4),
        ([0.8, 0.2, 0.8, 0.2], (0.5 + 0.5) / 4),
        ([0.4, 1.0, 1.0, 1.0], 0.0),
        ([0.5, 0.5, 0.5, 0.5], 1.0),
    ],
    ids=["between rings", "at a ring", "first crossing", "never above", "never below"],
)
def test_frc50_by_hand(curve: list[float], wanted: float) -> None:
    assert frc50(np.array(curve)) == pytest.approx(wanted, abs=1e-12)


def test_thumbnails_show_canvas_and_truth_in_one_gauge(scan: Scan) -> None:
    made = thumbnails(stitched(7.0 * true_patches(scan), scan), scan.truth)
    image, wanted = (unpacked(made[name]).astype(int) for name in ("image", "image_truth"))
    assert image.shape == (SIDE, SIDE) and np.abs(image - wanted).max() <= 40 and np.abs(image - wanted).mean() < 1
    assert wanted.min() > 0 and wanted.max() <= np.ceil(255 / BRIGHTEST)
