"""The Keras objects: the functions' numbers, weights, masks, precision, configuration; training is tested beside."""

import json
import math
import runpy
from typing import Any

import keras
import numpy as np
import plain_formulas as plain
import pytest
import tensorflow as tf
from roundings import apart, require_close

from conformance.codepaths import LossConfig, keras_losses, keras_reduction, tensorflow_losses
from conformance.codepaths.config import MAE_REDUCTIONS, NLL_REDUCTIONS

SHAPE = (3, 4, 5, 2)
DRAW = np.random.default_rng(0)
T, P = (np.where(DRAW.random(SHAPE) < 0.1, 0, DRAW.integers(1, 256, SHAPE) / 64) for _ in range(2))
P = np.where(T > 0, np.maximum(P, 1 / 64), P)
DETECTOR = DRAW.random((1, 4, 5, 1)) < 0.7
VALID = np.broadcast_to(DETECTOR, SHAPE)
GUARDED = {"rate_guard": "log_add", "rate_floor": 0.5}
FROZEN = {"normaliser": "frozen_mean_intensity", "normaliser_value": 3.0}
OBJECTS = {
    "l2": keras_losses.AmplitudeL2MAE("unit_rms", 2.0**-20, scope="patch", mask=DETECTOR),
    "l2-batch": keras_losses.AmplitudeL2MAE(scope="batch", per="sample_mean", reduction="none"),
    "l2-intensity": keras_losses.AmplitudeL2MAE(domain="intensity", name="own"),
    "mae": keras_losses.AmplitudeMAE(2.5, reduction="sum", dtype="float64", mask=np.ones((1, 4, 5, 2), "f4")),
    "nll": keras_losses.PoissonNLL(4.0, "stirling", per="sample_sum"),
    "nll-options": keras_losses.PoissonNLL(4, "saturated", mask=DETECTOR, per="sample_mean", **GUARDED, **FROZEN),
    "nll-mean": keras_losses.PoissonNLL(4.0, "lgamma", normaliser="batch_mean_amplitude"),
}


def close(actual: Any, expected: Any, dtype: str = "float64") -> None:
    """Two sums: a norm's and the reduction's."""
    require_close(actual, expected, apart(2 * math.prod(SHAPE), dtype), expected)


