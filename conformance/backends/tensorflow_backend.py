"""TensorFlow: the shipped losses and anybody's, eager, on a persistent tape, as tf.function and compiled by XLA."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from conformance.backends.answer import (
    Answer,
    Codepath,
    Prepared,
    Value,
    keyword_operands,
    operand_dtype,
    scale_argument,
    wide,
)
from conformance.backends.switches import Switch, left_as_they_were
from conformance.case import Array, Parameters, Question
from conformance.codepaths import tensorflow_losses
from conformance.exit_codes import BackendError
from conformance.tolerance import computing_dtype

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)
Tensor = Any  # TensorFlow ships no types


SWITCHES = (
    Switch("Keras' floatx", keras.config.floatx, keras.config.set_floatx),
    Switch("Keras' image data format", keras.config.image_data_format, keras.config.set_image_data_format),
    Switch("Keras' dtype policy", lambda: keras.config.dtype_policy().name, keras.config.set_dtype_policy),
    Switch("running functions eagerly", tf.config.functions_run_eagerly, tf.config.run_functions_eagerly),
    Switch("compiling what is not asked to be", tf.config.optimizer.get_jit, tf.config.optimizer.set_jit),
    Switch(
        "TF32",
        tf.config.experimental.tensor_float_32_execution_enabled,
        tf.config.experimental.enable_tensor_float_32_execution,
    ),
)
"""What a loss has no business with."""


@cache
def _shipped(loss: str, parameters: Parameters) -> Codepath:
    """Return the channels-last `(y_true, y_pred)` loss behind the canonical layout and argument order."""
    scale = parameters.scale
    options: dict[str, Any] = {"reduction": parameters.reduction}
    nll_options: dict[str, Any] = {"constant": parameters.constant, "rate_guard": parameters.rate_guard}
    nll_options |= {"rate_floor": parameters.rate_floor, "normaliser": parameters.normaliser}
    nll_options |= {"normaliser_value": parameters.normaliser_value}

    def channels_last(y_true: Tensor, y_pred: Tensor, s: Tensor, arrays: dict[str, Tensor]) -> Tensor:
        if loss == "amplitude_l2_mae":
            own = {"scope": parameters.scope, "domain": parameters.domain, "gain": parameters.gain}
            return tensorflow_losses.amplitude_l2_mae(y_true, y_pred, eps=parameters.eps, **own, **options, **arrays)
        if loss == "amplitude_mae":
            return tensorflow_losses.amplitude_mae(y_true, y_pred, s, domain=parameters.domain, **options, **arrays)
        if scale is not None and scale.nphotons is not None:
            s = tensorflow_losses.intensity_scale(y_true, scale.nphotons, source=scale.source, mask=arrays.get("mask"))
        return tensorflow_losses.poisson_nll(y_true, y_pred, s, **nll_options, **options, **arrays)

    def canonical(prediction: Tensor, target: Tensor, s: Tensor = 1.0, **arrays: Tensor) -> Tensor:
        moved = {
            name: tf.transpose(array, TO_CHANNELS_LAST) if name == "mask" else array for name, array in arrays.items()
        }
        y_true, y_pred = tf.transpose(target, TO_CHANNELS_LAST), tf.transpose(prediction, TO_CHANNELS_LAST)
        value = channels_last(y_true, y_pred, s, moved)
        return tf.transpose(value, TO_CHANNELS_FIRST) if parameters.reduction == "none" else value

    return canonical


def _require_tensor(value: Any) -> Tensor:
    if not isinstance(value, tf.Tensor):
        raise TypeError(f"returned {type(value).__name__}, wanted a tf.Tensor")
    return value


def _value_and_gradient(
    codepath: Codepath, position: int, mode: str, loss_scale: float, operands: list[Tensor], arrays: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return value and gradient; on the persistent tape the gradient is the second one that is asked of it."""
    with tf.GradientTape(persistent=mode == "persistent", watch_accessed_variables=False) as tape:
        tape.watch(operands[position])
        value = _require_tensor(codepath(*operands, **arrays))
        summed = tf.reduce_sum(value if value.dtype in (tf.float32, tf.float64) else tf.cast(value, tf.float32))
        total = summed * tf.cast(loss_scale, summed.dtype)
    if mode == "persistent":
        tape.gradient(total, operands[position])
    return value, tape.gradient(total, operands[position])


