"""The Poisson loss by its parts."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from conformance.liars.liar import Loss, Make
from conformance.liars.parts import PREDICTION, TARGET, Part, Place, as_it_is, clean, mean, place_of


def modulus(place: Place, x: Any) -> Any:
    """|x| with derivative 1 at 0, so that the gradient at rate 0 under counts is -inf and not NaN."""
    return place.o.where(x < 0, -x, x)


def given_scale(place: Place, s: Any, side: str, p: Any, t: Any) -> Any:
    """The scale as it was handed over."""
    return s


def square(place: Place, x: Any, s: Any) -> Any:
    """(s x)^2."""
    return (s * x) ** 2


def log_rate(place: Place, p: Any, s: Any, rate: Any, counts: Any) -> Any:
    """log lambda = 2 log|s p|, and 0 where there are no counts to multiply it."""
    return 2 * place.o.log(place.o.where(counts > 0, modulus(place, s * p), place.o.ones(p)))


def likelihood(place: Place, rate: Any, counts: Any, log: Any) -> Any:
    """lambda - k log lambda."""
    return rate - counts * log


@dataclass(frozen=True)
class PoissonParts:
    """clean operand, scale -> rate, counts -> logarithm -> elements -> value."""

    enter: Part = clean
    scale: Part = given_scale
    rate: Part = square
    counts: Part = square
    log: Part = log_rate
    elements: Part = likelihood
    reduce: Part = lambda place, elements, p, t: mean(place, elements)
    leave: Part = as_it_is


NLL_PARTS = PoissonParts()


def poisson_loss(parts: PoissonParts) -> Make:
    """Return what makes the loss of these parts in a framework."""

    def make(o: SimpleNamespace) -> Loss:
        def loss(prediction: Any, target: Any, s: Any, mask: Any = None) -> Any:
            place = place_of(o, prediction, mask, None, "sample")
            p, t = parts.enter(place, prediction, PREDICTION), parts.enter(place, target, TARGET)
            of_p, of_t = (parts.scale(place, s, side, p, t) for side in (PREDICTION, TARGET))
            rate, counts = parts.rate(place, p, of_p), parts.counts(place, t, of_t)
            log = parts.log(place, p, of_p, rate, counts)
            value = parts.reduce(place, parts.elements(place, rate, counts, log), p, t)
            return parts.leave(place, value, prediction, target)

        return loss

    return make