@pytest.mark.parametrize("mask", [None, DETECTOR, np.zeros((1, 4, 5, 2))], ids=["whole", "detector", "nothing"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_every_reduction_is_the_one_of_the_functions(dtype: str, mask: np.ndarray | None) -> None:
    valid = plain.everywhere(mask, SHAPE)
    y_true, y_pred = (tf.cast(np.where(valid, array, np.nan), dtype) for array in (T, P))
    computing = "float64" if dtype == "float64" else "float32"
    for scope in ("none", "l2_sample", "l2_patch", "l2_batch"):
        for reduction in MAE_REDUCTIONS:
            config = LossConfig(scope, mae_reduction=reduction, intensity_scale=2.0)
            value = keras_losses.build_losses(config, mask=mask).mae(y_true, y_pred)
            if scope == "none":
                wanted = tensorflow_losses.amplitude_mae(y_true, y_pred, 2.0, mask=mask, reduction=reduction)
            else:
                wanted = tensorflow_losses.amplitude_l2_mae(
                    y_true, y_pred, mask=mask, reduction=reduction, scope=scope.removeprefix("l2_")
                )
            assert value.dtype == wanted.dtype == computing
            close(value, wanted, computing)
    for reduction in NLL_REDUCTIONS:
        config = LossConfig(nll_reduction=reduction, nll_constant="saturated", intensity_scale=2.0)
        value = keras_losses.build_losses(config, mask=mask).nll(y_true, y_pred)
        wanted = tensorflow_losses.poisson_nll(
            y_true, y_pred, 2.0, mask=mask, reduction=reduction, constant="saturated"
        )
        close(value, wanted, computing)


def test_build_losses_passes_every_field_on() -> None:
    config = LossConfig(
        "l2_patch", "unit_rms", "sum", 2.0**-9, "stirling", "sample_sum", 3.0,
        "intensity", "clamp", 0.5, "frozen_mean_intensity", 7.0,
    )  # fmt: skip
    built = keras_losses.build_losses(config, mask=DETECTOR)
    intensities = tf.constant(T**2), tf.constant(P**2)
    wanted = tensorflow_losses.amplitude_l2_mae(
        *intensities, scope="patch", gain="unit_rms", reduction="sum", eps=2.0**-9, domain="intensity", mask=DETECTOR
    )
    close(built.mae(*intensities), wanted)
    wanted = tensorflow_losses.poisson_nll(
        T, P, 3.0, constant="stirling", reduction="sample_sum", mask=DETECTOR, rate_guard="clamp", rate_floor=0.5,
        normaliser="frozen_mean_intensity", normaliser_value=7.0,
    )  # fmt: skip
    close(built.nll(tf.constant(T), tf.constant(P)), wanted)


@pytest.mark.parametrize("name", list(OBJECTS))
def test_objects_survive_serialisation(name: str) -> None:
    loss = OBJECTS[name]
    again = keras.losses.deserialize(json.loads(json.dumps(keras.losses.serialize(loss))))
    assert type(again) is type(loss) and again.get_config() == loss.get_config() and again.name == loss.name
    assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()
    y_true, y_pred = tf.constant(T, "float32"), tf.constant(P, "float32")
    assert again(y_true, y_pred).numpy().tobytes() == loss(y_true, y_pred).numpy().tobytes()


def test_the_field_domain() -> None:
    turn = np.exp(1j * DRAW.random(SHAPE))
    for dtype, precision in (("complex64", "float32"), ("complex128", "float64")):
        y_true, y_pred = tf.constant(T * turn, dtype), tf.constant(P * turn.conj(), dtype)
        for loss in (keras_losses.AmplitudeMAE(domain="field"), keras_losses.AmplitudeL2MAE(domain="field")):
            again = keras.losses.deserialize(keras.losses.serialize(loss))
            value = again(y_true, y_pred, DRAW.random(3))
            assert value.dtype == precision
            close(again(y_true, y_pred), type(loss)()(tf.abs(y_true), tf.abs(y_pred)), precision)


ELEMENTS = np.abs(P - T)
WEIGHTS = {
    "scalar": np.asarray(2.0),
    "samples": np.array([1.0, 0.0, 3.0]),
    "column": np.array([[1.0], [0.0], [3.0]]),
    "pixels": DRAW.random(SHAPE[:3]),
    "elements": DRAW.random(SHAPE),
    "one-channel": DRAW.random((*SHAPE[:3], 1)),
}


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("name", list(WEIGHTS))
def test_sample_weights_of_elements_leave_the_divisor(name: str, masked: bool) -> None:
    weight = WEIGHTS[name]
    full = np.broadcast_to(weight.reshape(weight.shape + (1,) * (4 - weight.ndim)), SHAPE)
    valid = VALID if masked else np.ones(SHAPE, bool)
    weighted = np.where(valid, full * ELEMENTS, 0)
    for reduction, wanted in (
        ("sum_over_batch_size", weighted.sum() / valid.sum()),
        ("sum", weighted.sum()),
        ("none", weighted),
    ):
        loss = keras_losses.AmplitudeMAE(mask=DETECTOR if masked else None, reduction=reduction)
        close(loss(T, P, weight), wanted)
    loss = keras_losses.AmplitudeMAE(mask=DETECTOR if masked else None, reduction="mean_with_sample_weight")
    close(loss(T, P, weight), weighted.sum() / full[valid].sum())
    close(loss(T, P), ELEMENTS[valid].mean())


@pytest.mark.parametrize("per", ["sample_mean", "sample_sum"])
def test_sample_weights_of_samples_leave_the_divisor(per: str) -> None:
    weight = WEIGHTS["samples"]
    sums = np.where(VALID, ELEMENTS, 0).sum((1, 2, 3)) / (VALID[0].sum() if per == "sample_mean" else 1)
    for given in (weight, weight[:, None], weight[:, None, None, None], tf.constant(weight, tf.float32)):
        loss = keras_losses.AmplitudeMAE(mask=DETECTOR, per=per)
        close(loss(T, P, given), np.mean(weight * sums))


@pytest.mark.parametrize(
    ("per", "shape"),
    [("element", (2,)), ("element", (3, 5)), ("element", (3, 4, 5, 3)), ("sample_mean", (3, 4)), ("sample_sum", (2,))],
)
def test_weights_that_fit_no_axes_are_refused(per: str, shape: tuple[int, ...]) -> None:
    """Keras would broadcast (B,) weights along the channels, or not at all."""
    with pytest.raises(ValueError, match="sample_weight: got shape"):
        keras_losses.AmplitudeMAE(per=per)(T, P, np.ones(shape))


def test_a_mask_that_a_keras_layer_set_is_respected() -> None:
    y_pred = tf.constant(P)
    y_pred._keras_mask = tf.constant(VALID)
    close(keras_losses.AmplitudeMAE()(T, y_pred), ELEMENTS[VALID].mean())


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_layer_mask_of_pixels_counts_each_of_their_channels(reduction: str, channels: int) -> None:
    y_pred, hidden = tf.constant(P), VALID[..., :channels]
    y_pred._keras_mask = tf.constant(hidden)
    seen = np.broadcast_to(hidden, SHAPE)
    loss = keras_losses.AmplitudeMAE(reduction=reduction)
    close(loss(T, y_pred), ELEMENTS[seen].mean())
    weight = WEIGHTS["samples"]
    full = np.broadcast_to(weight[:, None, None, None], SHAPE)
    divisor = full[seen].sum() if reduction == "mean_with_sample_weight" else seen.sum()
    close(loss(T, y_pred, weight), (full * ELEMENTS)[seen].sum() / divisor)


@pytest.mark.parametrize("dtype", [None, "float64", "float16", "bfloat16", "mixed_float16"])
def test_the_computing_dtype_is_the_widest_of_prediction_object_and_float32(dtype: str | None) -> None:
    policy = keras.dtype_policies.get(dtype) if dtype == "mixed_float16" else dtype
    for loss in (keras_losses.AmplitudeMAE(3.0, dtype=policy), keras_losses.PoissonNLL(3.0, dtype=policy)):
        for given in ("float64", "float32", "float16", "bfloat16"):
            y_true, y_pred = tf.constant(T, tf.float32), tf.cast(P + 1, given)
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                value = loss(y_true, y_pred)
            wide = "float64" if "float64" in (given, dtype) else "float32"
            assert value.dtype == wide and tape.gradient(value, y_pred).dtype == given
            close(value, loss(tf.cast(y_true, wide), tf.cast(y_pred, wide)))


@pytest.mark.parametrize(
    ("build", "error", "said"),
    [
        (lambda: keras_losses.AmplitudeL2MAE(scope="view"), ValueError, "from a custom train_step"),
        (lambda: keras_losses.build_losses(LossConfig("l2_view")), ValueError, r"scope='view', view_ids=ids\)"),
        (lambda: keras_losses.AmplitudeL2MAE(scope="all"), ValueError, "scope: got 'all'"),
        (lambda: keras_losses.AmplitudeL2MAE("rms"), ValueError, "gain: got 'rms'"),
        (lambda: keras_losses.AmplitudeL2MAE(eps=0.0), ValueError, "eps: got 0.0"),
        (lambda: keras_losses.AmplitudeMAE(-1.0), ValueError, "scale: got -1.0"),
        (lambda: keras_losses.AmplitudeMAE(domain="x"), ValueError, "domain: got 'x'"),
        (lambda: keras_losses.AmplitudeMAE(per="batch"), ValueError, "per: got 'batch'"),
        (lambda: keras_losses.AmplitudeMAE(mask=VALID), ValueError, "one mask for all samples"),
        (lambda: keras_losses.AmplitudeMAE(mask=DETECTOR[0]), ValueError, "mask: got shape"),
        (lambda: keras_losses.AmplitudeMAE(mask=DETECTOR * 1j), TypeError, "mask: got complex128"),
        (lambda: keras_losses.PoissonNLL(True), TypeError, "scale: got bool"),
        (lambda: keras_losses.PoissonNLL(1.0, "x"), ValueError, "constant: got 'x'"),
        (lambda: keras_losses.PoissonNLL(1.0, rate_guard="clamp"), ValueError, "rate_floor: got None"),
        (lambda: keras_losses.PoissonNLL(1.0, normaliser_value=1.0), ValueError, "normaliser_value: got 1.0"),
        (lambda: keras_losses.PoissonNLL(1.0)(T.astype("u2"), P), TypeError, "y_true: got uint16"),
        (lambda: keras_losses.AmplitudeMAE()(T, P > 0), TypeError, "y_pred: got bool"),
        (lambda: keras_losses.AmplitudeMAE()(T, P * 1j), TypeError, "y_pred: got complex128"),
        (lambda: keras_losses.AmplitudeMAE()(T, P[:1]), ValueError, "no broadcasting"),
        (lambda: keras_losses.AmplitudeMAE(mask=DETECTOR[:, :3])(T, P), ValueError, "mask: got shape"),
    ],
    ids=range(20),
)  # fmt: skip
def test_refusals(build: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        build()


def test_another_keras_backend_is_refused_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"keras_losses: the Keras backend is 'jax', wanted 'tensorflow'; set KERAS"):
        runpy.run_path(keras_reduction.__file__)
