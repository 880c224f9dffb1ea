"""Many wrong losses in one tf.function, each with operands and a tape of its own: half the time of one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.backends.answer import Answer, keyword_operands, operand_dtype, scale_argument
from conformance.case import Question
from conformance.tolerance import computing_dtype


def answers_together(
    codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compiler: str, loss_scale: float = 1.0
) -> list[Answer]:
    """Return the answer of each codepath to one question; `compiler` is `function` or `xla`.

    The gradient is that of `loss_scale` times the sum of the value, divided by it again in float64.

    Raises
    ------
    Exception
        Whatever one of them, or the compiler, raises: ask them one by one then.
    """
    kind, real = operand_dtype(question, dtype), computing_dtype(dtype)
    position = 1 if question.parameters.wrt == "target" else 0
    scale = scale_argument(question)
    given = [] if scale is None else [tf.constant(scale, real)]
    keywords = {name: tf.constant(array) for name, array in keyword_operands(question).items()}

    def step(pairs: list[list[Any]], given: list[Any], keywords: dict[str, Any]) -> list[tuple[Any, Any]]:
        answers = []
        for codepath, pair in zip(codepaths, pairs):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(pair[position])
                value = codepath(*pair, *given, **keywords)
                total = tf.reduce_sum(tf.cast(value, tf.float64)) * loss_scale
            answers.append((value, tape.gradient(total, pair[position])))
        return answers

    pairs = [[tf.cast(tf.constant(a), kind) for a in (question.prediction, question.target)] for _ in codepaths]
    answers = tf.function(step, jit_compile=compiler == "xla", autograph=False)(pairs, given, keywords)
    none = np.zeros(question.prediction.shape, kind)
    return [
        Answer.of(
            np.asarray(value),
            none if gradient is None else np.asarray(tf.convert_to_tensor(gradient)),
            loss_scale,
            misdeeds=() if gradient is not None else ("no gradient",),
        )
        for value, gradient in answers
    ]
