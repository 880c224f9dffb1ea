"""Lies under a condition: of shapes, of the state that an earlier call left, of modes, dtypes and side effects."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from types import SimpleNamespace
from typing import Any

from conformance.liars.liar import Liar, Loss, Make
from conformance.liars.parts import Change, Place, after
from conformance.liars.sources import FIELD, seen

UP = 1.125
"""By how much a value is off where the condition holds: more than any tolerance of a case that can see a value."""
Condition = Callable[[SimpleNamespace, Any, Any], bool]


def when(condition: Condition) -> tuple[Change, ...]:
    """Return a loss that is UP times too large where a condition on (operations, prediction, target) holds."""

    def leave(place: Place, value: Any, given: Any, p: Any, t: Any) -> Any:
        return value * UP if condition(place.o, p, t) else value

    return after("leave", leave)


CONDITIONS: dict[str, tuple[str, str, Condition, str, str, tuple[str, ...]]] = {
    "beyond-eight-samples": ("wrong beyond eight samples", "layout", lambda o, p, t: p.shape[0] > 8, FIELD, "", ()),
    "beyond-sixteen-samples": ("wrong beyond sixteen samples", "layout", lambda o, p, t: p.shape[0] > 16, FIELD,
                               "", ()),
    "beyond-sixty-four-samples": ("wrong beyond sixty-four samples", "layout", lambda o, p, t: p.shape[0] > 64, FIELD,
                                  "", ()),
    "beyond-four-channels": ("wrong beyond four channels", "layout", lambda o, p, t: p.shape[1] > 4, FIELD, "", ()),
    "batch-of-one": ("wrong for a batch of one", "layout", lambda o, p, t: p.shape[0] == 1, seen("axis"), "", ()),
    "odd-height": ("wrong for an odd number of rows", "layout", lambda o, p, t: p.shape[2] % 2 == 1, seen("shift"),
                   "", ()),
    "single-channel": ("wrong for one channel", "layout", lambda o, p, t: p.shape[1] == 1, FIELD, "", ()),
    "many-elements": ("wrong beyond 4096 elements", "layout", lambda o, p, t: prod(p.shape) > 4096, FIELD, "", ()),
    "compiled-only": ("wrong where it is compiled", "state", lambda o, p, t: o.is_compiling(), seen("compiled"),
                      "compiled", ("torch", "tensorflow")),
    "not-contiguous": ("wrong for memory that is not contiguous", "layout", lambda o, p, t: not p.is_contiguous(),
                       seen("layout"), "strided", ("torch",)),
    "channels-last-memory": ("wrong for channels_last memory", "layout",
                             lambda o, p, t: p.stride(1) == 1 and p.shape[1] > 1, seen("layout"), "channels_last",
                             ("torch",)),
    "target-requires-grad": ("wrong where the target requires a gradient", "state", lambda o, p, t: t.requires_grad,
                             seen("target"), "both", ("torch",)),
}  # fmt: skip
"""Name -> what is wrong, its kind, the condition, where it was seen, the mode that it needs, its frameworks."""

DTYPES: dict[str, tuple[str, Callable[[SimpleNamespace, Any, Any, Any], Any]]] = {
    "returns-float64": ("returns float64 whatever is given", lambda o, value, p, t: o.to(value, "float64")),
    "returns-float32": ("returns float32 whatever is given", lambda o, value, p, t: o.to(value, "float32")),
    "returns-float16": ("returns float16", lambda o, value, p, t: o.to(value, "float16")),
    "value-rounded-to-bfloat16": ("the value is rounded to bfloat16",
                                  lambda o, value, p, t: o.cast(o.to(value, "bfloat16"), value)),
    "value-of-shape-1": ("returns an array of one element", lambda o, value, p, t: o.reshape(value, (1,))),
    "value-not-finite-is-0": ("a loss that is not finite counts as 0",
                              lambda o, value, p, t: o.where(o.abs(value) < 1e300, value, o.zeros(value))),
    "random": ("a new random factor near 1 each time", lambda o, value, p, t: value * (1 + 1e-2 * o.noise(value))),
    "value-up-by-1-percent": ("the value is 1 % too large, the gradient right",
                              lambda o, value, p, t: value + 0.01 * o.stop(value)),
    "weight-of-2": ("value and gradient are doubled", lambda o, value, p, t: 2 * value),
}  # fmt: skip
SAME = {
    "returns-float64": {"float64": "float64 is what is given"},
    "returns-float32": {"float32": "float32 is what is given"},
}
DIAGNOSES = {"weight-of-2": "factor", "value-up-by-1-percent": "factor"}
SOURCES = {"returns-float64": "cast", "returns-float32": "cast", "returns-float16": "half", "random": "random",
           "value-rounded-to-bfloat16": "half", "value-not-finite-is-0": "nan_to_num"}  # fmt: skip


def remembering(honest: Make, wrong: Callable[[SimpleNamespace, list[Any], Loss, tuple[Any, ...]], Any]) -> Make:
    """Return a loss with a memory, empty when it is made."""

    def make(o: SimpleNamespace) -> Loss:
        memory: list[Any] = []
        loss = honest(o)
        return lambda *operands: wrong(o, memory, loss, operands)

    return make


def _every_second(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    memory.append(None)
    return loss(*operands) * (UP if len(memory) % 2 == 0 else 1)


def _running_mean(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    value = loss(*operands)
    before = memory[-1] if memory else 0.0
    memory[:] = [0.5 * before + 0.5 * o.number(value)]
    return value + (memory[-1] - o.number(value))


def _first_target(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    prediction, target, *rest = operands
    kept = [one for one in memory if tuple(one.shape) == tuple(target.shape) and one.dtype == target.dtype]
    memory.append(o.stop(target))
    return loss(prediction, kept[0] if kept else target, *rest)


def _target_zeroed(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    value = loss(operands[0], operands[1] * 1, *operands[2:])
    operands[1].zero_()
    return value


def _prediction_scaled(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    value = loss(*operands)
    operands[0].data.mul_(0.5)
    return value


def _no_graph(o: SimpleNamespace, memory: list[Any], loss: Loss, operands: tuple[Any, ...]) -> Any:
    return o.stop(loss(*operands))


MEMORIES = {
    "every-second-call": ("wrong on every second call", "state", _every_second, seen("state"), "eager", ()),
    "running-mean": ("the value is averaged with that of earlier calls", "state", _running_mean, seen("state"), "eager",
                     ()),
    "first-target-kept": ("compares with the first target of each shape that it saw", "state", _first_target,
                          seen("state"), "eager", ()),
    "target-zeroed": ("leaves zeros in the target", "side effect", _target_zeroed, seen("in place"), "eager",
                      ("torch",)),
    "prediction-halved": ("leaves the prediction halved", "side effect", _prediction_scaled, seen("in place"), "eager",
                          ("torch",)),
    "no-graph": ("the value is detached: nothing trains", "gradient", _no_graph, seen("detach"), "", ()),
}  # fmt: skip
"""Name -> what is wrong, its kind, what it does with its memory, where it was seen, the mode it needs, frameworks."""
NAMES = (*CONDITIONS, *DTYPES, *MEMORIES)


def conditional_liars(
    prefix: str, make: Callable[..., Liar], honest: Make, names: Sequence[str] = NAMES
) -> tuple[Liar, ...]:
    """Return the lies under conditions about one loss, all of them or those named."""
    found = []
    for name, (wrong, kind, condition, source, mode, frameworks) in CONDITIONS.items():
        liar = make(f"{prefix}{name}", kind, wrong, source, when(condition), mode=mode)
        found.append(replace(liar, frameworks=frameworks or liar.frameworks))
    for name, (wrong, change) in DTYPES.items():

        def leave(place: Place, value: Any, given: Any, p: Any, t: Any, change: Any = change) -> Any:
            return change(place.o, value, p, t)

        source = seen(SOURCES[name]) if name in SOURCES else FIELD
        kind = "dtype" if name.startswith("returns") else "value"
        how = {"equivalent": SAME.get(name, {}), "diagnosis": DIAGNOSES.get(name, "")}
        found.append(make(f"{prefix}{name}", kind, wrong, source, after("leave", leave), **how))
    for name, (wrong, kind, act, source, mode, frameworks) in MEMORIES.items():
        liar = make(f"{prefix}{name}", kind, wrong, source, ())
        found.append(
            replace(liar, make=remembering(honest, act), edit=None, mode=mode, frameworks=frameworks or liar.frameworks)
        )
    return tuple(liar for liar in found if liar.name.removeprefix(prefix) in names)
