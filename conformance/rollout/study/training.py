"""One training run: a network learns to invert one scan under one arm, and what it proposes in the end."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from conformance.rollout.study.elsewhere import slope
from conformance.rollout.study.networks import GENERATORS, Weights, transmission
from conformance.rollout.study.objective import terms
from conformance.rollout.study.physics import far_field_amplitude, merge
from conformance.rollout.study.scan import JITTER, SIZE, STEP, Scan
from conformance.rollout.study.settings import Setting

SAMPLES = {1: 8, 4: 4}
"""Samples of a batch, by channels."""
LEARNING_RATE = 2e-3
TOGETHER = 16
"""Samples whose patches are proposed in one call after training, and during it for the mean amplitude."""
CANVAS = SIZE + STEP + 2 * JITTER
"""Pixels a side that hold the patches of one sample of a simulated scan; the least that a run uses."""


class Batch(NamedTuple):
    """Measured amplitudes (B, C, N, N) and where their patches lie in the sample's canvas (B, C, 2)."""

    targets: jax.Array
    corners: jax.Array


class Physics(NamedTuple):
    """What stays the same over a run: probe (modes, N, N), mask (1, 1, N, N), k, and sqrt(photons) per amplitude."""

    probe: jax.Array
    mask: jax.Array
    k: jax.Array
    scale: jax.Array


@dataclass(frozen=True)
class Trained:
    """What a run ends with: patches (G, C, N, N) of all samples, and numbers from on the way."""

    patches: npt.NDArray[np.complex64]
    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    mean_amplitudes: tuple[float, ...]
    weights: tuple[float, ...]


@lru_cache(maxsize=32)
def _compiled(generator: str, head: str, arm: str, gain: str, canvas: int) -> dict[str, Any]:
    """Return the compiled parts of a run; runs that differ in their arrays alone share them."""
    network = GENERATORS[generator][1]
    losses = terms(arm, gain)
    optimiser = optax.adam(LEARNING_RATE)

    def propose(weights: Weights, batch: Batch) -> jax.Array:
        patches = transmission(*network(weights, batch.targets), head)
        return merge(patches, batch.corners, canvas)

    def predict(weights: Weights, physics: Physics, batch: Batch) -> jax.Array:
        return physics.k * far_field_amplitude(propose(weights, batch), physics.probe)

    def term(number: int, weights: Weights, physics: Physics, batch: Batch) -> jax.Array:
        predicted = predict(weights, physics, batch)
        return losses[number](predicted, batch.targets, physics.mask, physics.scale)

    def total(weights: Weights, balance: jax.Array, physics: Physics, batch: Batch) -> jax.Array:
        predicted = predict(weights, physics, batch)
        parts = [loss(predicted, batch.targets, physics.mask, physics.scale) for loss in losses]
        return jnp.sum(balance * jnp.stack(parts))

    def apply(weights: Weights, state: Any, gradient: Weights) -> tuple[Weights, Any, jax.Array]:
        updates, state = optimiser.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, optax.tree.norm(gradient)

    @jax.jit
    def step(weights: Weights, state: Any, balance: jax.Array, physics: Physics, all_: Batch, chosen: jax.Array) -> Any:
        batch = Batch(all_.targets[chosen], all_.corners[chosen])
        value, gradient = jax.value_and_grad(total)(weights, balance, physics, batch)
        weights, state, norm = apply(weights, state, gradient)
        return weights, state, value, norm

    @jax.jit
    def pulled_back(weights: Weights, state: Any, physics: Physics, batch: Batch, slopes: jax.Array) -> Any:
        _, pull = jax.vjp(lambda inner: predict(inner, physics, batch), weights)
        weights, state, norm = apply(weights, state, pull(slopes)[0])
        return weights, state, norm

    return {
        "optimiser": optimiser,
        "propose": jax.jit(propose),
        "predict": jax.jit(predict),
        "step": step,
        "pulled_back": pulled_back,
        "norms": [
            jax.jit(lambda *inner, part=number: optax.tree.norm(jax.grad(partial(term, part))(*inner)))
            for number in range(len(losses))
        ],
    }


