"""What the migration rests on: every relation between the two MAEs, the same steps bit for bit, the absolute scale."""

from collections.abc import Callable
from math import inf, nan, sqrt
from typing import Any

import keras
import numpy as np
import pytest
import torch

from conformance.case import Array
from conformance.codepaths import torch_losses
from conformance.rollout.migration import (
    AbsoluteScale,
    Ratios,
    Settings,
    absolute_scale,
    equivalent_settings,
    equivalent_weight,
    from_l2_match,
    l2_matched,
    norms,
    ratios_of_data,
    ratios_of_photons,
)
from conformance.tolerance import ARITHMETICS

ROUNDED = ARITHMETICS["float64"].grow(2048)
"""Relative error of some sums of a few hundred positive numbers in float64, one rounding each."""
SCALE = 12.5
SHAPE = (3, 2, 6, 5)
N = 2 * 6 * 5


def _pair(seed: int = 4) -> tuple[Array, Array]:
    draw = np.random.default_rng(seed)
    p, t = draw.uniform(0.25, 2, SHAPE), draw.uniform(0.25, 2, SHAPE)
    return p, t * np.array([1.0, 0.5, 3.0])[:, None, None, None]


def _near(actual: Any, expected: Any) -> bool:
    return bool(np.all(np.abs(np.asarray(actual) - expected) <= ROUNDED * np.abs(expected)))


def _each(loss: Callable[..., torch.Tensor], prediction: Array, target: Array) -> tuple[Array, Array]:
    """Return the mean of each sample, and its gradient."""
    p = torch.tensor(prediction, requires_grad=True)
    values = loss(p, torch.tensor(target), reduction="sample")
    return values.detach().numpy(), torch.autograd.grad(values.sum(), p)[0].numpy()


def _legacy(prediction: Array, target: Array) -> tuple[Array, Array]:
    return _each(lambda p, t, **how: torch_losses.amplitude_mae(p, t, SCALE, **how), prediction, target)


@pytest.mark.parametrize(("gain", "factor"), [("unit_l2", 1.0), ("unit_rms", sqrt(N))])
def test_the_value_is_the_legacy_one_of_the_rescaled_prediction_over_s_and_the_norm(gain: str, factor: float) -> None:
    p, t = _pair()
    values, _ = _each(lambda p, t, **how: torch_losses.amplitude_l2_mae(p, t, gain=gain, **how), p, t)
    legacy, _ = _legacy(l2_matched(p, t), t)
    assert _near(values, factor * from_l2_match(legacy, t, SCALE))
    assert _near(values, factor * legacy / (SCALE * norms(t)))


def test_the_gradient_is_the_legacy_one_less_its_part_along_the_prediction_and_never_larger() -> None:
    p, t = _pair()
    p = l2_matched(p, t)
    _, gradient = _each(torch_losses.amplitude_l2_mae, p, t)
    _, legacy = _legacy(p, t)
    for b, norm in enumerate(norms(p)):
        phat = p[b] / norm
        projected = (legacy[b] - phat * np.sum(legacy[b] * phat)) / (SCALE * norm)
        assert np.max(np.abs(gradient[b] - projected)) <= ROUNDED * np.max(np.abs(projected))
        share = sqrt(1 - np.sum(np.sign(legacy[b]) * phat) ** 2 / N)
        wanted = np.linalg.norm(legacy[b]) * share / (SCALE * norm)
        assert 0 < share < 1 and abs(np.linalg.norm(gradient[b]) / wanted - 1) < ROUNDED / (1 - share)


def test_samples_that_are_off_by_one_relative_error_have_the_ratio_of_the_values() -> None:
    """Two of each four elements 1/4 up and two down by as much, of equal elements: P / T is the same in each sample."""
    t = np.ones((3, 1, 4, 4)) * np.array([1.0, 0.5, 3.0])[:, None, None, None]
    p = t * (1 + np.tile([0.25, -0.25], 8).reshape(4, 4))
    q = l2_matched(p, t)
    new, _ = _each(torch_losses.amplitude_l2_mae, p, t)
    assert _near(np.mean(new), ratios_of_data(t, SCALE, normalization="l2_sample").loss * np.mean(_legacy(q, t)[0]))


