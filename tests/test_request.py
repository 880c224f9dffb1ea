"""What was asked for: an amplitude loss that scale cannot reach, an NLL that stays as it is, and a flag that is off.

`none` in `LossConfig.mae_normalization` is off. The legacy loss is written here as a user's script has it, in plain
Torch and plain Keras, and everything is compared bit for bit.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from laws import require_bits
from torch.nn.functional import l1_loss

from conformance.case import Array
from conformance.codepaths import LossConfig, keras_losses, torch_losses

DTYPES = ("float32", "float64")
ON = ("l2_sample", "l2_patch", "l2_batch")
FACTORS = (0.125, 4.0, 1024.0)
"""Powers of two: what is invariant in exact arithmetic is so in every bit."""
SCALE = 494.1
STEPS = 20
SHAPES = {"C=1": (6, 1, 8, 8), "C=4": (5, 4, 7, 6), "C=9": (3, 9, 7, 6)}
Measured = tuple[Array, Array]
Measure = Callable[..., Measured]


def amplitudes(shape: tuple[int, ...], seed: int = 5) -> tuple[Array, Array]:
    """Draw prediction and target (B, C, H, W); some pixels are tied, some of those dark."""
    draw = np.random.default_rng(seed)
    p, t = draw.uniform(0.1, 2, shape), draw.uniform(0.1, 2, shape)
    p[0, 0, :2] = t[0, 0, :2]
    p[-1, -1, 0] = t[-1, -1, 0] = 0
    return p, t


def by_torch(loss: Any, prediction: Array, target: Array, dtype: str) -> Measured:
    p, t = (torch.tensor(array, dtype=getattr(torch, dtype)) for array in (prediction, target))
    value = loss(p.requires_grad_(), t)
    return value.detach().numpy(), torch.autograd.grad(value, p)[0].numpy()


def by_keras(loss: Any, prediction: Array, target: Array, dtype: str) -> Measured:
    y_pred, y_true = (tf.constant(array.transpose(0, 2, 3, 1), dtype) for array in (prediction, target))
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred)
    return value.numpy(), tape.gradient(value, y_pred).numpy().transpose(0, 3, 1, 2)


FRAMEWORKS = pytest.mark.parametrize(
    ("build", "measure"),
    [(torch_losses.build_losses, by_torch), (keras_losses.build_losses, by_keras)],
    ids=["torch", "keras"],
)
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


# The normalised loss does not see a scale, the legacy one does.


@FRAMEWORKS
@EVERY_DTYPE
@pytest.mark.parametrize("flag", ON)
def test_a_scale_of_either_side_does_not_reach_the_normalised_loss(
    build: Any, measure: Measure, dtype: str, flag: str
) -> None:
    p, t = amplitudes(SHAPES["C=4"])
    loss = build(LossConfig(mae_normalization=flag)).mae
    value, gradient = measure(loss, p, t, dtype)
    for factor in FACTORS:
        require_bits(measure(loss, p, factor * t, dtype)[0], value, f"target times {factor}: value")
        scaled_value, scaled_gradient = measure(loss, factor * p, t, dtype)
        require_bits(scaled_value, value, f"prediction times {factor}: value")
        require_bits(factor * scaled_gradient, gradient, f"prediction times {factor}: gradient")


@FRAMEWORKS
@EVERY_DTYPE
def test_a_scale_reaches_the_legacy_loss(build: Any, measure: Measure, dtype: str) -> None:
    p, t = amplitudes(SHAPES["C=4"])
    loss = build(LossConfig()).mae
    value, _ = measure(loss, p, t, dtype)
    for factor in FACTORS:
        require_bits(measure(loss, factor * p, factor * t, dtype)[0], factor * value, f"both times {factor}")
        assert abs(measure(loss, factor * p, t, dtype)[0] / value - 1) > 0.25


@FRAMEWORKS
def test_the_intensity_scale_is_of_no_account_to_the_normalised_loss_alone(build: Any, measure: Measure) -> None:
    p, t = amplitudes(SHAPES["C=1"])
    for flag, same in (("l2_sample", True), ("none", False)):
        one, other = (
            measure(build(LossConfig(mae_normalization=flag, intensity_scale=s)).mae, p, t, "float32")
            for s in (1.0, SCALE)
        )
        assert bool(one[0] == other[0]) == same and np.array_equal(one[1], other[1]) == same


# The Poisson NLL has the same bits with the flag on and off.


@FRAMEWORKS
@EVERY_DTYPE
@EVERY_SHAPE
def test_the_nll_does_not_change_with_the_flag(
    build: Any, measure: Measure, dtype: str, shape: tuple[int, ...]
) -> None:
    p, t = amplitudes(shape)
    p[p == 0] = 0.5  # a rate of 0 under counts has an infinite loss
    value, gradient = measure(build(LossConfig(intensity_scale=SCALE)).nll, p, t, dtype)
    for flag in ON:
        losses = build(LossConfig(mae_normalization=flag, mae_gain="unit_rms", intensity_scale=SCALE))
        measure(losses.mae, p, t, dtype)
        flagged_value, flagged_gradient = measure(losses.nll, p, t, dtype)
        require_bits(flagged_value, value, f"{flag}: value")
        require_bits(flagged_gradient, gradient, f"{flag}: gradient")


# The flag is off unless it is set, and off is the loss of today.


def torch_of_today(input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return l1_loss(SCALE * input, SCALE * target)


def keras_of_today(dtype: str) -> Any:
    legacy = keras.losses.MeanAbsoluteError(dtype=dtype)
    return lambda y_true, y_pred: legacy(SCALE * y_true, SCALE * y_pred)


def off(build: Any) -> Any:
    return build(LossConfig(intensity_scale=SCALE)).mae


def test_off_is_the_default() -> None:
    assert LossConfig() == LossConfig(mae_normalization="none") and LossConfig().mae_scope is None


@EVERY_DTYPE
@EVERY_SHAPE
def test_torch_off_is_l1_loss(dtype: str, shape: tuple[int, ...]) -> None:
    for seed in range(8):
        pair = amplitudes(shape, seed)
        value, gradient = by_torch(off(torch_losses.build_losses), *pair, dtype)
        todays_value, todays_gradient = by_torch(torch_of_today, *pair, dtype)
        require_bits(value, todays_value, "value")
        require_bits(gradient, todays_gradient, "gradient")


@EVERY_DTYPE
@EVERY_SHAPE
@pytest.mark.parametrize("wrap", [lambda loss: loss, tf.function], ids=["eager", "function"])
def test_keras_off_is_mean_absolute_error(dtype: str, shape: tuple[int, ...], wrap: Any) -> None:
    shipped, legacy = wrap(off(keras_losses.build_losses)), wrap(keras_of_today(dtype))
    for seed in range(8):
        pair = amplitudes(shape, seed)
        value, gradient = by_keras(shipped, *pair, dtype)
        todays_value, todays_gradient = by_keras(legacy, *pair, dtype)
        require_bits(value, todays_value, "value")
        require_bits(gradient, todays_gradient, "gradient")


@EVERY_SHAPE
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
def test_keras_off_takes_the_sample_weights_of_today(reduction: str, shape: tuple[int, ...]) -> None:
    """Weights (B,) are left out: Keras' own loss of images broadcasts them along the width. So are, where the sum of
    weights divides, those that it would count once and use for many pixels."""
    batch, _, height, width = shape
    for axes in ((batch, height, width), (batch, 1, 1), ())[: 3 if reduction == "sum_over_batch_size" else 1]:
        weight = np.random.default_rng(3).uniform(0, 2, axes).astype("float32")
        p, t = (tf.constant(array.transpose(0, 2, 3, 1), "float32") for array in amplitudes(shape))
        value, todays = (
            loss(reduction=reduction)(t, p, weight).numpy()
            for loss in (keras_losses.AmplitudeMAE, keras.losses.MeanAbsoluteError)
        )
        require_bits(value, todays, f"weights {axes}")


def torch_training(loss: Any, optimizer: str, shape: tuple[int, ...]) -> tuple[list[float], list[Array]]:
    torch.manual_seed(2)
    channels = shape[1]
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1),
        torch.nn.Softplus(),
        torch.nn.Conv2d(4, channels, 3, padding=1),
        torch.nn.Softplus(),
    )
    of = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](network.parameters(), lr=1e-3)
    target = torch.tensor(amplitudes(shape)[1], dtype=torch.float32)
    values = []
    for _ in range(STEPS):
        of.zero_grad()
        value = loss(network(target), target)
        value.backward()
        of.step()
        values.append(value.item())
    return values, [parameter.detach().numpy() for parameter in network.parameters()]


@EVERY_SHAPE
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_torch_off_takes_the_twenty_steps_of_today(optimizer: str, shape: tuple[int, ...]) -> None:
    values, weights = torch_training(off(torch_losses.build_losses), optimizer, shape)
    todays_values, todays_weights = torch_training(torch_of_today, optimizer, shape)
    assert len(values) == STEPS and values == todays_values and values[0] != values[-1]
    for number, (weight, todays) in enumerate(zip(weights, todays_weights)):
        require_bits(weight, todays, f"parameter {number}")


def keras_training(
    loss: Any, scale: float, optimizer: Any, shape: tuple[int, ...], eager: bool
) -> tuple[list[float], list[Array]]:
    """Train on amplitudes that the model and the caller have scaled."""
    keras.utils.set_random_seed(2)
    _, channels, height, width = shape
    model = keras.Sequential(
        [
            keras.Input((height, width, channels)),
            keras.layers.Conv2D(4, 3, padding="same", activation="softplus"),
            keras.layers.Conv2D(channels, 3, padding="same", activation="softplus"),
            keras.layers.Rescaling(scale),
        ]
    )
    model.compile(optimizer, loss=loss, jit_compile=False, run_eagerly=eager)
    target = amplitudes(shape)[1].transpose(0, 2, 3, 1).astype("float32")
    scaled = target * np.float32(scale)
    return [float(model.train_on_batch(target, scaled)) for _ in range(STEPS)], model.get_weights()


def in_the_loss(y_true: Any, y_pred: Any) -> Any:
    return keras.losses.mean_absolute_error(SCALE * y_true, SCALE * y_pred)


@EVERY_SHAPE
@pytest.mark.parametrize(
    ("optimizer", "place", "eager"),
    [
        (keras.optimizers.Adam, "caller", False),
        (keras.optimizers.SGD, "caller", False),
        (keras.optimizers.Adam, "loss", False),
        (keras.optimizers.Adam, "loss", True),
    ],
    ids=["adam", "sgd", "adam-in-the-loss", "adam-in-the-loss-eager"],
)
def test_keras_off_takes_the_twenty_steps_of_today(
    optimizer: Any, shape: tuple[int, ...], place: str, eager: bool
) -> None:
    """The scale is applied by the caller, as for Keras' own loss, or in the loss, in both runs alike.

    Alike, because TensorFlow rewrites the graph of a training step: a constant factor in another place gives Keras' own
    loss other last bits, too. And without XLA, whose fused multiply-adds unmake the exact ties of the legacy loss.
    """
    outside = SCALE if place == "caller" else 1.0
    loss = keras_losses.build_losses(LossConfig(intensity_scale=SCALE / outside)).mae
    legacy = "mean_absolute_error" if place == "caller" else in_the_loss
    values, weights = keras_training(loss, outside, optimizer(1e-3), shape, eager)
    todays_values, todays_weights = keras_training(legacy, outside, optimizer(1e-3), shape, eager)
    assert len(values) == STEPS and values == todays_values and values[0] != values[-1]
    for number, (weight, todays) in enumerate(zip(weights, todays_weights)):
        require_bits(weight, todays, f"parameter {number}")
