"""Many wrong losses in one tf.function, each with operands and a tape of its own: half the time of one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.backends.answer import Answer, keyword_operands, operand_dtype, scale_argument
from conformance.case import Question
from conformance.tolerance import computing_dtype

Program = Callable[[Question, float], list[Answer]]
"""Asks every loss in it a question: (question, loss_scale) -> an answer for each."""


def programs(
    codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compilers: Sequence[str]
) -> dict[str, Program]:
    """Return a program of all codepaths by each compiler, for questions that differ from this one in numbers only.

    `compilers` are `function` and `xla`: what is traced once serves both. The gradients are those of `loss_scale` times
    the sum of each value, divided by it again in float64.

    Raises
    ------
    Exception
        When called: whatever a codepath, or the compiler, raises. Ask them one by one then.
    """
    kind, real = operand_dtype(question, dtype), computing_dtype(dtype)
    position = 1 if question.parameters.wrt == "target" else 0

    def step(pairs: list[list[Any]], given: list[Any], keywords: dict[str, Any], loss_scale: Any) -> list[Any]:
        answers = []
        for codepath, pair in zip(codepaths, pairs):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(pair[position])
                value = codepath(*pair, *given, **keywords)
                total = tf.reduce_sum(tf.cast(value, tf.float64)) * loss_scale
            answers.append((value, tape.gradient(total, pair[position])))
        return answers

    traced = tf.function(step, autograph=False)

    def inlined(*operands: Any) -> Any:
        return traced.get_concrete_function(*operands)(*operands)

    by_xla = tf.function(inlined, autograph=False, jit_compile=True)

    def asked_of(called: Callable[..., Any]) -> Program:
        def ask(question: Question, loss_scale: float) -> list[Answer]:
            scale = scale_argument(question)
            given = [] if scale is None else [tf.constant(scale, real)]
            keywords = {name: tf.constant(array) for name, array in keyword_operands(question).items()}
            sources = question.prediction, question.target
            pairs = [[tf.cast(tf.constant(array), kind) for array in sources] for _ in codepaths]
            answers = called(pairs, given, keywords, tf.constant(loss_scale, tf.float64))
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

        return ask

    return {compiler: asked_of(by_xla if compiler == "xla" else traced) for compiler in compilers}


def program(codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compiler: str) -> Program:
    """Return the program by one compiler."""
    return programs(codepaths, question, dtype, [compiler])[compiler]
