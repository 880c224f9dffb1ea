"""A wrong loss with its name, what it gets wrong, where such a bug was seen, and what a diagnosis should say of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any

from conformance.affine import under_profile
from conformance.backends import Backend
from conformance.case import LOSSES, Case, Parameters, Question
from conformance.liars.operations import operations
from conformance.profile import Profile, adapted, declare, is_asked

Loss = Callable[..., Any]
Operations = SimpleNamespace
"""The array operations of one framework: see `conformance.liars.operations`."""
Make = Callable[[Operations], Loss]

KINDS = ("value", "gradient", "convention", "numerical", "state", "layout", "dtype", "side effect")


@lru_cache(maxsize=64)
def _asked(pool: tuple[Case, ...], loss: str, settings: tuple[tuple[str, str], ...]) -> tuple[Case, ...]:
    """Return what a loss of this convention is asked: many wrong losses have one convention."""
    profile = declare("contract", dict(settings))
    return tuple(under_profile([case for case in pool if is_asked(case.question, loss, profile)], profile))


@dataclass(frozen=True, eq=False)
class Liar:
    """One wrong implementation, the same in every framework.

    Parameters
    ----------
    name : str
        Unique in the bank.
    loss : {"amplitude_l2_mae", "amplitude_mae", "poisson_nll"}
        What it pretends to be.
    kind : one of KINDS
        The class of the bug.
    wrong : str
        One sentence: what it does instead.
    seen : str
        Where such a bug was seen.
    make : operations -> f(prediction, target[, scale], mask=, view_ids=), optional
        A fresh callable, with a state of its own where it has one. It is asked what its convention answers.
    swap : Parameters -> Parameters or None, optional
        The options that are computed where others are declared; None where a case is not its business. Such a liar is a
        shipped codepath, with the options swapped and `wrap` around it, and is asked every case of its loss.
    wrap : (operations, codepath) -> codepath, optional
    settings : mapping
        The convention that it pretends to have, where that is not the contract's own.
    mode : str
        The mode that it lies in; empty: in every mode.
    frameworks : tuple of str
        Where it can be written.
    diagnosis : str
        What the judge should say: `liar NAME`, `convention NAME=CHOICE`, `factor` or `unknown`. Written beside the liar
        before the diagnosis was tuned; by default itself.
    kin : tuple of str
        Liars of the bank that make the same mistake at another size or place: naming one of them is right too.
    equivalent : mapping
        dtype -> why it is no liar there. `nox -s liars` proves it: not one answer is rejected.
    edit : changes of the parts of an honest loss, optional
        How it is made, for composing two.
    """

    name: str
    loss: str
    kind: str
    wrong: str
    seen: str
    make: Make | None = None
    swap: Callable[[Parameters], Parameters | None] | None = None
    wrap: Callable[[Operations, Loss], Loss] = lambda o, codepath: codepath
    settings: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    frameworks: tuple[str, ...] = ("torch", "tensorflow", "jax")
    diagnosis: str = ""
    kin: tuple[str, ...] = ()
    equivalent: Mapping[str, str] = field(default_factory=dict)
    edit: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        if self.loss not in LOSSES or self.kind not in KINDS or (self.make is None) == (self.swap is None):
            raise ValueError(f"liar {self.name}: loss {self.loss!r}, kind {self.kind!r}, or not one of make and swap")

    @cached_property
    def profile(self) -> Profile:
        """The convention that it is judged under."""
        return declare("contract", self.settings)

    @property
    def expected(self) -> str:
        """What a diagnosis should say of it."""
        return self.diagnosis or f"liar {self.name}"

    def asked(self, pool: Iterable[Case]) -> list[Case]:
        """Return what it is asked, of a pool of golden cases."""
        if self.swap is None:
            return [*_asked(tuple(pool), self.loss, tuple(self.settings.items()))]
        return [
            case for case in pool if case.question.loss == self.loss and self.swap(case.question.parameters) is not None
        ]

    def codepaths(self, backend: Backend) -> Callable[[Question], Loss]:
        """Return what answers each question: one fresh callable, or a shipped codepath for other options."""
        o = operations(backend.name)
        if self.make is not None:
            made = adapted(self.make(o), self.profile, backend.transpose)
            return lambda question: made
        kept: dict[Parameters, Loss] = {}

        def swapped(question: Question) -> Loss:
            options = self.swap(question.parameters) if self.swap else None
            options = options or question.parameters
            if options not in kept:
                kept[options] = self.wrap(o, backend.shipped(replace(question, parameters=options)))
            return kept[options]

        return swapped
