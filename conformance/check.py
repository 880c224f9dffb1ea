"""`check_loss`: anybody's loss against the golden truth, as a function."""

import builtins
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from conformance.affine import under_profile
from conformance.backends import BACKENDS, DEVICES, load_backend
from conformance.case import ALL_DTYPES, DTYPES, LOSSES, Case, dtypes_of
from conformance.diagnosis import CodepathOf, Diagnosis, diagnose_first
from conformance.exit_codes import ExitCode, UsageError
from conformance.golden import load
from conformance.judge import examine_all, exit_code, modes_of, require_modes
from conformance.profile import Profile, adapted, declare, is_asked, require_options
from conformance.supplement import supplement
from conformance.verdict import TIES, Verdict


@dataclass(frozen=True)
class Conformance:
    """The verdicts on one loss."""

    verdicts: tuple[Verdict, ...]
    why: Callable[[], Diagnosis | None] = field(default=lambda: None, repr=False, compare=False)
    """Asks again, and finds out what a failing loss most resembles."""

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """What the loss most resembles, with the evidence; None for one that is conformant.

        The loss is called again, hundreds of times: it takes seconds.
        """
        return self.why()

    @property
    def exit_code(self) -> ExitCode:
        """What the command line would return."""
        return exit_code(self.verdicts)

    @property
    def conformant(self) -> bool:
        """True only if at least one case was judged and every judged case passed."""
        return self.exit_code == ExitCode.CONFORMANT

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts that are not green."""
        return tuple(verdict for verdict in self.verdicts if verdict.status in ("fail", "error"))

    @property
    def summary(self) -> str:
        """One line for an assertion: how many cases fail, and the first of them in full."""
        if self.exit_code == ExitCode.NOTHING_CHECKED:
            return "nothing was checked"
        judged = sum(verdict.status != "skip" for verdict in self.verdicts)
        skipped = f", {len(self.verdicts) - judged} skipped" if judged < len(self.verdicts) else ""
        if self.conformant:
            return f"conformant: {judged} verdicts{skipped}, worst margin {self.worst_margin:.3g}"
        first = self.failures[0]
        return (
            f"{len(self.failures)} of {judged} verdicts fail{skipped}, first {first.case_id} "
            f"({first.backend} {first.dtype} {first.mode}): {first.message} [case: {first.why}]"
        )

    @property
    def worst_margin(self) -> float:
        """The largest error over tolerance of value and gradient; inf where a case gave no numbers."""
        worst = [
            max(verdict.value_margin, verdict.gradient_margin) if verdict.status != "error" else float("inf")
            for verdict in self.verdicts
            if verdict.status != "skip"
        ]
        return max(worst, default=float("inf"))


def require(name: str, got: Sequence[str], choices: Sequence[str]) -> None:
    """Raise UsageError unless `got` names something, and only names of `choices`."""
    if not got:
        raise UsageError(f"{name}: got none, wanted some of {', '.join(choices)}")
    for value in got:
        if value not in choices:
            raise UsageError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")


def _names(name: str, given: Any) -> tuple[str, ...]:
    """Return one name, or several, as a tuple; raise UsageError for what is neither."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise UsageError(f"{name}: got {given!r}, wanted a name, or a sequence of names")
    names = tuple(given)
    if not names:
        raise UsageError(f"{name}: got none, wanted at least one name")
    return names


def _patterns_and_cases(given: Any) -> tuple[list[str], list[Case]]:
    """Return which of the entries are shell patterns, and which are cases themselves."""
    entries = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for entry in entries:
        if not isinstance(entry, str | Case):
            raise UsageError(f"cases: got {entry!r}, wanted shell patterns of case ids, or cases made elsewhere")
    return [e for e in entries if isinstance(e, str)], [e for e in entries if isinstance(e, Case)]


def select(cases: Sequence[Case], patterns: Sequence[str]) -> tuple[Case, ...]:
    """Return the cases whose id matches one of the shell patterns; all of them without a pattern.

    Raises
    ------
    UsageError
        Some patterns match a case, and this one does not. When none matches there is nothing to check.
    """
    if not patterns:
        return tuple(cases)
    ids = [case.question.case_id for case in cases]
    idle = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in ids)]
    if idle and len(idle) < len(patterns):
        raise UsageError(f"case: {idle[0]!r} matches none of the {len(ids)} cases")
    return tuple(case for case in cases if any(fnmatchcase(case.question.case_id, pattern) for pattern in patterns))


