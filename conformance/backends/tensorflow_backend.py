"""TensorFlow: the shipped losses and anybody's, eager, as tf.function and compiled by XLA."""

import os
from functools import cache
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from conformance.backends.answer import Answer, Codepath, Prepared, scale_argument
from conformance.case import Parameters, Question
from conformance.codepaths import tensorflow_losses
from conformance.exit_codes import BackendError

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)


@cache
def _shipped(loss: str, parameters: Parameters) -> Codepath:
    """Return the channels-last `(y_true, y_pred)` loss behind the canonical layout and argument order."""
    scale = parameters.scale
    reduction, constant = parameters.reduction, parameters.constant
    gain, eps = parameters.gain, parameters.eps

    def channels_last(y_true: Any, y_pred: Any, s: Any) -> Any:
        if loss == "amplitude_l2_mae":
            return tensorflow_losses.amplitude_l2_mae(y_true, y_pred, reduction=reduction, gain=gain, eps=eps)
        if loss == "amplitude_mae":
            return tensorflow_losses.amplitude_mae(y_true, y_pred, s, reduction=reduction)
        if scale is not None and scale.nphotons is not None:
            s = tensorflow_losses.intensity_scale(y_true, scale.nphotons, source=scale.source)
        return tensorflow_losses.poisson_nll(y_true, y_pred, s, constant=constant, reduction=reduction)

    def canonical(prediction: Any, target: Any, s: Any = 1.0) -> Any:
        value = channels_last(tf.transpose(target, TO_CHANNELS_LAST), tf.transpose(prediction, TO_CHANNELS_LAST), s)
        return tf.transpose(value, TO_CHANNELS_FIRST) if reduction == "none" else value

    return canonical


def _value_and_gradient(codepath: Codepath, prediction: Any, *others: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = codepath(prediction, *others)
        if not isinstance(value, tf.Tensor):
            raise TypeError(f"returned {type(value).__name__}, wanted a tf.Tensor")
        total = tf.reduce_sum(value)
    return value, tape.gradient(total, prediction)


def _compile(codepath: Codepath, mode: str) -> Codepath:
    def step(*operands: Any) -> tuple[Any, Any]:
        return _value_and_gradient(codepath, *operands)

    compiled: Codepath = tf.function(step, jit_compile=mode == "xla")
    return compiled


class TensorFlowBackend:
    """Value and gradient through a GradientTape."""

    name = "tensorflow"
    modes = ("eager", "function", "xla")

    def __init__(self) -> None:
        self._prepared = Prepared()

    def environment(self, device: str) -> dict[str, str]:
        found = tf.config.list_physical_devices("GPU" if device == "cuda" else "CPU")
        if not found:
            raise BackendError(f"backend tensorflow: no device {device!r} is visible; use --device cpu")
        return {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "device": found[0].name,
            "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        }

    def shipped(self, question: Question) -> Codepath:
        return _shipped(question.loss, question.parameters)

    def answer(self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str) -> Answer:
        if mode != "eager" and tf.config.functions_run_eagerly():
            raise BackendError(f"backend tensorflow: mode {mode} is switched off by tf.config.run_functions_eagerly")
        with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
            operands = [tf.constant(question.prediction, dtype), tf.constant(question.target, dtype)]
            scale = scale_argument(question)
            if scale is not None:
                operands.append(tf.constant(scale, dtype))
            if mode == "eager":
                value, gradient = _value_and_gradient(codepath, *operands)
            else:
                value, gradient = self._prepared.get(codepath, mode, _compile)(*operands)
        misdeeds = []
        if gradient is None:
            misdeeds.append("the gradient with respect to the prediction is None: nothing can train")
            gradient = tf.zeros_like(operands[0])
        gradient = tf.convert_to_tensor(gradient)  # a gather has its gradient in slices
        for name, operand, source in zip(("prediction", "target"), operands, (question.prediction, question.target)):
            if not np.array_equal(operand.numpy(), source.astype(dtype)):
                misdeeds.append(f"the {name} was modified in place")
        return Answer(np.asarray(value), np.asarray(gradient), tuple(misdeeds))
