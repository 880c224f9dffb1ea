"""The simulated scans and the physics of the study: against NumPy, slow loops and what optics says must hold."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from conformance.rollout.study.networks import transmission
from conformance.rollout.study.physics import far_field_amplitude, merge
from conformance.rollout.study.probes import PROBES
from conformance.rollout.study.scan import DEAD, SIZE, far_field_intensity, groups_of, patches_of, simulated
from conformance.rollout.study.settings import Setting
from conformance.rollout.study.training import CANVAS

EPS = float(np.finfo(np.float32).eps)
BASE = Setting("synthetic", 4, 1e6, "mae", 3)
DATA = ("synthetic", "real-like")


def waves(seed: int, *shape: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (draw.standard_normal(shape) + 1j * draw.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize("modes", [1, 2])
def test_the_far_field_is_that_of_numpy(modes: int) -> None:
    patches, probe = waves(0, 2, 3, 16, 16), waves(1, modes, 16, 16)
    got = np.asarray(far_field_amplitude(jnp.asarray(patches), jnp.asarray(probe)))
    intensity = far_field_intensity(patches.reshape(6, 16, 16).astype(complex), probe.astype(complex))
    wanted = np.sqrt(intensity).reshape(got.shape)
    # An FFT of 2^8 points errs by about log2(2^8) roundings in the L2 norm; twice that for products and root.
    assert np.linalg.norm(got - wanted) <= 16 * EPS * np.linalg.norm(wanted)


def test_the_far_field_of_a_plane_wave_is_one_bright_pixel_in_the_middle() -> None:
    amplitude = far_field_amplitude(jnp.ones((1, 1, 8, 8), jnp.complex64), jnp.ones((1, 8, 8), jnp.complex64))
    bright = np.zeros((8, 8))
    bright[4, 4] = 8.0  # unitary: sqrt(64 ones squared), all in the zero frequency
    np.testing.assert_allclose(np.asarray(amplitude[0, 0]), bright, atol=2e-6)  # sqrt(FAINTEST) = 1e-6 in the dark


def test_the_far_field_keeps_the_energy() -> None:
    patches, probe = waves(2, 2, 1, 16, 16), waves(3, 2, 16, 16)
    detected = np.sum(np.square(np.asarray(far_field_amplitude(patches, probe), np.float64)), axis=(1, 2, 3))
    exit_waves = np.sum(np.abs(patches[:, :, None].astype(complex) * probe) ** 2, axis=(1, 2, 3, 4))
    np.testing.assert_allclose(detected, exit_waves, rtol=32 * EPS)


def test_the_far_field_has_a_finite_gradient_in_the_dark() -> None:
    dark = jnp.zeros((1, 1, 8, 8), jnp.complex64)
    gradient = jax.grad(lambda patch: jnp.sum(far_field_amplitude(patch, jnp.ones((1, 8, 8), jnp.complex64))))(dark)
    assert np.all(np.isfinite(np.asarray(gradient)))


CORNERS = np.array(
    [[[0, 0], [0, 5], [6, 1], [5, 7]], [[2, 0], [0, 8], [8, 1], [8, 8]], [[0, 0], [0, 0], [1, 0], [0, 1]]]
)


def merged_slowly(patches: np.ndarray, canvas: int) -> np.ndarray:
    merged = np.empty_like(patches)
    size = patches.shape[-1]
    for sample, corners in enumerate(CORNERS):
        total, number = np.zeros((canvas, canvas), complex), np.zeros((canvas, canvas))
        for patch, (row, column) in zip(patches[sample], corners):
            total[row : row + size, column : column + size] += patch
            number[row : row + size, column : column + size] += 1
        for channel, (row, column) in enumerate(corners):
            window = (slice(row, row + size), slice(column, column + size))
            merged[sample, channel] = total[window] / number[window]
    return merged


def test_merging_averages_where_patches_overlap() -> None:
    patches = waves(4, 3, 4, 8, 8)
    got = np.asarray(merge(jnp.asarray(patches), jnp.asarray(CORNERS), 16))
    np.testing.assert_allclose(got, merged_slowly(patches, 16), atol=8 * EPS * np.abs(patches).max())


def test_merging_leaves_one_pattern_and_one_object_alone() -> None:
    single = jnp.asarray(waves(5, 3, 1, 8, 8))
    assert merge(single, jnp.asarray(CORNERS[:, :1]), 16) is single
    seen = jnp.asarray(merged_slowly(waves(6, 3, 4, 8, 8), 16))
    np.testing.assert_allclose(np.asarray(merge(seen, jnp.asarray(CORNERS), 16)), np.asarray(seen), atol=16 * EPS)


def test_the_gradient_of_merging_is_its_adjoint() -> None:
    # gather(scatter(x) / number) is symmetric and real, so that it is its own adjoint.
    patches, pulled = waves(7, 3, 4, 8, 8), waves(8, 3, 4, 8, 8)
    _, pull = jax.vjp(lambda inner: merge(inner, jnp.asarray(CORNERS), 16), jnp.asarray(patches))
    (got,) = pull(jnp.asarray(pulled))
    np.testing.assert_allclose(np.asarray(got), merged_slowly(pulled, 16), atol=16 * EPS * np.abs(pulled).max())


@pytest.mark.parametrize("head", ["bounded", "unbounded"])
def test_a_transmission_keeps_to_its_head(head: str) -> None:
    raw = jnp.asarray([-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4], jnp.float32)
    got = np.asarray(transmission(raw[:, None], raw[None, :], head))
    assert np.all(np.isfinite(got))
    modulus = np.abs(got)
    highest = 1 + 4 * EPS if head == "bounded" else 1e4 * (1 + 4 * EPS)
    assert np.all(modulus <= highest) and modulus[-1].min() >= highest * (1 - 8 * EPS)
    middle = {"bounded": 0.5, "unbounded": np.log(2)}[head]  # sigmoid(0), softplus(0)
    np.testing.assert_allclose(got[3, 3], middle, rtol=4 * EPS)
    slope = jax.grad(lambda both: jnp.sum(jnp.abs(transmission(both, both, head))))(raw)
    assert np.all(np.isfinite(np.asarray(slope)))


@pytest.mark.parametrize("data", DATA)
def test_a_probe_has_unit_intensity_and_modes_that_do_not_interfere(data: str) -> None:
    probe = PROBES[data](SIZE)
    gram = np.einsum("iyx,jyx->ij", probe, np.conj(probe))
    powers = {"synthetic": [1.0], "real-like": [0.9, 0.1]}[data]  # of the docstrings
    np.testing.assert_allclose(gram, np.diag(powers), atol=1e-12)


@pytest.mark.parametrize("data", DATA)
def test_the_true_object_gives_the_targets_up_to_the_noise_of_counting(data: str) -> None:
    photons = 1e9
    scan = simulated(replace(BASE, data=data, photons=photons))
    assert scan.truth is not None
    patches = patches_of(scan.truth, scan.positions, SIZE)[:, None]
    predicted = np.asarray(far_field_amplitude(jnp.asarray(patches), jnp.asarray(scan.probe)))[:, 0]
    # The root of a Poisson count has a standard deviation of 1/2 where counts are many.
    roots = (predicted - scan.targets)[:, scan.mask].astype(np.float64) * np.sqrt(photons) / (SIZE / 2)
    assert 0.45 < np.sqrt(np.mean(roots**2)) < 0.55
    assert np.abs(roots).max() < 4.0


@pytest.mark.parametrize("data", DATA)
def test_the_scale_of_the_likelihood_turns_targets_into_counts(data: str) -> None:
    scan = simulated(replace(BASE, data=data, photons=1e4))
    counts = (scan.targets.astype(np.float64) * np.sqrt(1e4) / (SIZE / 2)) ** 2
    np.testing.assert_allclose(counts, np.round(counts), atol=4 * EPS * counts.max())
    assert counts.max() > 10


@pytest.mark.parametrize("photons", [1e6, 1e3])
def test_targets_have_half_the_side_as_mean_norm(photons: float) -> None:
    scan = simulated(replace(BASE, photons=photons))
    mean = np.mean(np.sum(scan.targets.astype(np.float64) ** 2, axis=(1, 2)))
    # All photons of 169 patterns are one Poisson number: 5 of its relative standard deviations.
    np.testing.assert_allclose(mean, (SIZE / 2) ** 2, rtol=5 / np.sqrt(169 * photons))


def test_jitter_is_a_flux_of_each_pattern_within_its_bounds() -> None:
    plain, jittered = (simulated(replace(BASE, photons=1e9, jitter=jitter)) for jitter in (1.0, 2.0))
    flux = np.divide(*(np.sum(scan.targets.astype(np.float64) ** 2, axis=(1, 2)) for scan in (jittered, plain)))
    assert 0.499 < flux.min() < 0.55 and 1.8 < flux.max() < 2.001
    np.testing.assert_array_equal(plain.truth, jittered.truth)
    np.testing.assert_array_equal(plain.probe, jittered.probe)
    # Uniform in [-log 2, log 2]: standard deviation log 2 / sqrt(3) = 0.400, and 169 draws of it.
    assert abs(np.std(np.log(flux)) - np.log(2) / np.sqrt(3)) < 0.06


def test_dead_pixels_are_dark_and_rare_and_in_the_real_like_data_alone() -> None:
    masks = []
    for seed in range(4):
        scan = simulated(replace(BASE, data="real-like", seed=seed))
        assert np.all(scan.targets[:, ~scan.mask] == 0)
        masks.append(scan.mask)
    # 4096 pixels at 0.4 % are 16.4 in the mean, with a standard deviation of 4.
    assert abs(np.sum(~np.array(masks)) - 4 * SIZE**2 * DEAD) < 16
    assert simulated(BASE).mask.all()


@pytest.mark.parametrize(
    "change",
    [
        *({"arm": "nll+l2_batch"}, {"channels": 1}, {"k": 10.0}, {"head": "unbounded"}, {"generator": "fno"}),
        *({"probe_scale": 4.0}, {"gain": "unit_l2"}, {"backend": "torch"}, {"steps": 7}),
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("data", DATA)
def test_one_seed_gives_one_scan(data: str, change: dict) -> None:
    one, other = simulated(replace(BASE, data=data)), simulated(replace(BASE, data=data, **change))
    for name in ("targets", "probe", "positions", "mask", "truth"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("data", DATA)
def test_another_seed_gives_another_scan(data: str) -> None:
    one, other = simulated(replace(BASE, data=data)), simulated(replace(BASE, data=data, seed=4))
    assert not np.array_equal(one.positions, other.positions)
    shared = tuple(slice(min(sides)) for sides in zip(one.truth.shape, other.truth.shape))
    assert np.mean(np.abs(one.truth[shared] - other.truth[shared])) > 0.05


def test_the_patterns_of_a_sample_are_neighbours_and_fit_its_canvas() -> None:
    groups = groups_of(4)
    assert groups.shape == (144, 4) and set(groups.ravel()) == set(range(169))
    for seed in range(5):
        corners = simulated(replace(BASE, seed=seed)).positions[groups]
        assert (corners - corners.min(axis=1, keepdims=True)).max() + SIZE <= CANVAS
    np.testing.assert_array_equal(groups_of(1), np.arange(169)[:, None])


@pytest.mark.parametrize("image", ["camera", "coins", "brick", "grass", "cell"])
def test_the_pictures_come_with_the_wheel(image: str) -> None:
    assert (Path(skimage.data.__file__).parent / f"{image}.png").is_file()
