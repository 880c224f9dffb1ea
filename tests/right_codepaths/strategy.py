"""A right codepath as a record of how each of its steps is written, and the steps put together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from conformance.case import Parameters, Question
from conformance.liars.operations import operations
from right_codepaths import amplitudes, counts, photons, reductions, spaces
from right_codepaths.differences import Difference, Elements

DEFAULTS = Parameters()
MEAN_AMPLITUDE_OFFSET = 1e-8
CONCRETE = {
    "torch": ("eager", "func", "channels_last", "strided", "both"),
    "tensorflow": ("eager", "persistent"),
    "jax": ("eager",),
}
"""Modes in which a codepath can look at the numbers of masks and ids; in all others it meets only their shapes."""
FUSED = {"torch": (), "tensorflow": ("function", "xla"), "jax": ("jit", "grad_of_jit", "vmap")}
"""Modes in which XLA, or the optimiser of TensorFlow's graphs, puts operations together and rewrites them."""

Step = Callable[..., Any]


@dataclass(frozen=True)
class Strategy:
    """How every step is written.

    `space` makes the layout: masks, sums, views. `scale_late` multiplies the legacy loss by s at the end,
    `normalise_early` divides the elements of the Poisson loss by the normaliser and not their sum. `wide`: everything
    in float64. `traced` says what is done otherwise where masks and ids are not at hand; empty: nothing. `loose_ties`
    says why no particular sign at a tie can be asked for in a mode of FUSED; empty: sign(0) = 0 is.
    """

    name: str
    written: str
    space: Step
    l2: Elements
    difference: Difference
    nll: photons.Elements
    data: Step = counts.as_written
    guarded: Step = counts.as_guarded
    scale: Step = counts.mean_of_sums
    reduce: Step = reductions.sum_then_divide
    field: Step = amplitudes.root_of_sum
    scale_late: bool = False
    normalise_early: bool = False
    wide: bool = False
    traced: str = ""
    loose_ties: str = ""

    def codepath(self, framework: str, question: Question, mode: str = "eager") -> Step:
        """Return the codepath for a question: one object per loss and options, so that what is compiled is reused."""
        options = question.parameters
        if options.scale is not None and options.scale.nphotons is None:
            options = replace(options, scale=None)  # it is handed over with each call
        return _made(self, framework, question.loss, options, mode not in CONCRETE[framework])

    def ties(self, framework: str, mode: str) -> str:
        """Return what the judge is to hold the codepath to at exact ties."""
        return "subgradient" if self.loose_ties and mode in FUSED[framework] else "strict"


@cache
def _made(strategy: Strategy, framework: str, loss: str, options: Parameters, traced: bool) -> Step:
    return written(strategy, operations(framework), loss, options, traced)


def written(
    strategy: Strategy, o: SimpleNamespace, loss: str, options: Parameters = DEFAULTS, traced: bool = False
) -> Step:
    """Return one loss in one way of writing, as `f(prediction, target[, scale], mask=, view_ids=)`."""

    def enter(x: Any) -> Any:
        return o.widen(o.single(x)) if strategy.wide else o.single(x)

    def codepath(prediction: Any, target: Any, *scale: Any, mask: Any = None, view_ids: Any = None) -> Any:
        given = enter(prediction), enter(target)
        like = o.real(given[0]) if options.domain == "field" else given[0]
        shape = tuple(like.shape)
        valid = o.ones(like) > 0 if mask is None else o.broadcast(o.truth(mask), shape)
        space = strategy.space(o, valid, view_ids, options.scope, traced=traced)
        make = {"amplitude": lambda _, x: x, "intensity": amplitudes.root, "field": strategy.field}[options.domain]
        p, t = (make(o, space.enter(x)) for x in given)
        if loss == "amplitude_l2_mae":
            value = _l2(strategy, o, space, p, t, options)
        elif loss == "amplitude_mae":
            value = _mae(strategy, o, space, p, t, o.stop(enter(scale[0])) if scale else None, options)
        else:
            s = _scale(strategy, o, space, t, enter(scale[0]), shape[-1], options)
            value = _nll(strategy, o, space, p, t, s, options)
        return o.narrow(value, o.real(o.single(prediction)) if options.domain == "field" else o.single(prediction))

    return codepath


def _l2(strategy: Strategy, o: SimpleNamespace, space: Any, p: Any, t: Any, options: Parameters) -> Any:
    elements = strategy.l2(o, space, p, t, options.eps)
    if options.gain == "unit_rms":
        elements = elements * o.sqrt(o.at_least(space.total(o.cast(space.valid, elements)), 1.0))
    return strategy.reduce(o, space, elements, options.reduction)


def _mae(strategy: Strategy, o: SimpleNamespace, space: Any, p: Any, t: Any, s: Any, options: Parameters) -> Any:
    if s is None:
        return strategy.reduce(o, space, strategy.difference(o, p, t), options.reduction)
    if strategy.scale_late:
        return strategy.reduce(o, space, strategy.difference(o, p, t), options.reduction) * s
    return strategy.reduce(o, space, strategy.difference(o, s * p, s * t), options.reduction)


def _scale(
    strategy: Strategy, o: SimpleNamespace, space: Any, t: Any, given: Any, pixels: int, options: Parameters
) -> Any:
    scale = options.scale
    if scale is None or scale.nphotons is None:
        return o.stop(given)
    if scale.source == "closed_form":
        return o.sqrt(o.full(given, scale.nphotons)) / (pixels / 2)
    return o.stop(strategy.scale(o, space, t, scale.nphotons))


def _nll(strategy: Strategy, o: SimpleNamespace, space: Any, p: Any, t: Any, s: Any, options: Parameters) -> Any:
    def data(k: Any) -> Any:
        return strategy.data(o, options.constant, k)

    if options.rate_guard == "none":
        parts = strategy.nll(o, p, t, s, data)
    else:
        parts = strategy.guarded(o, p, t, s, options.rate_guard, options.rate_floor, data)
    divisor = None
    if options.normaliser == "batch_mean_amplitude":
        count = o.at_least(space.whole(o.cast(space.valid, t)), 1.0)
        divisor = o.stop(space.whole(t) / count + MEAN_AMPLITUDE_OFFSET)
    elif options.normaliser == "frozen_mean_intensity":
        divisor = o.full(s, options.normaliser_value)
    if divisor is not None and strategy.normalise_early:
        parts = tuple(part / divisor for part in parts)
    value = None
    for part in (spaces.chosen(o, part, space.valid) for part in parts):
        summed = strategy.reduce(o, space, part, options.reduction)
        value = summed if value is None else value + summed
    return value if divisor is None or strategy.normalise_early else value * (1 / divisor)
