"""What the shipped losses cost: ratios of the times of value and gradient, taken in turn in one run.

`python tests/bench.py [FRAMEWORK ...]`, or `nox -s bench`. A ratio is the median over rounds of the time of the one
over that of the other a moment later: what slows the machine down for a while slows both. Nothing fails for being slow.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median, quantiles
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from formulas import plain_nll

from conformance.liars.operations import FRAMEWORKS, operations

SHAPE = (16, 4, 64, 64)
"""(B, C, H, W): a batch of PtychoPINN's with four overlapping patterns of 64 pixels a side."""
PHOTONS = 1e9
"""Per diffraction pattern."""
ROUNDS = 40
SECONDS = 0.02
"""A round repeats a step until it has taken so long."""

Step = Callable[[], Any]
"""Computes value and gradient once, and returns when both are there."""


@dataclass(frozen=True)
class Row:
    """One loss beside another: the ratio of their times with its quartiles, and the milliseconds of a step of each."""

    framework: str
    mode: str
    pair: str
    ratio: float
    low: float
    high: float
    milliseconds: tuple[float, float]


def draw() -> tuple[np.ndarray, np.ndarray, float]:
    """Return prediction, target (B, C, H, W) and the scale that brings PHOTONS into each pattern."""
    draws = np.random.default_rng(20261127)
    target = draws.random(SHAPE, np.float32) + np.float32(0.5)
    prediction = target * (1 + 0.1 * draws.standard_normal(SHAPE, np.float32))
    return prediction, target, float(np.sqrt(PHOTONS / np.mean(np.sum(np.square(target, dtype=np.float64), (1, 2, 3)))))


def losses(framework: str, scale: float) -> dict[str, Callable[[Any, Any], Any]]:
    """Return losses as f(prediction, target): those that ship here and, each by name, what one would write instead."""
    ops = operations(framework)
    found = {
        "plain MAE": lambda p, t: ops.mean(ops.abs(p - t)),
        "plain NLL": lambda p, t: plain_nll(ops, p, t, scale),
    }
    module = {"jax": "oracle", "torch": "conformance.codepaths.torch_losses"}.get(
        framework, "conformance.codepaths.tensorflow_losses"
    )
    shipped = import_module(module)

    def turned(loss: Callable[..., Any], *more: Any, **options: Any) -> Callable[[Any, Any], Any]:
        if framework == "tensorflow":  # y_true first
            return lambda p, t: loss(t, p, *more, **options)
        return lambda p, t: loss(p, t, *more, **options)

    for scope in ("sample", "patch", "batch"):
        found[f"l2_{scope}"] = turned(shipped.amplitude_l2_mae, scope=scope)
    if framework == "jax":
        return found | {
            "MAE": turned(partial(shipped.amplitude_mae, intensity_scale=scale)),
            "NLL": turned(shipped.poisson_nll, scale),
        }
    return found | {"MAE": turned(shipped.amplitude_mae, scale), "NLL": turned(shipped.poisson_nll, scale)}


PAIRS = (("MAE", "plain MAE"), ("l2_sample", "MAE"), ("l2_patch", "MAE"), ("l2_batch", "MAE"), ("NLL", "plain NLL"))


def _torch(loss: Callable[..., Any], p: np.ndarray, t: np.ndarray, compiled: bool) -> Step:
    import torch

    prediction, target = torch.tensor(p, requires_grad=True), torch.tensor(t)
    run = torch.compile(loss) if compiled else loss

    def step() -> Any:
        value = run(prediction, target)
        return value.detach(), *torch.autograd.grad(value, prediction)

    return step


def _tensorflow(loss: Callable[..., Any], p: np.ndarray, t: np.ndarray, compiled: bool) -> Step:
    import tensorflow as tf

    prediction, target = (tf.constant(np.moveaxis(array, 1, -1)) for array in (p, t))

    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            value = loss(prediction, target)
        return value, tape.gradient(value, prediction)

    run = tf.function(step) if compiled else step
    return lambda: [array.numpy() for array in run()]


def _jax(loss: Callable[..., Any], p: np.ndarray, t: np.ndarray, compiled: bool) -> Step:
    import jax

    run = jax.value_and_grad(loss)
    run = jax.jit(run) if compiled else run
    prediction, target = jax.numpy.asarray(p), jax.numpy.asarray(t)
    return lambda: jax.block_until_ready(run(prediction, target))


STEPS = {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}


def _time(step: Step, repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        step()
    return (perf_counter() - start) / repeats


def compared(one: Step, other: Step, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """Return the seconds of a step of each, round by round, taken in turn; the first calls are left out."""
    for step in (one, other):
        step()
    repeats = [max(1, round(SECONDS / max(_time(step, 2), 1e-9))) for step in (one, other)]
    pairs = [(_time(one, repeats[0]), _time(other, repeats[1])) for _ in range(rounds)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def row(framework: str, mode: str, pair: str, first: Sequence[float], second: Sequence[float]) -> Row:
    """Return the row of two sequences of seconds, the moments of which belong together."""
    low, ratio, high = quantiles([a / b for a, b in zip(first, second)], n=4)
    return Row(framework, mode, pair, ratio, low, high, (1e3 * median(first), 1e3 * median(second)))


def rows(frameworks: Sequence[str]) -> Iterator[Row]:
    """Yield one row per framework, mode and pair of losses."""
    prediction, target, scale = draw()
    for framework in frameworks:
        known = losses(framework, scale)
        for compiled in (False, True):
            steps = {name: STEPS[framework](loss, prediction, target, compiled) for name, loss in known.items()}
            for one, other in PAIRS:
                seconds = compared(steps[one], steps[other])
                mode = "compiled" if compiled else "eager"
                yield row(framework, mode, f"{one} / {other}", *seconds)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "frameworks", nargs="*", metavar="FRAMEWORK", help=f"of {', '.join(FRAMEWORKS)}; all by default"
    )
    frameworks = parser.parse_args().frameworks or list(FRAMEWORKS)
    for name in frameworks:
        if name not in FRAMEWORKS:
            parser.error(f"got {name!r}, wanted some of {', '.join(FRAMEWORKS)}")
    print(f"value and gradient of {'x'.join(map(str, SHAPE))} float32; {os.cpu_count()} cores, {ROUNDS} rounds in turn")
    print(f"{'framework':11} {'mode':9} {'losses':22} {'ratio':>6} {'quartiles':>13} {'ms':>8} {'ms':>8}")
    for one in rows(frameworks):
        first, second = one.milliseconds
        said = f"{one.framework:11} {one.mode:9} {one.pair:22} {one.ratio:6.2f}"
        print(f"{said} {f'{one.low:.2f} - {one.high:.2f}':>13} {first:8.3f} {second:8.3f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
