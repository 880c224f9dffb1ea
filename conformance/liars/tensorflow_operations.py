"""The operations of the bank in TensorFlow."""

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.liars.operations import SAMPLE


def table() -> SimpleNamespace:
    """Return the operations by their common names."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def attach(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
        return tf.identity(value), lambda cotangent: (None, cotangent * of_p, cotangent * of_t, None, None)

    def reflect(x: Any, turn: Callable[[Any], Any]) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def reflected(given: Any) -> Any:
            return tf.identity(given), turn

        return reflected(x)

    return SimpleNamespace(
        name="tensorflow",
        sum=lambda x, axes=SAMPLE: tf.reduce_sum(x, axes, keepdims=True),
        largest=lambda x, axes: tf.reduce_max(x, axes, keepdims=True),
        least=lambda x, axis: tf.reduce_min(x, axis),
        total=tf.reduce_sum,
        mean=tf.reduce_mean,
        cumulated=lambda x: tf.cumsum(x, -1),
        reversed=lambda x: tf.reverse(x, (-1,)),
        sqrt=tf.sqrt,
        inverse_sqrt=tf.math.rsqrt,
        abs=tf.abs,
        modulus=tf.abs,
        real=tf.math.real,
        imag=tf.math.imag,
        conj=tf.math.conj,
        complex=tf.complex,
        invert=tf.logical_not,
        exp=tf.exp,
        log=tf.math.log,
        log1p=tf.math.log1p,
        log2=lambda x: tf.math.log(x) * tf.constant(1.4426950408889634, x.dtype),
        xlogy=tf.math.xlogy,
        lgamma=tf.math.lgamma,
        round=tf.round,
        floor=tf.floor,
        where=tf.where,
        larger=tf.maximum,
        smaller=tf.minimum,
        ones=tf.ones_like,
        zeros=tf.zeros_like,
        full=lambda like, number: tf.fill(like.shape, tf.constant(number, like.dtype)),
        at_least=lambda x, bound: tf.maximum(x, tf.constant(bound, x.dtype)),
        stop=tf.stop_gradient,
        attach=attach,
        reflect=reflect,
        to=tf.cast,
        tiny=lambda x: float(np.finfo(x.dtype.as_numpy_dtype).tiny),
        noise=lambda x: tf.random.uniform(tf.shape(x), dtype=x.dtype),
        number=float,
        is_compiling=lambda: not tf.executing_eagerly(),
        cast=lambda x, like: tf.cast(x, like.dtype),
        single=lambda x: tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x,
        widen=lambda x: tf.cast(x, tf.complex128 if x.dtype.is_complex else tf.float64),
        narrow=lambda x, like: tf.cast(x, like.dtype),
        range=lambda count, like: tf.range(count),
        truth=lambda x: tf.cast(x, tf.bool),
        stack=tf.stack,
        concat=tf.concat,
        transpose=tf.transpose,
        reshape=tf.reshape,
        broadcast=tf.broadcast_to,
        take=tf.gather,
        indices=lambda chosen: tf.where(chosen)[:, 0],
        segment_sum=tf.math.unsorted_segment_sum,
        numbers=lambda x: x.numpy().tolist(),
        count=lambda x: prod(x.shape),
    )
