"""`check_loss`: anybody's loss against the golden truth, as a function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from conformance.backends import load_backend
from conformance.case import DTYPES, LOSSES, Case, Parameters
from conformance.exit_codes import ExitCode, UsageError
from conformance.golden import load
from conformance.judge import exit_code, judge_all, modes_of, require_modes
from conformance.verdict import TIES, Verdict


@dataclass(frozen=True)
class Conformance:
    """The verdicts on one loss."""

    verdicts: tuple[Verdict, ...]

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
        if self.conformant:
            return f"conformant: {len(self.verdicts)} verdicts, worst margin {self.worst_margin:.3g}"
        first = self.failures[0]
        return (
            f"{len(self.failures)} of {len(self.verdicts)} verdicts fail, first {first.case_id} "
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


def is_canonical(parameters: Parameters, loss: str) -> bool:
    """True where `f(prediction, target)`, or `f(prediction, target, scale)` for the NLL, is all there is to say."""
    scaled = loss == "amplitude_mae" and parameters.scale is not None and parameters.scale.value != 1.0
    return parameters.canonical and not scaled


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
    cases: Sequence[str] | Sequence[Case] = (),
) -> Conformance:
    """Judge a loss against the golden values and gradients.

    Parameters
    ----------
    callable : f(prediction, target) or, for "poisson_nll", f(prediction, target, scale)
        On tensors of `framework`, layout (B, C, H, W), amplitudes; `scale` is a scalar tensor of the same dtype. It
        returns the mean over all elements, in the dtype of its arguments.
    loss : {"amplitude_l2_mae", "amplitude_mae", "poisson_nll"}
    framework : {"torch", "tensorflow", "jax"}
    dtype : one of, or a sequence of, "float32", "float64"
    mode : "eager", "compiled", "all", or the framework's own: "compile"; "function", "xla"; "jit"
    device : {"cpu", "cuda"}
    ties : {"strict", "subgradient"}
        `strict`: at an exact tie sign(0) = 0. `subgradient`: any subgradient is accepted there.
    cases : shell patterns of case ids, or cases made elsewhere; all golden cases of the loss by default

    Returns
    -------
    Conformance

    Raises
    ------
    UsageError, FixtureError, BackendError
        Unknown names; golden files not as they were; framework or device missing.
    """
    dtypes = (dtype,) if isinstance(dtype, str) else tuple(dtype)
    requested = (mode,) if isinstance(mode, str) else tuple(mode)
    require("loss", (loss,), LOSSES)
    require("dtype", dtypes, DTYPES)
    require("ties", (ties,), TIES)
    patterns = [entry for entry in cases if isinstance(entry, str)]
    given = [entry for entry in cases if isinstance(entry, Case)]
    pool = given if given else load().cases
    fitting = [c for c in pool if c.question.loss == loss and is_canonical(c.question.parameters, loss)]
    chosen = select(fitting, patterns)
    backend = load_backend(framework)
    backend.environment(device)
    require_modes([backend], requested)
    verdicts = judge_all(
        backend,
        lambda _: callable,
        chosen,
        dtypes=dtypes,
        modes=modes_of(backend, requested),
        device=device,
        ties=ties,
    )
    return Conformance(tuple(verdicts))