def test_the_ratio_of_the_gradients_is_met_where_the_signs_are_at_right_angles_to_the_prediction() -> None:
    p = np.ones((3, 1, 4, 4)) * np.array([1.0, 0.5, 3.0])[:, None, None, None]
    t = p * (1 + np.tile([0.25, -0.25], 8).reshape(4, 4))
    t = l2_matched(t, p)
    assert np.array_equal(np.sum(np.sign(p - t), axis=(1, 2, 3)), [0, 0, 0])
    ratios = ratios_of_data(t, SCALE, normalization="l2_sample")
    new, legacy = (np.linalg.norm(_[1]) for _ in (_each(torch_losses.amplitude_l2_mae, p, t), _legacy(p, t)))
    assert _near(new, ratios.gradient * legacy)
    assert ratios.least < ratios.loss < ratios.gradient < ratios.largest


def test_photons_alone_give_the_ratios_of_equally_bright_samples() -> None:
    t = np.random.default_rng(1).permuted(np.tile(np.arange(1.0, 17.0), (6, 1)), axis=1).reshape(3, 2, 4, 4)
    s = float(torch_losses.intensity_scale(torch.tensor(t), 1e6))
    found, wanted = (
        ratios_of_data(t, s, normalization="l2_sample"),
        ratios_of_photons(1e6, 2, normalization="l2_sample"),
    )
    for one, other in zip(
        (found.loss, found.gradient, found.least, found.largest),
        (wanted.loss, wanted.gradient, wanted.least, wanted.largest),
    ):
        assert _near(one, other)
    assert ratios_of_photons(2.0**20, 4, normalization="l2_sample") == Ratios(2.0**-11, 2.0**-11, 2.0**-11, 2.0**-11)
    assert ratios_of_photons(2.0**20, 4, normalization="l2_sample").times(64.0).loss == 2.0**-5


def test_one_norm_of_a_batch_has_one_factor_and_the_gain_takes_its_size_out() -> None:
    p, t = _pair()
    batch = l2_matched(p.reshape(1, -1, 6, 5), t.reshape(1, -1, 6, 5)).reshape(SHAPE)
    legacy = float(torch_losses.amplitude_mae(torch.tensor(batch), torch.tensor(t), SCALE))
    for normalization in ("l2_batch", "l2_view"):
        for gain in ("unit_l2", "unit_rms"):
            value = torch_losses.amplitude_l2_mae(torch.tensor(p), torch.tensor(t), scope="batch", gain=gain)
            ratios = ratios_of_data(t, SCALE, normalization=normalization, gain=gain, batch_size=3)
            assert _near(float(value), ratios.loss * legacy)
            assert ratios.loss == ratios.gradient == ratios.least == ratios.largest
            other = ratios_of_data(t, SCALE, normalization=normalization, gain=gain, batch_size=12)
            assert _near(other.loss, ratios.loss / (2 if gain == "unit_l2" else 1))
    assert ratios_of_photons(2.0**20, 4, normalization="l2_batch", batch_size=16).loss == 2.0**-13


