"""The few array operations that the bank of losses is written in, once per framework."""

from functools import cache
from types import SimpleNamespace

FRAMEWORKS = ("torch", "tensorflow", "jax")
SAMPLE = (1, 2, 3)


def _torch() -> SimpleNamespace:
    import torch

    return SimpleNamespace(
        sum=lambda x, axes=SAMPLE: x.sum(axes, keepdim=True),
        mean=lambda x: x.mean(),
        sqrt=torch.sqrt,
        abs=torch.abs,
        log=torch.log,
        lgamma=torch.lgamma,
        round=torch.round,
        where=torch.where,
        ones=torch.ones_like,
        at_least=lambda x, bound: torch.maximum(x, torch.full_like(x, bound)),
        stop=lambda x: x.detach(),
        widen=lambda x: x.double(),
        narrow=lambda x, like: x.to(like.dtype),
        stack=torch.stack,
        count=lambda x: x.numel(),
    )


def _tensorflow() -> SimpleNamespace:
    import tensorflow as tf

    return SimpleNamespace(
        sum=lambda x, axes=SAMPLE: tf.reduce_sum(x, axes, keepdims=True),
        mean=tf.reduce_mean,
        sqrt=tf.sqrt,
        abs=tf.abs,
        log=tf.math.log,
        lgamma=tf.math.lgamma,
        round=tf.round,
        where=tf.where,
        ones=tf.ones_like,
        at_least=lambda x, bound: tf.maximum(x, tf.constant(bound, x.dtype)),
        stop=tf.stop_gradient,
        widen=lambda x: tf.cast(x, tf.float64),
        narrow=lambda x, like: tf.cast(x, like.dtype),
        stack=tf.stack,
        count=lambda x: int(tf.size(x)),
    )


def _jax() -> SimpleNamespace:
    import jax
    import jax.numpy as jnp

    return SimpleNamespace(
        sum=lambda x, axes=SAMPLE: jnp.sum(x, axis=axes, keepdims=True),
        mean=jnp.mean,
        sqrt=jnp.sqrt,
        abs=lambda x: x * jax.lax.stop_gradient(jnp.sign(x)),  # jnp.abs has derivative 1 at 0
        log=jnp.log,
        lgamma=jax.scipy.special.gammaln,
        round=jnp.round,
        where=jnp.where,
        ones=jnp.ones_like,
        at_least=lambda x, bound: jnp.maximum(x, jnp.asarray(bound, x.dtype)),
        stop=jax.lax.stop_gradient,
        widen=lambda x: x,  # 64-bit types are off while float32 is judged
        narrow=lambda x, like: x,
        stack=jnp.stack,
        count=lambda x: x.size,
    )


@cache
def operations(framework: str) -> SimpleNamespace:
    return {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}[framework]()
