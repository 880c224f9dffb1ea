"""Value and gradients of a TensorFlow loss, eager, as tf.function and compiled by XLA."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

MODES = ("eager", "function", "xla")
ENDS = ("eager", "xla")  # what lies between is graphs without a compiler


def compiled(step: Callable[..., Any], mode: str, signature: Any = None) -> Callable[..., Any]:
    if mode == "eager":
        return step
    wrapped: Callable[..., Any] = tf.function(
        step, jit_compile=mode == "xla", input_signature=signature, autograph=False
    )
    return wrapped


def grader(loss: Callable[..., Any], mode: str) -> Callable[..., tuple[np.ndarray, ...]]:
    """Return a function that gives the value, and the gradients of its sum with respect to y_pred and to y_true."""

    def step(y_true: Any, y_pred: Any, *others: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch((y_true, y_pred))
            value = loss(y_true, y_pred, *others)
            total = tf.reduce_sum(value)
        of_true, of_pred = tape.gradient(total, (y_true, y_pred))
        return value, of_pred, of_true

    run = compiled(step, mode)

    def answers(*operands: Any) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(each) for each in run(*(tf.convert_to_tensor(operand) for operand in operands)))

    return answers


def graded(loss: Callable[..., Any], mode: str, *operands: Any) -> tuple[np.ndarray, ...]:
    return grader(loss, mode)(*operands)
