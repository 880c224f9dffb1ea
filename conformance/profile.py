"""Declared conventions: how a codepath is called, and which options of the contract it computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, nan
from typing import Any

from conformance.case import Parameters, Question
from conformance.exit_codes import UsageError
from conformance.record import PARAMETERS

ORDERS = ("prediction_first", "target_first")
LAYOUTS = ("channels_first", "channels_last")
INPUTS = ("amplitude", "scaled_amplitude", "scaled_intensity")
MASKS = ("none", "keyword")
CALLS = {"order": ORDERS, "layout": LAYOUTS, "inputs": INPUTS, "mask": MASKS}
DECLARABLE = ("reduction", "domain", "scope", "gain", "constant", "rate_guard", "normaliser", "wrt")
"""Options of the contract that a profile may declare; numbers keep their defaults or come with a case, but for
`rate_floor`, which goes with a guard."""
NO_OPTION = {
    "amplitude_l2_mae": ("constant", "rate_guard", "normaliser"),
    "amplitude_mae": ("scope", "gain", "constant", "rate_guard", "normaliser"),
    "poisson_nll": ("domain", "scope", "gain", "wrt"),
}
"""Options that a loss does not have: declared, they would have a truth of nobody's."""
TO_LAST = (0, 2, 3, 1)
TO_FIRST = (0, 3, 1, 2)


@dataclass(frozen=True)
class Profile:
    """One convention.

    Parameters
    ----------
    order : {"prediction_first", "target_first"}
        `f(prediction, target)` as in Torch, or `f(target, prediction)` as in Keras.
    layout : {"channels_first", "channels_last"}
        (B, C, H, W) or (B, H, W, C).
    inputs : {"amplitude", "scaled_amplitude", "scaled_intensity"}
        `amplitude`: the codepath applies the scale, its third argument where the loss has one. `scaled_amplitude`: the
        caller does, the codepath sees s p and s t. `scaled_intensity`: it sees (s p)^2 and (s t)^2.
    mask : {"none", "keyword"}
        Whether the codepath takes a detector mask, as the keyword `mask`.
    options : mapping
        Options of the contract, by the names of the reference's keywords; those left out are at their defaults.
    rate_floor : float, optional
        What the rate is guarded with; it goes with the option `rate_guard`.
    """

    name: str = "contract"
    order: str = "prediction_first"
    layout: str = "channels_first"
    inputs: str = "amplitude"
    mask: str = "none"
    options: Mapping[str, str] = field(default_factory=dict)
    rate_floor: float | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a choice that there is not."""
        choices = {**CALLS, **{f"options {key}": PARAMETERS.get(key, ()) for key in self.options}}
        given = {**{key: getattr(self, key) for key in CALLS}, **{f"options {k}": v for k, v in self.options.items()}}
        for name, value in given.items():
            if not choices[name]:
                known = ", ".join(DECLARABLE)
                raise UsageError(f"profile {name}: no option of the contract that a convention declares, only {known}")
            if value not in choices[name]:
                raise UsageError(f"profile {name}: got {value!r}, wanted one of {', '.join(choices[name])}")
        if self.rate_floor is not None and not 0 < self.rate_floor < inf:
            raise UsageError(f"profile rate_floor: got {self.rate_floor!r}, wanted a finite number above 0")

    @cached_property
    def parameters(self) -> Parameters:
        """The declared options among the defaults."""
        options: dict[str, Any] = dict(self.options)
        return Parameters(**options, rate_floor=self.rate_floor)

    def described(self) -> str:
        """Return what differs from the contract's own convention, in one line."""
        calls = [f"{name}={getattr(self, name)}" for name in CALLS if getattr(self, name) != CALLS[name][0]]
        floor = [] if self.rate_floor is None else [f"rate_floor={self.rate_floor:g}"]
        said = ", ".join([*calls, *(f"{name}={value}" for name, value in self.options.items()), *floor])
        return f"{self.name} ({said})" if said else self.name


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(),
        Profile("keras", "target_first", "channels_last"),
        Profile("keras-scaled-intensity", "target_first", "channels_last", "scaled_intensity"),
        Profile("keras-scaled-amplitude", "target_first", "channels_last", "scaled_amplitude"),
        Profile("torch-scaled-amplitude", inputs="scaled_amplitude"),
        Profile("torch-sample-sum", options={"reduction": "sample_sum"}),
        Profile("torch-sample-sum-lgamma", options={"reduction": "sample_sum", "constant": "lgamma"}),
        Profile(
            "torch-scaled-sample-sum-lgamma",
            inputs="scaled_amplitude",
            options={"reduction": "sample_sum", "constant": "lgamma"},
        ),
    )
}
"""Conventions in the field; any other is declared with `--set`."""


