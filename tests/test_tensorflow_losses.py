"""The TensorFlow MAEs, every option of them, against plain NumPy formulas; and the scale from a photon number."""

from typing import Any

import numpy as np
import plain_formulas as plain
import pytest
import tensorflow as tf
from roundings import SHORT, apart, narrowed, require_close
from tapes import ENDS, MODES, compiled, graded, grader

from conformance.codepaths import tensorflow_losses as losses
from conformance.codepaths.tensorflow_reduction import count

SHAPE = (4, 3, 5, 2)
IDS = np.array([7, -3, 7, 2**40])
SCOPES = ("sample", "patch", "view", "batch")
REDUCTIONS = ("mean", "sum", "sample", "none")
EPS = 2.0**-40


def arrays(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Target and prediction with dead pixels, exact ties, a dark target and a dark prediction."""
    draw = np.random.default_rng(seed)
    t, p = draw.integers(0, 256, shape) / 64.0, draw.integers(0, 256, shape) / 64.0
    p[:, 0], t[:, 0] = 0, 0
    p[:, 1, 0] = t[:, 1, 0]
    t[1, ..., 0], p[2, ..., 1] = 0, 0
    return t, p


def masks(shape: tuple[int, ...] = SHAPE) -> dict[str, Any]:
    draw = np.random.default_rng(3)
    full = draw.random(shape) < 0.7
    full[3] = False  # a sample without a valid element
    return {
        "none": None,
        "full": full,
        "detector": draw.random((1, *shape[1:3], 1)) < 0.6,
        "integers": draw.integers(0, 3, (1, *shape[1:])).astype("u2"),
        "floats": np.where(draw.random((shape[0], 1, 1, 1)) < 0.5, 0.25, 0.0).astype("f4"),
        "nothing": np.zeros((1, 1, 1, 1), "i1"),
    }


def poisoned(array: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """NaN and infinity wherever nobody may look."""
    rubbish = np.resize([np.nan, np.inf, -np.inf], array.shape).astype(array.dtype)
    return np.where(valid, array, rubbish)


THREE_SUMS = 3 * arrays()[0].size
"""Terms of a norm, of the gradient's projection and of a reduction."""


def close(actual: Any, expected: Any) -> None:
    require_close(actual, expected, apart(THREE_SUMS))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scope", SCOPES)
def test_the_normalised_mae_over_each_scope(scope: str, mode: str) -> None:
    t, p = arrays()
    for reduction, gain, name in zip(REDUCTIONS, ("unit_rms", "unit_l2") * 2, ("none", "full", "detector", "floats")):
        mask = masks()[name]
        valid = plain.everywhere(mask, SHAPE)
        value, of_p, of_t = graded(
            lambda y_true, y_pred, reduction=reduction, gain=gain, mask=mask: losses.amplitude_l2_mae(
                y_true, y_pred, mask=mask, scope=scope, view_ids=IDS if scope == "view" else None,
                reduction=reduction, gain=gain,
            ),
            mode, poisoned(t, valid), poisoned(p, valid),
        )  # fmt: skip
        label = plain.labels(scope, SHAPE, IDS)
        elements, slope, target_slope = plain.l2(p, t, valid, label, plain.weights(valid, reduction), gain=gain)
        close(value, plain.reduce(elements, valid, reduction))
        close(of_p, slope)
        close(of_t, target_slope)
        assert np.all(of_p[~valid] == 0) and np.all(of_t[~valid] == 0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", list(masks()))
def test_every_reduction_with_every_mask(name: str, reduction: str) -> None:
    t, p = arrays()
    mask = masks()[name]
    valid = plain.everywhere(mask, SHAPE)
    weight = plain.weights(valid, reduction)
    y_true, y_pred = poisoned(t, valid), poisoned(p, valid)
    value, of_p, _ = graded(
        lambda *pair: losses.amplitude_l2_mae(*pair, mask=mask, reduction=reduction), "eager", y_true, y_pred
    )
    elements, slope, _ = plain.l2(p, t, valid, plain.labels("sample", SHAPE), weight)
    close(value, plain.reduce(elements, valid, reduction))
    close(of_p, slope)
    value, of_p, of_t = graded(
        lambda *pair: losses.amplitude_mae(*pair, 3.0, mask=mask, reduction=reduction), "eager", y_true, y_pred
    )
    close(value, plain.reduce(np.abs(3 * p - 3 * t), valid, reduction))
    close(of_p, 3 * weight * np.sign(p - t))
    close(of_t, -3 * weight * np.sign(p - t))


@pytest.mark.parametrize("mode", ENDS)
def test_nothing_valid_is_zero_with_gradient_zero(mode: str) -> None:
    rubbish = np.full(SHAPE, np.nan, "f4")
    for loss in (losses.amplitude_l2_mae, losses.amplitude_mae):
        for reduction in REDUCTIONS:
            answers = graded(
                lambda *pair, loss=loss, reduction=reduction: loss(*pair, mask=np.zeros((1,) * 4), reduction=reduction),
                mode, rubbish, rubbish,
            )  # fmt: skip
            assert all(np.all(answer == 0) for answer in answers)


@pytest.mark.parametrize("mode", ENDS)
def test_eps_bounds_the_norm_by_max_and_two_values_live_in_one_process(mode: str) -> None:
    t, p = (array * 2.0**-12 for array in arrays())
    valid = plain.everywhere(None, SHAPE)
    for eps in (2.0**-9, 2.0**-8, 2.0**-30):
        value, of_p, _ = graded(
            lambda *pair, eps=eps: losses.amplitude_l2_mae(*pair, eps=eps, scope="patch"), mode, t, p
        )
        label, weight = plain.labels("patch", SHAPE), plain.weights(valid, "mean")
        elements, slope, _ = plain.l2(p, t, valid, label, weight, eps=eps)
        close(value, elements.mean())
        close(of_p, slope)


def test_at_a_norm_of_exactly_eps_the_normaliser_is_a_constant() -> None:
    p, t = np.zeros((1, 2, 2, 1)), np.ones((1, 2, 2, 1))
    p[0, 0, 0, 0] = 0.5
    _, of_p, _ = graded(lambda *pair: losses.amplitude_l2_mae(*pair, eps=0.5, reduction="sum"), "eager", t, p)
    assert of_p.ravel().tolist() == [2, -2, -2, -2]


@pytest.mark.parametrize("mode", ENDS)
def test_a_tie_has_sign_zero(mode: str) -> None:
    """Also where a compiler contracts p/P - t/T: that is not 0 for thousands of them."""
    for dtype in ("f4", "f8"):
        p = np.random.default_rng(8).random((2, 32, 32, 4)).astype(dtype)
        for loss in (losses.amplitude_l2_mae, lambda *pair: losses.amplitude_mae(*pair, 0.3)):
            value, of_p, of_t = graded(loss, mode, p, p.copy())
            assert value == 0 and not of_p.any() and not of_t.any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("domain", ["intensity", "field"])
def test_domains(domain: str, mode: str) -> None:
    t, p = arrays()
    valid = plain.everywhere(masks()["detector"], SHAPE)
    turn = np.exp(1j * np.random.default_rng(5).random(SHAPE))
    y_true, y_pred = (t * t, p * p) if domain == "intensity" else (t * turn, p * turn.conj())
    root = p if domain == "intensity" else np.abs(y_pred)
    weight = plain.weights(valid, "mean")
    chain = np.where(p == 0, 0, 0.5 / np.where(p == 0, 1, p)) if domain == "intensity" else turn.conj() * (p != 0)

    def mae(y_true: Any, y_pred: Any) -> Any:
        return losses.amplitude_mae(y_true, y_pred, 2.0, domain=domain, mask=valid)

    value, of_p, _ = graded(mae, mode, poisoned(y_true, valid), poisoned(y_pred, valid))
    assert of_p.dtype == y_pred.dtype and value.dtype == np.float64
    tied = np.abs(p - t) < 1e-9  # a rounded modulus unties what was a tie
    close(value, plain.reduce(2 * np.abs(p - t), valid, "mean"))
    close(np.where(tied, 0, of_p), np.where(tied, 0, 2 * weight * np.sign(p - t) * chain))
    assert np.all(of_p[(p == 0) | ~valid] == 0)

    value, of_p, _ = graded(
        lambda *pair: losses.amplitude_l2_mae(*pair, domain=domain, scope="batch", mask=valid), mode, y_true, y_pred
    )
    elements, slope, _ = plain.l2(root, t, valid, plain.labels("batch", SHAPE), weight)
    close(value, plain.reduce(elements, valid, "mean"))
    close(of_p, slope * chain)


@pytest.mark.parametrize("mode", ENDS)
def test_the_gradient_of_a_tiny_field_is_its_direction(mode: str) -> None:
    """tf.abs divides by |z|^2, which is 0 in float32 here, and calls the gradient 0."""
    y_pred = np.array([3e-28 + 4e-28j, 0, 3e28 - 4e28j, -5]).reshape(1, 2, 2, 1).astype("c8")
    _, of_p, _ = graded(
        lambda *pair: losses.amplitude_mae(*pair, domain="field", reduction="sum"), mode, 0 * y_pred, y_pred
    )
    require_close(of_p.ravel(), [0.6 + 0.8j, 0, 0.6 - 0.8j, -1], apart(dtype="float32", steps=SHORT))


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_number_that_is_not_finite_is_never_hidden(scope: str, mode: str) -> None:
    hurt = {"sample": [0], "patch": [0], "view": [0, 2], "batch": [0, 1, 2, 3]}[scope]
    ids = IDS if scope == "view" else None
    normalised = grader(
        lambda *pair: losses.amplitude_l2_mae(*pair, scope=scope, view_ids=ids, reduction="sample"), mode
    )
    legacy = grader(lambda *pair: losses.amplitude_mae(*pair, domain="intensity", reduction="sample"), mode)
    for number in (np.nan, np.inf):
        for which in (0, 1):
            pair = arrays()
            pair[which][0, 0, 0, 0] = number
            assert np.flatnonzero(~np.isfinite(normalised(*pair)[0])).tolist() == hurt
            assert np.flatnonzero(~np.isfinite(legacy(*pair)[0])).tolist() == [0]


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("domain", ["amplitude", "field"])
def test_a_norm_that_overflows_is_no_silent_zero(domain: str, mode: str) -> None:
    t, p = (array.astype("f4" if domain == "amplitude" else "c8") for array in arrays())
    for pair in ((t, p * np.float32(1e19)), (t * np.float32(1e19), p)):
        assert np.isnan(graded(lambda *pair: losses.amplitude_l2_mae(*pair, domain=domain), mode, *pair)[0])


def test_masked_elements_are_zero_also_beside_a_number_that_is_not_finite() -> None:
    t, p = arrays()
    p[0, 0, 0, 0] = np.nan
    valid = plain.everywhere(masks()["detector"], SHAPE).copy()
    valid[0, 0, 0, 0] = True
    for loss in (losses.amplitude_l2_mae, losses.amplitude_mae):
        elements = np.asarray(loss(t, p, mask=valid, reduction="none"))
        assert np.all(elements[~valid] == 0) and np.isnan(elements[0, 0, 0, 0])


def test_a_negative_intensity_is_not_a_dark_one() -> None:
    t, p = arrays()
    p[0, 0, 0, 0] = -1
    assert np.isnan(losses.amplitude_mae(t, p, domain="intensity"))
    assert np.isnan(losses.amplitude_l2_mae(t, p, domain="intensity"))


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_computed_in_float32(dtype: str, mode: str) -> None:
    t, p = (tf.cast(array, dtype) for array in arrays())
    wide = [tf.cast(array, tf.float32) for array in (t, p)]
    for loss in (losses.amplitude_l2_mae, lambda *pair: losses.amplitude_mae(*pair, 300.1, reduction="sample")):
        value, of_p, of_t = graded(loss, mode, t, p)
        expected = graded(loss, mode, *wide)
        assert value.dtype == np.float32 and of_p.dtype == of_t.dtype == tf.as_dtype(dtype).as_numpy_dtype
        single = apart(THREE_SUMS, "float32")
        require_close(value, expected[0], single)
        for actual, wanted in zip((of_p, of_t), expected[1:]):
            allowed = single * np.max(np.abs(wanted)) + narrowed(dtype) * np.abs(wanted.astype("f8"))
            require_close(actual.astype("f8"), wanted.astype(actual.dtype).astype("f8"), 1.0, allowed)


def test_the_number_of_valid_elements_is_exact_beyond_float32() -> None:
    like = tf.zeros((2, 4097, 4096, 1), tf.bool)
    mask = tf.ones((1, 4097, 4096, 1), tf.bool)
    mask = tf.concat([mask[:, :1], mask[:, 1:2] & False, mask[:, 2:]], 1)
    assert count(mask, like, (0, 1, 2, 3)).numpy().item() == 2**25


@pytest.mark.parametrize("mode", ENDS)
def test_the_scale_from_a_photon_number(mode: str) -> None:
    t, _ = arrays()
    for name, mask in masks().items():
        valid = plain.everywhere(mask, SHAPE)
        scale = compiled(lambda y_true, mask=mask: losses.intensity_scale(y_true, 1e6, mask=mask), mode)
        s = float(scale(tf.constant(poisoned(t, valid))))
        energy = np.sum(np.where(valid, t, 0) ** 2, (1, 2)).mean()
        assert np.isinf(s) if name == "nothing" else abs(s / np.sqrt(1e6 / energy) - 1) < apart(valid.size)
    square = tf.ones((2, 6, 6, 1), tf.float16)
    s = losses.intensity_scale(square, 1e6, source="closed_form")
    assert s.dtype == tf.float32 and abs(float(s) * 3 / 1000 - 1) < apart(dtype="float32", steps=SHORT)


@pytest.mark.parametrize("mode", MODES)
def test_a_scale_gets_no_gradient_and_may_be_a_variable_or_derived_from_the_target(mode: str) -> None:
    t, p = (tf.constant(array + 1) for array in arrays())
    s, gain = tf.Variable(2.0, dtype=tf.float64), tf.Variable(1.0, dtype=tf.float64)

    def step(y_true: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_true)
            derived = losses.intensity_scale(y_true, 1e6)
            total = losses.amplitude_mae(t, gain * p, s) + losses.poisson_nll(t, gain * p, s + derived)
        return tape.gradient(total, (s, gain, y_true), unconnected_gradients="zero")

    of_s, of_gain, of_t = compiled(step, mode)(tf.identity(t))
    assert of_s == 0 and of_gain != 0 and not np.any(of_t)
    with tf.GradientTape() as tape:
        tape.watch(t)
        derived = losses.intensity_scale(t, 1e6)
    assert tape.gradient(derived, t) is None
