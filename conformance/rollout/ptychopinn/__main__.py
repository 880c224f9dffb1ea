"""`python -m conformance.rollout.ptychopinn --checkout PATH`: try the losses in a user's own PtychoPINN."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from conformance.codepaths.config import MAE_NORMALIZATIONS, LossConfig
from conformance.exit_codes import BackendError, ConformanceError, UsageError
from conformance.rollout.ptychopinn.checkout import PLACES, require_checkout
from conformance.rollout.ptychopinn.trial import Finding, exit_code

DESCRIPTION = """Train one small step of a PtychoPINN checkout without, with and again without the normalised amplitude
loss, and judge the loss that is really used. Nothing in the checkout is changed."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser("python -m conformance.rollout.ptychopinn", description=DESCRIPTION)
    made.add_argument("--checkout", type=Path, required=True, help="root of a clone of PtychoPINN")
    made.add_argument("--framework", choices=(*PLACES, "all"), default="all")
    made.add_argument("--mae-normalization", choices=MAE_NORMALIZATIONS[1:], default="l2_sample")
    return made


def tried(path: Path, framework: str, config: LossConfig) -> list[Finding]:
    """Return the findings of one framework."""
    require_checkout(path, framework)
    if find_spec(framework) is None:
        raise BackendError(f"{framework}: not installed; install it, or choose the other with --framework")
    if framework == "torch":
        from conformance.rollout.ptychopinn.torch_trial import run_torch

        return run_torch(path, config)
    from conformance.rollout.ptychopinn.keras_trial import run_keras

    return run_keras(path, config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial; return an exit code of `conformance.exit_codes`."""
    asked = parser().parse_args(arguments)
    config = LossConfig(mae_normalization=asked.mae_normalization)
    findings: list[Finding] = []
    try:
        if asked.framework != "torch" and config.mae_scope == "view":
            raise UsageError("--mae-normalization l2_view: Keras hands a loss no ids; add --framework torch")
        for framework in PLACES if asked.framework == "all" else (asked.framework,):
            findings += tried(asked.checkout, framework, config)
    except ConformanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    for finding in findings:
        said = f": {finding.said}" if finding.said else ""
        print(f"{'pass' if finding.holds else 'FAIL'}  {finding.name}{said}")
    return int(exit_code(findings))


if __name__ == "__main__":
    sys.exit(main())
