"""Lies of the gradient alone: the value is right, what comes back to the prediction is not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from conformance.liars.liar import Liar
from conformance.liars.parts import PREDICTION, Change, Place, after, instead
from conformance.liars.sources import FIELD, seen

Turn = Callable[[SimpleNamespace, Any, Any], Any]
"""(operations, gradient, prediction) -> what comes back instead."""
SMALLEST = 1e-30


def turned(turn: Turn) -> tuple[Change, ...]:
    """Return a prediction whose gradient is turned on its way back."""

    def enter(place: Place, x: Any, given: Any, side: str) -> Any:
        return place.o.reflect(x, lambda g: turn(place.o, g, x)) if side == PREDICTION else x

    return after("enter", enter)


def _norm(o: SimpleNamespace, g: Any) -> Any:
    return o.sqrt(o.total(g * g))


def _at_first_pixel(o: SimpleNamespace, g: Any, kept: bool) -> Any:
    """The gradient at the first pixel of each frame alone, or everywhere but there."""
    height, width = g.shape[2], g.shape[3]
    down = o.reshape(o.range(height, g), (1, 1, height, 1))
    along = o.reshape(o.range(width, g), (1, 1, 1, width))
    first = o.broadcast((down == 0) & (along == 0), tuple(g.shape))
    return o.where(first, g, o.zeros(g)) if kept else o.where(first, o.zeros(g), g)


TURNS: dict[str, tuple[str, Turn, str]] = {
    "gradient-zero": ("the gradient is 0 everywhere", lambda o, g, x: 0 * g, seen("detach")),
    "gradient-reversed": ("the gradient points the other way", lambda o, g, x: -g, FIELD),
    "gradient-up-by-1-percent": ("the gradient is 1 % too long", lambda o, g, x: 1.01 * g, seen("clipping")),
    "gradient-up-by-1e-4": ("the gradient is 1e-4 too long", lambda o, g, x: (1 + 1e-4) * g, seen("clipping")),
    "gradient-halved": ("the gradient is half as long", lambda o, g, x: 0.5 * g, seen("clipping")),
    "gradient-over-batch": ("the gradient is divided by the number of samples once more",
                            lambda o, g, x: g / (g.shape[0] + 1.0), seen("reduction")),
    "gradient-of-unit-norm": ("the gradient is normalised", lambda o, g, x: g / (_norm(o, g) + SMALLEST),
                              seen("clipping")),
    "gradient-clipped-by-value": ("elements of the gradient beyond 1e-3 are clipped",
                                  lambda o, g, x: o.at_least(-o.at_least(-g, -1e-3), -1e-3), seen("clipping")),
    "gradient-clipped-at-1": ("elements of the gradient beyond 1 are clipped: a weighted loss has no larger ones",
                              lambda o, g, x: o.at_least(-o.at_least(-g, -1.0), -1.0), seen("clipping")),
    "gradient-sign-only": ("only the sign of the gradient comes back",
                           lambda o, g, x: g / (o.where(g < 0, -g, g) + SMALLEST), seen("clipping")),
    "gradient-of-one-pixel": ("only the first pixel of each frame has a gradient",
                              lambda o, g, x: _at_first_pixel(o, g, kept=True), FIELD),
    "gradient-lacks-one-pixel": ("the first pixel of each frame has no gradient",
                                 lambda o, g, x: _at_first_pixel(o, g, kept=False), FIELD),
    "gradient-rounded-to-bfloat16": ("the gradient is rounded to bfloat16",
                                     lambda o, g, x: o.cast(o.to(g, "bfloat16"), g), seen("half")),
    "gradient-rounded-to-float16": ("the gradient is rounded to float16",
                                    lambda o, g, x: o.cast(o.to(g, "float16"), g), seen("half")),
    "gradient-transposed": ("rows and columns of the gradient are exchanged",
                            lambda o, g, x: o.transpose(g, (0, 1, 3, 2)), seen("shift")),
    "gradient-rolled": ("the gradient is one pixel aside",
                        lambda o, g, x: o.concat((g[:, :, :, -1:], g[:, :, :, :-1]), 3), seen("shift")),
    "gradient-upside-down": ("the order of the samples is reversed in the gradient",
                             lambda o, g, x: o.concat([g[b : b + 1] for b in range(g.shape[0] - 1, -1, -1)], 0),
                             seen("axis")),
    "gradient-mean-removed": ("the mean is subtracted from the gradient of each frame",
                              lambda o, g, x: g - o.sum(g, (2, 3)) / (g.shape[2] * g.shape[3]), FIELD),
    "gradient-of-dark-pixels-0": ("a pixel without predicted amplitude has no gradient",
                                  lambda o, g, x: o.where(x > 0, g, o.zeros(g)), seen("where")),
    "gradient-of-first-channel": ("channels beyond the first have no gradient",
                                  lambda o, g, x: o.concat([g[:, :1], *([0 * g[:, 1:]] if g.shape[1] > 1 else [])], 1),
                                  seen("axis")),
    "gradient-of-last-sample-0": ("the last sample has no gradient",
                                  lambda o, g, x: o.concat([g[:-1], 0 * g[-1:]], 0), seen("reduction")),
    "gradient-with-decay": ("a weight decay of 1e-2 is added", lambda o, g, x: g + 1e-2 * x, FIELD),
    "gradient-times-prediction": ("the gradient with respect to the logarithm of the prediction",
                                  lambda o, g, x: g * x, FIELD),
}  # fmt: skip
"""Name -> what it does, the turn, and where it was seen."""
SIZES = ("gradient-up-by-1-percent", "gradient-up-by-1e-4", "gradient-halved")
NARROW = ("gradient-rounded-to-bfloat16", "gradient-rounded-to-float16")
FACTORS = (*SIZES, "gradient-reversed", "gradient-zero")
"""One factor on the whole gradient: the diagnosis may say so instead of naming the liar."""


UPSTREAM: dict[str, tuple[str, Callable[[SimpleNamespace, Any], Any]]] = {
    "upstream-ignored": ("the backward pass ignores the gradient that it is given: a weighted loss trains as if it had "
                         "weight 1", lambda o, g: o.ones(g)),
    "upstream-without-sign": ("the backward pass takes the modulus of the gradient that it is given: a loss that is "
                              "subtracted trains as if it were added", lambda o, g: o.where(g < 0, -g, g)),
}  # fmt: skip
"""Name -> what it does, and what becomes of the gradient with respect to the value."""


def upstream_liars(prefix: str, make: Callable[..., Liar]) -> tuple[Liar, ...]:
    """Return the lies about one loss that only another weight than 1 shows."""

    def leave(turn: Callable[[SimpleNamespace, Any], Any]) -> tuple[Change, ...]:
        return after("leave", lambda place, value, *_: place.o.reflect(value, lambda g: turn(place.o, g)))

    return tuple(
        make(f"{prefix}{name}", "gradient", wrong, seen("upstream"), leave(turn))
        for name, (wrong, turn) in UPSTREAM.items()
    )


def averaged_liar(prefix: str, make: Callable[..., Liar]) -> Liar:
    """Return the lie about one loss that returns every element: its backward pass averages what it is given."""
    edit = (
        *instead("reduce", lambda place, elements, p, t: elements),
        *after("leave", lambda place, value, *_: place.o.reflect(value, lambda g: place.o.ones(g) * place.o.mean(g))),
    )
    wrong = "the backward pass averages the gradient that it is given: returned elements with weights train without"
    how = {"settings": {"reduction": "none"}, "mode": "eager"}
    return make(f"{prefix}upstream-averaged", "gradient", wrong, seen("upstream"), edit, **how)


def gradient_liars(prefix: str, make: Callable[..., Liar], names: tuple[str, ...] = tuple(TURNS)) -> tuple[Liar, ...]:
    """Return the lies of the gradient about one loss."""
    found = []
    for name in names:
        wrong, turn, source = TURNS[name]
        others = next((group for group in (FACTORS, NARROW) if name in group), ())
        kin = tuple(f"{prefix}{other}" for other in others if other != name and other in names)
        diagnosis = "factor" if name in FACTORS else ""
        found.append(make(f"{prefix}{name}", "gradient", wrong, source, turned(turn), kin=kin, diagnosis=diagnosis))
    return tuple(found)
