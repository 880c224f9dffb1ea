"""The conventions near a declared one: settings changed in one place, in two, in three."""

from collections.abc import Iterator
from itertools import combinations, product

from conformance.case import Parameters
from conformance.profile import CALLS, PROFILES, Profile
from conformance.record import PARAMETERS

SEARCHED = {
    "amplitude_l2_mae": ("layout", "reduction", "scope", "gain", "domain"),
    "amplitude_mae": ("layout", "inputs", "reduction", "domain"),
    "poisson_nll": ("order", "layout", "inputs", "reduction", "constant", "normaliser"),
}
"""Settings that a loss may have otherwise than declared. A mask, and numbers such as a floor, are not guessed; the MAEs
are the same in either order."""
UNSEARCHED = ("field", "view", "frozen_mean_intensity")
"""Choices that need complex arrays, ids or a number."""
MOST_CHANGES = 3


def _choices(setting: str) -> tuple[str, ...]:
    return tuple(choice for choice in CALLS.get(setting) or PARAMETERS[setting] if choice not in UNSEARCHED)


def _setting(profile: Profile, name: str) -> str:
    return str(getattr(profile, name) if name in CALLS else getattr(profile.parameters, name))


def changed(base: Profile, settings: dict[str, str]) -> Profile:
    """Return a convention with some settings changed; by its name where it has one."""
    calls = {name: settings.get(name, getattr(base, name)) for name in CALLS}
    default = Parameters()
    options = {name: choice for name, choice in {**base.options, **settings}.items() if name not in CALLS}
    options = {name: choice for name, choice in options.items() if choice != getattr(default, name)}
    for named in PROFILES.values():
        own = {name: choice for name, choice in named.options.items() if choice != getattr(default, name)}
        if own == options and all(getattr(named, name) == choice for name, choice in calls.items()):
            return named
    return Profile(f"{base.name}+", **calls, options=options)


def neighbours(base: Profile, loss: str) -> Iterator[dict[str, str]]:
    """Yield the settings that differ from a convention in one place, then in two, then in three."""
    names = SEARCHED[loss]
    for count in range(1, MOST_CHANGES + 1):
        for some in combinations(names, count):
            others = ([c for c in _choices(name) if c != _setting(base, name)] for name in some)
            for choice in product(*others):
                yield dict(zip(some, choice))


def options_of(profile: Profile) -> dict[str, str]:
    """Return the options of the contract that are searched, as a convention declares them or leaves them."""
    names = dict.fromkeys(name for names in SEARCHED.values() for name in names if name not in CALLS)
    return {name: str(getattr(profile.parameters, name)) for name in names}
