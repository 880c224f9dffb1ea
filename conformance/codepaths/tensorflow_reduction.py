"""Sums over scopes, numbers of valid elements, and the reductions of the contract, channels last."""

from collections.abc import Sequence

import tensorflow as tf

from conformance.codepaths.tensorflow_inputs import Tensor, tied

SAMPLE = (1, 2, 3)
EVERY = (0, 1, 2, 3)
AXES = {"sample": SAMPLE, "patch": (1, 2), "view": SAMPLE, "batch": EVERY}


def count(valid: Tensor, like: Tensor, axes: Sequence[int]) -> Tensor:
    """Number of valid elements of `like` along `axes`, kept as axes of 1, in int64: exact above 2^24.

    A mask is counted before it is broadcast, times the axes that broadcasting adds.
    """
    valid = tf.ones((1, 1, 1, 1), tf.bool) if valid is None else valid
    spread = tf.shape(like, tf.int64) // tf.shape(valid, tf.int64)
    lit = tf.math.count_nonzero(valid, axes, keepdims=True, dtype=tf.int64)
    return lit * tf.reduce_prod(tf.gather(spread, axes))


def over_scope(tensor: Tensor, scope: str, ids: Tensor) -> Tensor:
    """Sum of `tensor` over each scope, kept as axes of 1."""
    return _over_views(tf.reduce_sum(tensor, AXES[scope], keepdims=True), ids)


def count_in_scope(valid: Tensor, like: Tensor, scope: str, ids: Tensor) -> Tensor:
    """Number of valid elements in each scope, kept as axes of 1."""
    each = count(valid, like, AXES[scope])
    if ids is None:
        return each
    return _over_views(tf.broadcast_to(each, (tf.shape(like)[0], 1, 1, 1)), ids)


def _over_views(per_sample: Tensor, ids: Tensor) -> Tensor:
    """Sum numbers (B, 1, 1, 1) over samples of one id; selecting, not multiplying, keeps a NaN in its own view."""
    if ids is None:
        return per_sample
    ids, flat = tied(ids, tf.reshape(per_sample, (-1,)))
    grouped = tf.reduce_sum(tf.where(ids[:, None] == ids[None, :], flat[None, :], tf.zeros_like(flat)), 1)
    return tf.reshape(grouped, (-1, 1, 1, 1))


def reduced(elements: Tensor, valid: Tensor, reduction: str) -> Tensor:
    """Reduce element losses (B, H, W, C), 0 wherever they are not `valid`, as the contract says."""
    if reduction == "none":
        return elements
    if reduction == "sum":
        return tf.reduce_sum(elements)
    if reduction == "sample_sum":
        return tf.reduce_mean(tf.reduce_sum(elements, SAMPLE))
    axes = EVERY if reduction == "mean" else SAMPLE
    if valid is None:
        return tf.reduce_mean(elements, axes)
    shared = tf.cast(tf.maximum(count(valid, elements, axes), 1), elements.dtype)  # nothing valid: 0 / 1
    return tf.reduce_sum(elements, axes) / tf.squeeze(shared, axes)


def masked(elements: Tensor, valid: Tensor) -> Tensor:
    """Return `elements` with 0, and gradient 0, wherever they are not valid."""
    return elements if valid is None else tf.where(valid, elements, tf.zeros_like(elements))
