"""The operations of the bank in JAX."""

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from conformance.liars.operations import SAMPLE


def table() -> SimpleNamespace:
    """Return the operations by their common names."""

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
        if jnp.asarray(np.float64(0)).dtype != np.float64:
            return x
        return x.astype(jnp.complex128 if jnp.iscomplexobj(x) else jnp.float64)

    def reflect(x: Any, turn: Callable[[Any], Any]) -> Any:
        @jax.custom_vjp
        def reflected(given: Any) -> Any:
            return given

        reflected.defvjp(lambda given: (given, None), lambda _, cotangent: (turn(cotangent),))
        return reflected(x)

    return SimpleNamespace(
        name="jax",
        sum=lambda x, axes=SAMPLE: jnp.sum(x, axis=axes, keepdims=True),
        largest=lambda x, axes: jnp.max(x, axis=axes, keepdims=True),
        least=lambda x, axis: jnp.min(x, axis=axis),
        total=jnp.sum,
        mean=jnp.mean,
        cumulated=lambda x: jnp.cumsum(x, -1),
        reversed=lambda x: jnp.flip(x, -1),
        sqrt=jnp.sqrt,
        inverse_sqrt=jax.lax.rsqrt,
        abs=lambda x: x * jax.lax.stop_gradient(jnp.sign(x)),  # jnp.abs has derivative 1 at 0
        modulus=jnp.abs,
        real=jnp.real,
        imag=jnp.imag,
        conj=jnp.conj,
        complex=jax.lax.complex,
        invert=jnp.logical_not,
        exp=jnp.exp,
        log=jnp.log,
        log1p=jnp.log1p,
        log2=jnp.log2,
        xlogy=jax.scipy.special.xlogy,
        lgamma=jax.scipy.special.gammaln,
        round=jnp.round,
        floor=jnp.floor,
        where=jnp.where,
        larger=jnp.maximum,
        smaller=jnp.minimum,
        ones=jnp.ones_like,
        zeros=jnp.zeros_like,
        full=lambda like, number: jnp.full_like(like, number),
        at_least=lambda x, bound: jnp.maximum(x, jnp.asarray(bound, x.dtype)),
        stop=jax.lax.stop_gradient,
        attach=attach,
        reflect=reflect,
        to=lambda x, dtype: x.astype(dtype),
        tiny=lambda x: float(np.finfo(np.dtype(x.dtype)).tiny),
        noise=lambda x: jnp.asarray(np.random.default_rng().random(x.shape), x.dtype),
        number=float,
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
        count=lambda x: prod(x.shape),
    )
