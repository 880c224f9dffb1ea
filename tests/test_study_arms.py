"""The arms of the study are the losses they are named after, balanced, and the same in the three frameworks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from roundings import SHORT, apart

import oracle
from conformance.backends import Answer, load_backend
from conformance.case import Parameters, Question, Scale
from conformance.computed import computed_case
from conformance.rollout.study.elsewhere import slope
from conformance.rollout.study.networks import GENERATORS, transmission
from conformance.rollout.study.objective import VARIANCE_WEIGHT, log_scale_variance, terms
from conformance.rollout.study.physics import far_field_amplitude, merge
from conformance.rollout.study.scan import SIZE, Scan, simulated
from conformance.rollout.study.settings import COMBINED, Setting
from conformance.rollout.study.training import CANVAS, SAMPLES, probe_of, train
from conformance.verdict import judge_answer

EPS = float(np.finfo(np.float32).eps)
SHARED = ("mae", "nll", "l2_sample", "l2_patch", "l2_batch")
DRAW = np.random.default_rng(5)
PREDICTED = (DRAW.random((4, 4, 8, 8)) + 0.1).astype(np.float32)
MEASURED = (DRAW.random((4, 4, 8, 8)) * np.array([0.5, 1, 2, 4])[:, None, None, None]).astype(np.float32)
MASK = np.ones((1, 1, 8, 8), bool)
MASK[0, 0, 2, 5] = False
SCALE = 31.25  # sqrt(photons) per amplitude, exact in float32


def question_of(arm: str, gain: str) -> Question:
    parameters = Parameters()
    if arm == "nll":
        parameters = Parameters(scale=Scale(SCALE))
    elif arm.startswith("l2"):
        parameters = Parameters(scope=arm.removeprefix("l2_"), gain=gain)
    loss = {"mae": "amplitude_mae", "nll": "poisson_nll"}.get(arm, "amplitude_l2_mae")
    return Question(arm, loss, parameters, PREDICTED.astype(float), MEASURED.astype(float), MASK)


def jax_slope(arm: str, gain: str) -> Callable[..., tuple[Any, Any]]:
    (loss,) = terms(arm, gain)
    return jax.jit(jax.value_and_grad(loss))


@pytest.mark.parametrize("framework", ["jax", "torch", "tensorflow"])
@pytest.mark.parametrize(
    ("arm", "gain"), [(arm, "unit_rms") for arm in SHARED] + [("l2_sample", "unit_l2"), ("l2_batch", "unit_l2")]
)
def test_an_arm_is_its_loss_within_the_tolerance_of_the_judge(framework: str, arm: str, gain: str) -> None:
    case = computed_case(question_of(arm, gain), load_backend("jax"))
    made = jax_slope(arm, gain) if framework == "jax" else slope(framework, arm, gain)
    value, gradient = made(PREDICTED, MEASURED, MASK, SCALE)
    answer = Answer.of(np.asarray(value, np.float32), np.asarray(gradient))
    status, _, _, message = judge_answer(case, answer, "float32", "strict")
    assert (status, message) == ("pass", "")
    assert np.any(np.asarray(gradient)[..., 2, 4] != 0) and np.all(np.asarray(gradient)[..., 2, 5] == 0)


def test_arms_are_told_apart_by_the_judge() -> None:
    # Else a table of arms that all mean the same loss would pass above.
    for arm in SHARED:
        case = computed_case(question_of(arm, "unit_rms"), load_backend("jax"))
        for other in set(SHARED) - {arm}:
            value, gradient = jax_slope(other, "unit_rms")(PREDICTED, MEASURED, MASK, SCALE)
            answer = Answer.of(np.asarray(value), np.asarray(gradient))
            assert judge_answer(case, answer, "float32", "strict")[0] == "fail", (arm, other)


def variance(predicted: Any, measured: Any = MEASURED, mask: Any = MASK) -> float:
    return float(log_scale_variance(jnp.asarray(predicted), jnp.asarray(measured), jnp.asarray(mask)))


def test_the_variance_sees_relative_scales_and_no_common_one() -> None:
    # log 2 times (0, 1, 2, 3) has the variance log(2)^2 5/4, over the batch and not its sample estimate.
    factors = np.array([1, 2, 4, 8], np.float32)[:, None, None, None]
    wanted = np.log(2) ** 2 * 1.25
    for common in (1.0, 2.0**-20, 2.0**20):
        assert variance(MEASURED * factors * common) == pytest.approx(wanted, rel=apart(dtype="float32"))
        assert variance(MEASURED * common) == pytest.approx(0.0, abs=apart(dtype="float32", steps=SHORT) ** 2)


def test_the_variance_is_blind_to_channels_and_masked_pixels() -> None:
    swapped, damaged = MEASURED[:, ::-1], MEASURED.copy()
    damaged[..., 2, 5] = np.nan
    assert variance(swapped) == pytest.approx(0.0, abs=apart(dtype="float32", steps=SHORT) ** 2)
    assert variance(damaged, damaged) == pytest.approx(0.0, abs=apart(dtype="float32", steps=SHORT) ** 2)


@pytest.mark.parametrize("dark", ["predicted", "measured", "both"])
def test_the_variance_has_a_finite_gradient_in_the_dark(dark: str) -> None:
    predicted, measured = PREDICTED.copy(), MEASURED.copy()
    for name, array in (("predicted", predicted), ("measured", measured)):
        if dark in (name, "both"):
            array[1] = 0
    value, gradient = jax.value_and_grad(log_scale_variance)(predicted, measured, MASK)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_the_arm_with_the_variance_is_the_sum_of_the_two() -> None:
    value, gradient = jax_slope("l2_sample_var", "unit_rms")(PREDICTED, MEASURED, MASK, SCALE)
    plain, slopes = jax_slope("l2_sample", "unit_rms")(PREDICTED, MEASURED, MASK, SCALE)
    own, own_slopes = jax.value_and_grad(log_scale_variance)(PREDICTED, MEASURED, MASK)
    assert value == pytest.approx(float(plain + VARIANCE_WEIGHT * own), rel=8 * EPS)
    wanted = np.asarray(slopes + VARIANCE_WEIGHT * own_slopes)
    np.testing.assert_allclose(np.asarray(gradient), wanted, atol=8 * EPS * np.abs(wanted).max())


def test_one_pattern_a_sample_makes_patch_and_sample_one_loss() -> None:
    # What the plan leaves out: with C = 1 the two arms are bit for bit the same.
    single = [array[:, :1] for array in (PREDICTED, MEASURED)]
    for gain in ("unit_rms", "unit_l2"):
        one, other = (jax_slope(arm, gain)(*single, MASK, SCALE) for arm in ("l2_patch", "l2_sample"))
        assert one[0] == other[0]
        np.testing.assert_array_equal(np.asarray(one[1]), np.asarray(other[1]))


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulated(Setting("synthetic", 4, 1e6, "mae", 0))


BASE = Setting("synthetic", 4, 1e6, "mae", 0, steps=1)


def first_slopes(setting: Setting, scan: Scan) -> list[tuple[float, float]]:
    """Return value and gradient norm of each term at the start, put together anew from the parts."""
    chosen = np.random.default_rng([setting.seed, 1]).permutation(len(scan.groups))[: SAMPLES[setting.channels]]
    corners = scan.positions[scan.groups[chosen]]
    corners = jnp.asarray(corners - corners.min(axis=1, keepdims=True))
    targets = jnp.asarray(scan.targets[scan.groups[chosen]])
    make, network = GENERATORS[setting.generator]
    weights = make(jax.random.key(setting.seed), setting.channels)
    scale = np.float32(np.sqrt(setting.photons) / (SIZE / 2))

    def value_of(loss: Callable[..., Any], weights: Any) -> Any:
        patches = merge(transmission(*network(weights, targets), setting.head), corners, CANVAS)
        predicted = setting.k * far_field_amplitude(patches, jnp.asarray(probe_of(setting, scan)))
        return loss(predicted, targets, jnp.asarray(scan.mask)[None, None], scale)

    found = []
    for loss in terms(setting.arm, setting.gain):
        value, slopes = jax.jit(jax.value_and_grad(lambda weights, loss=loss: value_of(loss, weights)))(weights)
        norm = np.sqrt(sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(slopes)))
        found.append((float(value), float(norm)))
    return found


@pytest.mark.parametrize("arm", ["nll+l2_sample", "nll+mae"])
def test_combined_arms_start_with_gradients_of_one_norm(arm: str, scan: Scan) -> None:
    assert arm in COMBINED
    trained = train(replace(BASE, arm=arm), scan)
    slopes = first_slopes(replace(BASE, arm=arm), scan)
    # Sums of float32 over tens of thousands of weights in two programs: 1e-4 is loose for both and tight for a factor.
    np.testing.assert_allclose(trained.weights, [1 / norm for _, norm in slopes], rtol=1e-4)
    assert trained.losses[0] == pytest.approx(sum(value / norm for value, norm in slopes), rel=1e-4)
    assert 0 < trained.gradient_norms[0] <= 2 * (1 + 1e-4)


@pytest.mark.parametrize(("arm", "k"), [("mae", 10.0), ("nll", 1.0)])
def test_k_multiplies_the_prediction(arm: str, k: float, scan: Scan) -> None:
    trained = train(replace(BASE, arm=arm, k=k), scan)
    ((value, norm),) = first_slopes(replace(BASE, arm=arm, k=k), scan)
    assert trained.weights == (1.0,)
    assert trained.losses[0] == pytest.approx(value, rel=1e-4)
    assert trained.gradient_norms[0] == pytest.approx(norm, rel=1e-3)


def test_k_moves_the_legacy_loss_and_not_the_normalised_one(scan: Scan) -> None:
    first = {
        (arm, k): train(replace(BASE, arm=arm, k=k), scan).losses[0] for arm in ("mae", "l2_batch") for k in (1.0, 0.1)
    }
    assert first["l2_batch", 0.1] == pytest.approx(first["l2_batch", 1.0], rel=1e-5)
    assert abs(first["mae", 0.1] / first["mae", 1.0] - 1) > 0.1


@pytest.mark.parametrize("data", ["synthetic", "real-like"])
def test_probe_scale_is_one_factor_whatever_the_data_say(data: str) -> None:
    setting = replace(BASE, data=data, probe_scale=4.0)
    scan = simulated(setting)
    probe = probe_of(setting, scan)
    factor = np.linalg.norm(scan.probe) / np.linalg.norm(probe)
    np.testing.assert_allclose(probe * factor, scan.probe, rtol=16 * EPS)
    brighter = replace(scan, probe=scan.probe * np.float32(8))
    np.testing.assert_allclose(probe_of(setting, brighter), probe, rtol=8 * EPS)
    modulus = np.sqrt(np.sum(np.abs(probe) ** 2, axis=0))
    assert modulus[modulus > 0.1 * modulus.max()].mean() == pytest.approx(0.25, rel=1e-5)
    np.testing.assert_array_equal(probe_of(replace(setting, probe_scale=0.0), scan), scan.probe)


@pytest.mark.parametrize("arm", ["l2_sample_var", "nll+mae", "l1"])
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_an_arm_that_is_no_shipped_loss_is_refused(backend: str, arm: str) -> None:
    wanted = f"arm: got '{arm}' with another backend than jax, wanted mae, nll, l2_sample, l2_patch or l2_batch"
    with pytest.raises(ValueError) as refused:
        slope(backend, arm, "unit_rms")
    assert str(refused.value) == wanted


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"arm": "l2"}, "arm: got 'l2', wanted one of mae, l2_sample"),
        ({"arm": "l2_sample+nll"}, "arm: got 'l2_sample+nll', wanted one of"),
        ({"data": "real"}, "data: got 'real', wanted one of synthetic, real-like, measured"),
        ({"channels": 2}, "channels: got 2, wanted 1 or 4"),
        ({"photons": 0.0}, "photons: got 0.0, wanted a finite number above 0"),
        ({"k": float("nan")}, "k: got nan, wanted a finite number above 0"),
        ({"jitter": -1.0}, "jitter: got -1.0, wanted"),
        ({"steps": True}, "steps: got bool True, wanted a number"),
        ({"backend": "keras"}, "backend: got 'keras', wanted one of jax, torch, tensorflow"),
        ({"gain": "none"}, "gain: got 'none', wanted one of unit_rms, unit_l2"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_setting_that_means_nothing_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        replace(BASE, **change)
    assert str(refused.value).startswith(text)


def test_the_reference_is_what_the_arms_are_made_of() -> None:
    (loss,) = terms("mae", "unit_rms")
    assert loss(PREDICTED, MEASURED, MASK, SCALE) == oracle.amplitude_mae(PREDICTED, MEASURED, mask=MASK)