def _compile(codepath: Codepath, mode: str) -> Codepath:
    kind, wrt = mode.split()

    def step(operands: list[Tensor], arrays: dict[str, Tensor], loss_scale: Tensor) -> tuple[Tensor, Tensor]:
        return _value_and_gradient(codepath, int(wrt), kind, loss_scale, operands, arrays)

    compiled: Codepath = tf.function(step, jit_compile=kind == "xla")
    return compiled


@contextmanager
def _full_precision() -> Iterator[None]:
    """Switch TF32 off for the time of a call: no hypothesis of the tolerances covers its 11 bits."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _exact(array: Array, dtype: str) -> Tensor:
    return tf.cast(tf.constant(array), dtype)


def _operands(question: Question, dtype: str) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return what a codepath is given by position, the scale last if there is one, and what it is given by name."""
    operands = [_exact(array, operand_dtype(question, dtype)) for array in (question.prediction, question.target)]
    scale = scale_argument(question)
    if scale is not None:
        operands.append(tf.constant(scale, computing_dtype(dtype)))
    return operands, {name: tf.constant(array) for name, array in keyword_operands(question).items()}


def _on(device: str) -> Any:
    return tf.device("/GPU:0" if device == "cuda" else "/CPU:0")


class TensorFlowBackend:
    """Value and gradient through a GradientTape."""

    name = "tensorflow"
    modes = ("eager", "persistent", "function", "xla")

    def __init__(self) -> None:
        self._prepared = Prepared()

    def environment(self, device: str) -> dict[str, str]:
        found = tf.config.list_physical_devices("GPU" if device == "cuda" else "CPU")
        if not found:
            raise BackendError(f"backend tensorflow: no device {device!r} is visible; use --device cpu")
        with _full_precision(), _on(device):
            tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
            half_of_smallest = float(tf.constant(2.0**-126) * tf.constant(0.5))
        return {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "device": found[0].name,
            "tf32": "on" if tf32 else "off",
            "subnormals": "kept" if half_of_smallest > 0 else "flushed",
            "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "deterministic_ops": os.environ.get("TF_DETERMINISTIC_OPS", "default"),
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        }

    def transpose(self, array: Any, axes: tuple[int, ...]) -> Any:
        return tf.transpose(array, axes)

    def times(self, array: Any, factors: Array) -> Any:
        return array * tf.constant(factors, array.dtype)

    def shipped(self, question: Question) -> Codepath:
        return _shipped(question.loss, question.parameters)

    def answer(
        self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float = 1.0
    ) -> Answer:
        if mode in ("function", "xla") and tf.config.functions_run_eagerly():
            raise BackendError(f"backend tensorflow: mode {mode} is switched off by tf.config.run_functions_eagerly")
        position = 1 if question.parameters.wrt == "target" else 0
        sources = (question.prediction, question.target)
        misdeeds: list[str] = []
        with _on(device), _full_precision(), left_as_they_were(SWITCHES, misdeeds):
            operands, arrays = _operands(question, dtype)
            if mode in ("eager", "persistent"):
                value, gradient = _value_and_gradient(codepath, position, mode, loss_scale, operands, arrays)
            else:
                run = self._prepared.get(codepath, f"{mode} {position}", _compile)
                value, gradient = run(operands, arrays, tf.constant(loss_scale, tf.float64))
        if device == "cuda" and "GPU" not in value.device:  # TensorFlow moves what has no kernel, and says nothing
            misdeeds.append(f"the value was computed on {value.device}, wanted {device}")
        if gradient is None:
            misdeeds.append(f"the gradient with respect to the {question.parameters.wrt} is None: nothing can train")
            gradient = tf.zeros_like(operands[position])
        gradient = tf.convert_to_tensor(gradient)  # a gather has its gradient in slices
        for name, operand, source in zip(("prediction", "target"), operands, sources):
            if not np.array_equal(wide(operand.numpy()), source, equal_nan=True):
                misdeeds.append(f"the {name} was modified in place")
        return Answer.of(np.asarray(value), np.asarray(gradient), loss_scale, misdeeds)

    def value(self, codepath: Codepath, question: Question, *, dtype: str, device: str) -> Value:
        misdeeds: list[str] = []
        with _on(device), _full_precision(), left_as_they_were(SWITCHES, misdeeds):
            operands, arrays = _operands(question, dtype)
            value = _require_tensor(codepath(*operands, **arrays)).numpy()
        return Value(wide(value), value.dtype.name, tuple(misdeeds))