def probe_of(setting: Setting, scan: Scan) -> npt.NDArray[np.complex64]:
    """Return the probe that the physics of a run assumes: the data's, or one normalised by itself."""
    if not setting.probe_scale:
        return scan.probe
    modulus = np.sqrt(np.sum(np.abs(scan.probe) ** 2, axis=0))
    support = modulus > 0.1 * modulus.max()
    return np.asarray(scan.probe / (setting.probe_scale * modulus[support].mean()), np.complex64)


def _batches(groups: int, samples: int, seed: int) -> Any:
    draw = np.random.default_rng([seed, 1])
    while True:
        order = draw.permutation(groups)
        for start in range(0, groups - samples + 1, samples):
            yield order[start : start + samples]


def _propose_all(propose: Any, weights: Weights, everything: Batch) -> npt.NDArray[np.complex64]:
    """Return the patches of all samples, in calls of one shape; the last call repeats samples to fill it."""
    number = len(everything.targets)
    starts = range(0, number, TOGETHER)
    chosen = [np.minimum(np.arange(start, start + TOGETHER), number - 1) for start in starts]
    proposed = [propose(weights, Batch(everything.targets[part], everything.corners[part])) for part in chosen]
    return np.asarray(np.concatenate(proposed)[:number])


def train(setting: Setting, scan: Scan) -> Trained:
    """Return what the network of `setting` has learned from `scan`.

    The weights start the same for every arm, and the batches come in the same order. Where an arm adds losses, each is
    divided by the norm of its gradient at the start.
    """
    size = scan.targets.shape[-1]
    places = scan.positions[scan.groups]
    places = places - places.min(axis=1, keepdims=True)
    canvas = max(CANVAS, int(places.max()) + size)
    parts = _compiled(setting.generator, setting.head, setting.arm, setting.gain, canvas)
    corners = jnp.asarray(places)
    targets = jnp.asarray(scan.targets[scan.groups])
    everything = Batch(targets, corners)
    physics = Physics(
        jnp.asarray(probe_of(setting, scan)),
        jnp.asarray(scan.mask)[None, None],
        jnp.float32(setting.k),
        jnp.float32(np.sqrt(setting.photons) / (size / 2)),
    )
    weights = GENERATORS[setting.generator][0](jax.random.key(setting.seed), setting.channels)
    state = parts["optimiser"].init(weights)
    batches = _batches(len(scan.groups), SAMPLES[setting.channels], setting.seed)
    elsewhere = None if setting.backend == "jax" else slope(setting.backend, setting.arm, setting.gain)
    watched = Batch(targets[:TOGETHER], corners[:TOGETHER])
    balance: npt.NDArray[np.floating[Any]] = np.ones(len(parts["norms"]), np.float32)
    losses: list[Any] = []
    norms: list[Any] = []
    amplitudes: list[Any] = []
    for number in range(setting.steps):
        chosen = next(batches)
        if number == 0 and len(balance) > 1:
            batch = Batch(targets[chosen], corners[chosen])
            balance = 1 / np.array([norm(weights, physics, batch) for norm in parts["norms"]], np.float32)
        if elsewhere is None:
            weights, state, value, norm = parts["step"](weights, state, balance, physics, everything, chosen)
        else:
            batch = Batch(targets[chosen], corners[chosen])
            predicted = np.asarray(parts["predict"](weights, physics, batch))
            value, slopes = elsewhere(
                predicted, np.asarray(batch.targets), np.asarray(physics.mask), float(physics.scale)
            )
            weights, state, norm = parts["pulled_back"](weights, state, physics, batch, jnp.asarray(slopes))
        losses.append(value)
        norms.append(norm)
        if (number + 1) % max(1, setting.steps // 8) == 0:
            amplitudes.append(jnp.mean(jnp.abs(parts["propose"](weights, watched))))
    return Trained(
        _propose_all(parts["propose"], weights, everything),
        tuple(float(value) for value in losses),
        tuple(float(norm) for norm in norms),
        tuple(float(mean) for mean in amplitudes),
        tuple(float(weight) for weight in balance),
    )
