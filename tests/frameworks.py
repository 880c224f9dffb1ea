"""The array operations that the banks of losses are written in, once per framework."""

from functools import cache
from types import SimpleNamespace
from typing import Any

FRAMEWORKS = ("torch", "tensorflow", "jax")
SAMPLE = (1, 2, 3)


def _torch() -> SimpleNamespace:
    import torch

    class Attached(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
            return value.clone()

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs[3:])

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> tuple[Any, ...]:
            of_p, of_t = ctx.saved_tensors
            return None, cotangent * of_p, cotangent * of_t, None, None

    return SimpleNamespace(
        name="torch",
        sum=lambda x, axes=SAMPLE: x.sum(axes, keepdim=True),
        largest=lambda x, axes: x.amax(axes, keepdim=True),
        least=lambda x, axis: x.amin(axis),
        mean=lambda x: x.mean(),
        cumulated=lambda x: torch.cumsum(x, -1),
        reversed=lambda x: torch.flip(x, (-1,)),
        sqrt=torch.sqrt,
        inverse_sqrt=torch.rsqrt,
        abs=torch.abs,
        modulus=torch.abs,
        real=lambda z: z.real,
        imag=lambda z: z.imag,
        log=torch.log,
        log1p=torch.log1p,
        log2=torch.log2,
        xlogy=torch.xlogy,
        lgamma=torch.lgamma,
        round=torch.round,
        where=torch.where,
        larger=torch.maximum,
        smaller=torch.minimum,
        ones=torch.ones_like,
        zeros=torch.zeros_like,
        full=lambda like, number: torch.full_like(like, number),
        at_least=lambda x, bound: torch.maximum(x, torch.full_like(x, bound)),
        stop=lambda x: x.detach(),
        attach=Attached.apply,
        cast=lambda x, like: x.to(like.dtype),
        single=lambda x: x.float() if x.dtype in (torch.float16, torch.bfloat16) else x,
        widen=lambda x: x.to(torch.complex128) if x.is_complex() else x.double(),
        narrow=lambda x, like: x.to(like.dtype),
        range=lambda count, like: torch.arange(count, device=like.device),
        truth=lambda x: x != 0,
        stack=torch.stack,
        concat=torch.cat,
        transpose=lambda x, axes: x.permute(axes),
        reshape=lambda x, shape: x.reshape(shape),
        broadcast=lambda x, shape: x.broadcast_to(shape),
        take=lambda x, places: x[places],
        indices=lambda chosen: torch.nonzero(chosen)[:, 0],
        segment_sum=lambda x, labels, count: x.new_zeros(count).scatter_add(0, labels, x),
        numbers=lambda x: x.tolist(),
        count=lambda x: x.numel(),
    )


def _tensorflow() -> SimpleNamespace:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def attach(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
        return tf.identity(value), lambda cotangent: (None, cotangent * of_p, cotangent * of_t, None, None)

    return SimpleNamespace(
        name="tensorflow",
        sum=lambda x, axes=SAMPLE: tf.reduce_sum(x, axes, keepdims=True),
        largest=lambda x, axes: tf.reduce_max(x, axes, keepdims=True),
        least=lambda x, axis: tf.reduce_min(x, axis),
        mean=tf.reduce_mean,
        cumulated=lambda x: tf.cumsum(x, -1),
        reversed=lambda x: tf.reverse(x, (-1,)),
        sqrt=tf.sqrt,
        inverse_sqrt=tf.math.rsqrt,
        abs=tf.abs,
        modulus=tf.abs,
        real=tf.math.real,
        imag=tf.math.imag,
        log=tf.math.log,
        log1p=tf.math.log1p,
        log2=lambda x: tf.math.log(x) * tf.constant(1.4426950408889634, x.dtype),
        xlogy=tf.math.xlogy,
        lgamma=tf.math.lgamma,
        round=tf.round,
        where=tf.where,
        larger=tf.maximum,
        smaller=tf.minimum,
        ones=tf.ones_like,
        zeros=tf.zeros_like,
        full=lambda like, number: tf.fill(like.shape, tf.constant(number, like.dtype)),
        at_least=lambda x, bound: tf.maximum(x, tf.constant(bound, x.dtype)),
        stop=tf.stop_gradient,
        attach=attach,
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
        count=lambda x: int(tf.size(x)),
    )


def _jax() -> SimpleNamespace:
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def attach(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
        return value

    def forward(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
        return value, (of_p, of_t)

    def backward(kept: Any, cotangent: Any) -> Any:
        nothing = jnp.zeros_like(cotangent)
        return nothing, cotangent * kept[0], cotangent * kept[1], nothing, nothing

    attach.defvjp(forward, backward)

    def widen(x: Any) -> Any:
        """Double precision exists in JAX only while it is judged; without it, nothing is done."""
        if not jax.config.jax_enable_x64:
            return x
        return x.astype(jnp.complex128 if jnp.iscomplexobj(x) else jnp.float64)

    return SimpleNamespace(
        name="jax",
        sum=lambda x, axes=SAMPLE: jnp.sum(x, axis=axes, keepdims=True),
        largest=lambda x, axes: jnp.max(x, axis=axes, keepdims=True),
        least=lambda x, axis: jnp.min(x, axis=axis),
        mean=jnp.mean,
        cumulated=lambda x: jnp.cumsum(x, -1),
        reversed=lambda x: jnp.flip(x, -1),
        sqrt=jnp.sqrt,
        inverse_sqrt=jax.lax.rsqrt,
        abs=lambda x: x * jax.lax.stop_gradient(jnp.sign(x)),  # jnp.abs has derivative 1 at 0
        modulus=jnp.abs,
        real=jnp.real,
        imag=jnp.imag,
        log=jnp.log,
        log1p=jnp.log1p,
        log2=jnp.log2,
        xlogy=jax.scipy.special.xlogy,
        lgamma=jax.scipy.special.gammaln,
        round=jnp.round,
        where=jnp.where,
        larger=jnp.maximum,
        smaller=jnp.minimum,
        ones=jnp.ones_like,
        zeros=jnp.zeros_like,
        full=lambda like, number: jnp.full_like(like, number),
        at_least=lambda x, bound: jnp.maximum(x, jnp.asarray(bound, x.dtype)),
        stop=jax.lax.stop_gradient,
        attach=attach,
        cast=lambda x, like: x.astype(like.dtype),
        single=lambda x: x.astype(jnp.float32) if x.dtype in (jnp.float16, jnp.bfloat16) else x,
        widen=widen,
        narrow=lambda x, like: x.astype(like.dtype),
        range=lambda count, like: jnp.arange(count),
        truth=lambda x: x != 0,
        stack=jnp.stack,
        concat=jnp.concatenate,
        transpose=jnp.transpose,
        reshape=jnp.reshape,
        broadcast=jnp.broadcast_to,
        take=lambda x, places: x[places],
        indices=lambda chosen: jnp.nonzero(chosen)[0],
        segment_sum=jax.ops.segment_sum,
        numbers=lambda x: x.tolist(),
        count=lambda x: x.size,
    )


@cache
def operations(framework: str) -> SimpleNamespace:
    return {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}[framework]()
