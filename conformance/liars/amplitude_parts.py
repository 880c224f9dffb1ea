"""The two amplitude MAEs by their parts."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from conformance.liars.liar import Loss, Make
from conformance.liars.parts import PREDICTION, TARGET, Part, Place, as_it_is, clean, mean, place_of, total

EPS = 2.0**-40


def bounded_norm(place: Place, x: Any, side: str, eps: float = EPS) -> Any:
    """sqrt(max(||x||^2, eps^2)), with derivative 0 at a dark scope, and NaN where the squares overflow."""
    energy = total(place, x * x)
    held = place.o.stop(energy)
    return place.o.sqrt(place.o.at_least(energy, eps * eps) + (held - held))


def divided(place: Place, x: Any, norms: dict[str, Any], side: str) -> Any:
    """The operand over its own norm."""
    return x / norms[side]


def untouched(place: Place, x: Any, *_: Any) -> Any:
    """The operand as it is."""
    return x


def distance(place: Place, a: Any, b: Any, p: Any, t: Any) -> Any:
    """|a - b| with derivative 0 at a tie."""
    return place.o.abs(a - b)


@dataclass(frozen=True)
class AmplitudeParts:
    """clean operand -> norm -> unit -> elements -> value."""

    enter: Part = clean
    norm: Part = bounded_norm
    unit: Part = divided
    elements: Part = distance
    reduce: Part = lambda place, elements, p, t: mean(place, elements)
    leave: Part = as_it_is


L2_PARTS = AmplitudeParts()
MAE_PARTS = AmplitudeParts(norm=untouched, unit=untouched)


def amplitude_loss(parts: AmplitudeParts, scope: str = "sample", modulus: Part = untouched) -> Make:
    """Return what makes the loss of these parts in a framework; `modulus` brings a domain to amplitudes."""

    def make(o: SimpleNamespace) -> Loss:
        def loss(prediction: Any, target: Any, mask: Any = None, view_ids: Any = None) -> Any:
            place = place_of(o, prediction, mask, view_ids, scope)
            p, t = (
                modulus(place, parts.enter(place, x, side), side)
                for x, side in ((prediction, PREDICTION), (target, TARGET))
            )
            norms = {side: parts.norm(place, x, side) for x, side in ((p, PREDICTION), (t, TARGET))}
            unit = (parts.unit(place, x, norms, side) for x, side in ((p, PREDICTION), (t, TARGET)))
            value = parts.reduce(place, parts.elements(place, *unit, p, t), p, t)
            return parts.leave(place, value, prediction, target)

        return loss

    return make