def check_loss(
    callable: Callable[..., Any],
    *,
    loss: str,
    framework: str = "torch",
    dtype: str | Sequence[str] = DTYPES,
    mode: str | Sequence[str] = "eager",
    device: str = "cpu",
    ties: str = "strict",
    cases: str | Sequence[str] | Sequence[Case] = (),
    profile: str | Profile = "contract",
) -> Conformance:
    """Judge a loss against the golden values and gradients.

    Parameters
    ----------
    callable : f(prediction, target) or, for "poisson_nll", f(prediction, target, scale)
        On tensors of `framework`, layout (B, C, H, W), amplitudes; `scale` is a scalar tensor of the same dtype. It
        returns the mean over all elements, in the dtype of its arguments (float32 for half-precision ones).
    loss : {"amplitude_l2_mae", "amplitude_mae", "poisson_nll"}
    framework : {"torch", "tensorflow", "jax"}
    dtype : one of, or a sequence of, "float32", "float64", "bfloat16", "float16", "all"
    mode : "eager", "compiled", "all", or the framework's own, one or a sequence
        jax: "jit", "grad_of_jit", "vmap"; torch: "compile", "func", "vmap", "channels_last", "strided", "both";
        tensorflow: "function", "xla", "persistent".
    device : {"cpu", "cuda"}
    ties : {"strict", "subgradient"}
        `strict`: at an exact tie sign(0) = 0. `subgradient`: any subgradient is accepted there.
    cases : a shell pattern of case ids, several, or cases made elsewhere; all golden cases of the loss by default
    profile : name of a declared convention, or one made with `conformance.profile.declare`
        Argument order, layout, who applies the scale, and which options of the contract the callable computes. The
        truth is mapped to it exactly where such a map is; otherwise, and under masks, it is computed in float64 beside
        the golden cases that there are.

    Returns
    -------
    Conformance

    Raises
    ------
    UsageError, FixtureError, BackendError
        Unknown names, arguments of another kind; golden files not as they were; framework or device missing.
    """
    dtypes, requested = dtypes_of(_names("dtype", dtype)), _names("mode", mode)
    require("loss", (loss,), LOSSES)
    require("framework", (framework,), tuple(BACKENDS))
    require("dtype", dtypes, ALL_DTYPES)
    require("device", (device,), DEVICES)
    require("ties", (ties,), TIES)
    if isinstance(callable, type):
        raise UsageError(f"callable: got the class {callable.__name__}, wanted a function or an instance of it")
    if not builtins.callable(callable):
        raise UsageError(f"callable: got {callable!r}, wanted a function f(prediction, target)")
    if not isinstance(profile, str | Profile):
        raise UsageError(f"profile: got {profile!r}, wanted the name of a convention or a Profile")
    convention = declare(profile, {}) if isinstance(profile, str) else profile
    require_options(loss, convention)
    patterns, given = _patterns_and_cases(cases)
    held = tuple(given if given else load().cases)
    backend = load_backend(framework)
    backend.environment(device)
    require_modes([backend], requested)
    pool = [case for case in held if is_asked(case.question, loss, convention)]
    asked = under_profile(pool, convention)
    chosen = select([*asked, *([] if given else supplement(pool, loss, convention, backend))], patterns)
    codepath = adapted(callable, convention, backend.transpose)
    examinations = tuple(
        examine_all(
            backend,
            lambda _: codepath,
            chosen,
            dtypes=dtypes,
            modes=modes_of(backend, requested),
            device=device,
            ties=ties,
        )
    )

    def codepath_under(other: Profile) -> CodepathOf:
        called = codepath if other == convention else adapted(callable, other, backend.transpose)
        return lambda _: called

    def why() -> Diagnosis | None:
        return diagnose_first(
            examinations, backend, loss, convention, codepath_under, device=device, ties=ties, pool=load().cases
        )

    return Conformance(tuple(one.verdict for one in examinations), why)
