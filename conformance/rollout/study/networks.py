"""The generators: from amplitudes (B, C, N, N) to complex patches (B, C, N, N); functions of a tree of weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Weights = dict[str, Any]

WIDTHS = (8, 16, 32)
"""Channels of the CNN at each resolution: N, N/2, N/4."""
MODES, FNO_WIDTH, FNO_LAYERS = 8, 16, 3


def _convolve(x: jax.Array, layer: Weights) -> jax.Array:
    inner = ("NHWC", "HWIO", "NHWC")  # the layout that XLA's convolutions on CPUs are quick in
    kernel = layer["w"].transpose(2, 3, 1, 0)
    y: jax.Array = jax.lax.conv_general_dilated(
        x.transpose(0, 2, 3, 1), kernel, (1, 1), "SAME", dimension_numbers=inner
    )
    return jnp.transpose(y + layer["b"], (0, 3, 1, 2))


def _layer(key: jax.Array, inward: int, outward: int, size: int = 3, gain: float = 2.0) -> Weights:
    spread = jnp.sqrt(gain / (inward * size * size))
    return {"w": spread * jax.random.normal(key, (outward, inward, size, size)), "b": jnp.zeros(outward)}


def _halve(x: jax.Array) -> jax.Array:
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels, height // 2, 2, width // 2, 2).mean((3, 5))


def _double(x: jax.Array) -> jax.Array:
    return jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)


def cnn_weights(key: jax.Array, channels: int) -> Weights:
    """Return He-initialised weights of an encoder and a decoder for modulus and phase each."""
    keys = iter(jax.random.split(key, 16))
    first, middle, last = WIDTHS
    weights: Weights = {
        "in": _layer(next(keys), channels, first),
        "down": _layer(next(keys), first, middle),
        "deep": _layer(next(keys), middle, last),
        "mix": _layer(next(keys), last, last, 1),
    }
    for part in ("modulus", "phase"):
        weights[part] = {
            "up": _layer(next(keys), last, middle),
            "fine": _layer(next(keys), middle, first),
            "out": _layer(next(keys), first, channels, gain=0.1),
        }
    return weights


def cnn(weights: Weights, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the raw maps (B, C, N, N) of modulus and phase; nothing bypasses the coarsest layer."""
    x = jax.nn.leaky_relu(_convolve(x, weights["in"]))
    x = jax.nn.leaky_relu(_convolve(_halve(x), weights["down"]))
    x = jax.nn.leaky_relu(_convolve(_halve(x), weights["deep"]))
    # The far field mixes every pixel: each place of the coarsest layer also sees the mean over all of them.
    x = jax.nn.leaky_relu(_convolve(x, weights["mix"]) + x.mean((2, 3), keepdims=True))

    def decode(layers: Weights) -> jax.Array:
        y = jax.nn.leaky_relu(_convolve(_double(x), layers["up"]))
        y = jax.nn.leaky_relu(_convolve(_double(y), layers["fine"]))
        return _convolve(y, layers["out"])

    return decode(weights["modulus"]), decode(weights["phase"])


def fno_weights(key: jax.Array, channels: int) -> Weights:
    """Return weights of a lifting, spectral layers with a pointwise bypass, and a projection."""
    keys = iter(jax.random.split(key, 2 + 3 * FNO_LAYERS))
    shape = (2, FNO_WIDTH, FNO_WIDTH, MODES, MODES)
    layers = [
        {
            "re": jax.random.normal(next(keys), shape) / FNO_WIDTH,
            "im": jax.random.normal(next(keys), shape) / FNO_WIDTH,
            "point": _layer(next(keys), FNO_WIDTH, FNO_WIDTH, 1),
        }
        for _ in range(FNO_LAYERS)
    ]
    return {
        "in": _layer(next(keys), channels, FNO_WIDTH, 3),
        "layers": layers,
        "out": _layer(next(keys), FNO_WIDTH, 2 * channels, 3, gain=0.1),
    }


def fno(weights: Weights, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the raw maps of a Fourier neural operator that keeps the MODES lowest frequencies of each sign."""
    size = x.shape[-1]
    x = _convolve(x, weights["in"])
    for layer in weights["layers"]:
        spectrum = jnp.fft.rfft2(x, norm="ortho")
        kernel = layer["re"] + 1j * layer["im"]
        low = jnp.einsum("bixy,ioxy->boxy", spectrum[:, :, :MODES, :MODES], kernel[0])
        high = jnp.einsum("bixy,ioxy->boxy", spectrum[:, :, -MODES:, :MODES], kernel[1])
        gap = jnp.zeros((*low.shape[:2], size - 2 * MODES, MODES), low.dtype)
        kept = jnp.concatenate([low, gap, high], axis=2)
        kept = jnp.pad(kept, ((0, 0), (0, 0), (0, 0), (0, size // 2 + 1 - MODES)))
        x = jax.nn.gelu(jnp.fft.irfft2(kept, s=(size, size), norm="ortho") + _convolve(x, layer["point"]))
    modulus, phase = jnp.split(_convolve(x, weights["out"]), 2, axis=1)
    return modulus, phase


GENERATORS: dict[str, tuple[Callable[..., Weights], Callable[..., tuple[jax.Array, jax.Array]]]] = {
    "cnn": (cnn_weights, cnn),
    "fno": (fno_weights, fno),
}


def transmission(modulus: jax.Array, phase: jax.Array, head: str) -> jax.Array:
    """Return complex patches: modulus in (0, 1) by a sigmoid or above 0 by a softplus, phase in (-pi, pi) by tanh."""
    positive = jax.nn.sigmoid(modulus) if head == "bounded" else jax.nn.softplus(modulus)
    angle = jnp.pi * jnp.tanh(phase)
    return positive * jax.lax.complex(jnp.cos(angle), jnp.sin(angle))