def test_norms_of_patterns_have_the_factors_of_patterns() -> None:
    _, t = _pair()
    found = ratios_of_data(t, SCALE, normalization="l2_patch", gain="unit_rms")
    alone = ratios_of_data(t.reshape(6, 1, 6, 5), SCALE, normalization="l2_sample", gain="unit_rms")
    assert found == alone and found.least < found.largest
    assert ratios_of_photons(2.0**20, 4, normalization="l2_patch").loss == 2.0**-10


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"normalization": "none"}, "normalization: got 'none', wanted one of l2_batch, l2_view, l2_sample, l2_patch"),
        ({"normalization": "l2_batch", "gain": "rms"}, "gain: got 'rms', wanted one of unit_l2, unit_rms"),
    ],
)
def test_unknown_norms_and_gains_are_refused(how: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ratios_of_data(ONE, 1.0, **how)


R = 2.0**-12
"""A power of two: multiplied by it, gradients and settings keep all their bits, and so do the steps."""
DYADIC = Ratios(R, R, R, R)
LEGACY = Settings(adam_epsilon=2.0**-20, clip_norm=2.0**-5, learning_rate=2.0**-6)


def _torch_steps(factor: float, settings: Settings) -> list[Array]:
    torch.manual_seed(0)
    weights = torch.nn.Parameter(torch.rand(7, dtype=torch.float64))
    draw = np.random.default_rng(3)
    of: torch.optim.Optimizer
    decay = factor * settings.mae_weight * 2.0**-5  # inside SGD and Torch's Adam it is one of the gradients
    if settings.optimizer == "adam":
        epsilon = settings.adam_epsilon
        assert epsilon is not None
        of = torch.optim.Adam([weights], lr=settings.learning_rate, eps=epsilon, weight_decay=decay)
    else:
        of = torch.optim.SGD([weights], lr=settings.learning_rate, momentum=0.75, weight_decay=decay)
    found = []
    for _ in range(20):
        weights.grad = torch.tensor(factor * settings.mae_weight * draw.normal(size=7) * 2.0**-6)
        assert settings.clip_norm is not None
        if weights.grad.norm() > settings.clip_norm:  # Torch's own clipping adds 1e-6 to the norm
            weights.grad *= settings.clip_norm / weights.grad.norm()
        of.step()
        found.append(weights.detach().numpy().copy())
    return found


def _keras_steps(factor: float, settings: Settings) -> list[Array]:
    start = np.random.default_rng(0).uniform(size=7)
    weights = keras.Variable(start, dtype="float64")
    draw = np.random.default_rng(3)
    if settings.optimizer == "adam":
        of = keras.optimizers.Adam(settings.learning_rate, epsilon=settings.adam_epsilon)
    else:
        of = keras.optimizers.SGD(settings.learning_rate, momentum=0.75)
    found = []
    for _ in range(20):
        of.apply([keras.ops.convert_to_tensor(factor * settings.mae_weight * draw.normal(size=7))], [weights])
        found.append(np.array(weights.numpy()))
    return found


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("steps", [_torch_steps, _keras_steps], ids=["torch", "keras"])
def test_equivalent_settings_make_the_same_steps(steps: Any, optimizer: str) -> None:
    legacy = Settings(1.0, LEGACY.learning_rate, optimizer, LEGACY.adam_epsilon, LEGACY.clip_norm)
    wanted = steps(1.0, legacy)
    for one, other in zip(steps(R, equivalent_settings(legacy, DYADIC)), wanted):
        assert np.array_equal(one, other)
    assert not np.array_equal(steps(R, legacy)[-1], wanted[-1])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_equivalent_weight_alone_makes_the_same_steps(optimizer: str) -> None:
    legacy = Settings(0.5, LEGACY.learning_rate, optimizer, LEGACY.adam_epsilon, LEGACY.clip_norm)
    weighted = Settings(
        equivalent_weight(0.5, DYADIC), legacy.learning_rate, optimizer, legacy.adam_epsilon, legacy.clip_norm
    )
    assert weighted.mae_weight == 2.0**11
    for one, other in zip(_torch_steps(R, weighted), _torch_steps(1.0, legacy)):
        assert np.array_equal(one, other)


def test_what_is_not_set_stays_so_and_the_weight_stays() -> None:
    found = equivalent_settings(Settings(3.0, optimizer="sgd", clip_norm=None, min_delta=None), DYADIC)
    assert found == Settings(3.0, 1e-3 / R, "sgd", None, None, None)
    uneven = Ratios(0.5, 0.25, 0.125, 1.0)
    assert equivalent_settings(Settings(), uneven) == Settings(adam_epsilon=1e-8 * 0.25, min_delta=1e-4 * 0.5)
    assert equivalent_weight(1.0, uneven) == equivalent_settings(Settings(1.0, 1.0, "sgd"), uneven).learning_rate == 4
    with pytest.raises(ValueError, match="optimizer: got 'lion', wanted one of adam, sgd"):
        equivalent_settings(Settings(optimizer="lion"), DYADIC)


def test_the_absolute_scale_is_the_one_of_least_squares() -> None:
    p, t = _pair()
    found = absolute_scale(p, t)

    def off(a: float) -> float:
        return float(np.sum((a * p - t) ** 2))

    assert off(found) < min(off(found * 1.001), off(found / 1.001))
    assert absolute_scale(p, 8 * p) == 8 and absolute_scale(4 * p, p) == 0.25
    assert _near(np.linalg.lstsq(p.reshape(-1, 1), t.ravel(), rcond=None)[0][0], found)


def test_batches_give_the_scale_of_the_whole_and_not_the_mean_of_theirs() -> None:
    p, t = (np.round(array * 64) for array in _pair())  # whole numbers: their sums are exact
    sums = AbsoluteScale()
    for b in range(3):
        sums.add(p[b : b + 1].astype("f4"), t[b : b + 1].astype("f4"))
    assert sums.value == absolute_scale(p, t) == np.sum(p * t) / np.sum(p * p)
    assert abs(np.mean([absolute_scale(p[b], t[b]) for b in range(3)]) / sums.value - 1) > 0.01


def test_masked_pixels_count_nowhere_nan_included() -> None:
    p, t = _pair()
    mask = np.ones(SHAPE[-2:])
    mask[2, 3] = 0
    bare = np.delete(p.reshape(6, 30), 13, 1), np.delete(t.reshape(6, 30), 13, 1)
    p[..., 2, 3] = t[..., 2, 3] = nan
    assert _near(absolute_scale(p, t, mask), absolute_scale(*bare))


ONE = np.ones((1, 1, 2, 2))
HOLE = np.where(np.arange(4).reshape(ONE.shape) == 2, inf, 1.0)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((ONE, ONE[0]), ValueError, r"shapes differ: prediction \(1, 1, 2, 2\), target \(1, 2, 2\); no broadcasting"),
        ((ONE * 1j, ONE), TypeError, "prediction: got complex128, wanted real amplitudes; take the modulus of a field"),
        ((ONE, HOLE), ValueError, r"target: got inf at \(0, 0, 1, 0\), wanted finite numbers; mask or repair it"),
        ((HOLE * nan, ONE), ValueError, r"prediction: got nan at \(0, 0, 0, 0\), wanted finite numbers"),
        ((0 * ONE, ONE), ValueError, "prediction: got nothing but 0 in valid pixels, which no scale brings to the"),
        ((ONE, 0 * ONE), ValueError, "target: <p, t> is 0, wanted above 0: the two share no light"),
        ((ONE, ONE, np.ones(3)), ValueError, r"mask: got shape \(3,\), wanted one that broadcasts to \(1, 1, 2, 2\)"),
    ],
    ids=["shapes", "complex", "infinite", "nan", "dark", "nothing in common", "mask"],
)
def test_what_has_no_scale_is_refused(arguments: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        absolute_scale(*arguments)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (np.concatenate([ONE, 0 * ONE]), "target: sample 1 has norm 0.0, wanted finite and above 0; leave it out"),
        (ONE[0], r"target: got shape \(1, 2, 2\), wanted four non-empty axes \(B, C, H, W\)"),
    ],
    ids=["dark", "axes"],
)
def test_targets_without_a_norm_are_refused(target: Array, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ratios_of_data(target, 1.0, normalization="l2_sample")
    with pytest.raises(ValueError, match=r"loss: got shape \(2,\), wanted \(1,\), one mean per sample"):
        from_l2_match(np.ones(2), ONE)