def _floor(text: str) -> float:
    try:
        floor = float(text)
    except ValueError:
        floor = nan
    if not 0 < floor < inf:
        raise UsageError(f"--set rate_floor: got {text!r}, wanted a finite number above 0")
    return floor


def declare(name: str, settings: Mapping[str, str]) -> Profile:
    """Return the profile `name` with `settings` changed: order, layout, inputs, or an option of the contract.

    Raises
    ------
    UsageError
        An unknown profile, setting or choice; a guard without a floor above 0, or a floor without a guard.
    """
    if name not in PROFILES:
        raise UsageError(f"profile: got {name!r}, wanted one of {', '.join(PROFILES)}")
    base = PROFILES[name]
    calls = {key: getattr(base, key) for key in CALLS}
    options, floor = dict(base.options), base.rate_floor
    for key, value in settings.items():
        if key == "rate_floor":
            floor = _floor(value)
            continue
        choices = CALLS.get(key) or (PARAMETERS[key] if key in DECLARABLE else ())
        if not choices:
            raise UsageError(f"--set {key}: unknown, wanted one of {', '.join((*CALLS, *DECLARABLE, 'rate_floor'))}")
        if value not in choices:
            raise UsageError(f"--set {key}: got {value!r}, wanted one of {', '.join(choices)}")
        (calls if key in CALLS else options)[key] = value
    if (options.get("rate_guard", "none") != "none") != (floor is not None):
        raise UsageError(
            "--set rate_guard: goes with --set rate_floor=NUMBER, what the rate is clamped to or what is added to it; "
            f"got rate_guard={options.get('rate_guard', 'none')}, rate_floor={floor}"
        )
    return Profile(base.name if not settings else f"{base.name}+", **calls, options=options, rate_floor=floor)


def require_options(loss: str, profile: Profile) -> None:
    """Raise UsageError where a convention declares an option that the loss does not have."""
    default = Parameters()
    for name in NO_OPTION[loss]:
        choice = getattr(profile.parameters, name)
        if choice != getattr(default, name):
            own = ", ".join(option for option in DECLARABLE if option not in NO_OPTION[loss])
            raise UsageError(f"--set {name}={choice}: {loss} has no such option, only {own}")
    if profile.parameters.normaliser == "frozen_mean_intensity":
        raise UsageError(
            "--set normaliser=frozen_mean_intensity: divides by a constant of each experiment, which no convention "
            "names; judge the loss undivided, normaliser=none"
        )
    if loss == "poisson_nll" and profile.parameters.reduction == "sample":
        raise UsageError("--set reduction=sample: poisson_nll has no such reduction; sample_sum is its own")


def is_asked(question: Question, loss: str, profile: Profile) -> bool:
    """Return whether `f(prediction, target)`, with a scale for the NLL, can answer: no option but the profile's.

    The legacy MAE is given a scale only where the caller applies it.
    """
    scale = question.parameters.scale
    scaled = loss == "amplitude_mae" and scale is not None and scale.value != 1.0
    return question.loss == loss and not (scaled and profile.inputs == "amplitude")


def adapted(codepath: Callable[..., Any], profile: Profile, transpose: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return the codepath behind the contract's own call: (B, C, H, W) amplitudes, prediction first, scale third."""
    if (profile.order, profile.layout, profile.inputs) == (ORDERS[0], LAYOUTS[0], INPUTS[0]):
        return codepath
    last = profile.layout == "channels_last"

    def canonical(prediction: Any, target: Any, *scale: Any, **arrays: Any) -> Any:
        pair = [prediction, target]
        if profile.inputs != "amplitude":
            pair = [scale[0] * array if scale else array for array in pair]
            scale = ()
        if profile.inputs == "scaled_intensity":
            pair = [array * array for array in pair]
        if last:
            pair = [transpose(array, TO_LAST) for array in pair]
            arrays = {k: transpose(array, TO_LAST) if k == "mask" else array for k, array in arrays.items()}
        if profile.order == "target_first":
            pair.reverse()
        value = codepath(*pair, *scale, **arrays)
        return transpose(value, TO_FIRST) if last and len(getattr(value, "shape", ())) == 4 else value

    return canonical


def taking(codepath: Callable[..., Any], profile: Profile, transpose: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return a codepath of the contract's own call as one that is called in a profile's order and layout."""
    last = profile.layout == "channels_last"

    def called(first: Any, second: Any, *scale: Any, **arrays: Any) -> Any:
        pair = [second, first] if profile.order == "target_first" else [first, second]
        if last:
            pair = [transpose(array, TO_FIRST) for array in pair]
            arrays = {k: transpose(array, TO_FIRST) if k == "mask" else array for k, array in arrays.items()}
        value = codepath(*pair, *scale, **arrays)
        return transpose(value, TO_LAST) if last and len(getattr(value, "shape", ())) == 4 else value

    return called
