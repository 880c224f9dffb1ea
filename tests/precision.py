"""What float32 keeps of the NLL at 1e9 photons per pixel: the shipped losses beside the formula as it stands.

`python tests/precision.py [BACKEND ...]` prints the table that `nox -s precision` shows.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from formulas import plain_nll
from roundings import SIX_DIGITS

from conformance.backends import BACKENDS, Backend, load_backend
from conformance.backends.answer import Codepath
from conformance.case import Array, Case
from conformance.golden import load
from conformance.liars.operations import operations

GRADIENT_CASES = ("nll-billion", "nll-shot-noise")
DEVIANCE_CASES = ("nll-saturated-billion", "nll-shot-noise-saturated")
WANTED = SIX_DIGITS
"""Relative error that the shipped losses promise in float32 at any count: about 16 units of roundoff."""
LOST = 1e-1
"""Relative error above which a number is called lost, as autodiff of lambda - k log(lambda) loses it."""


@dataclass(frozen=True)
class Row:
    """Largest relative error of the gradient's elements, and of the deviance, in one backend and mode."""

    backend: str
    mode: str
    gradient: float
    deviance: float
    plain_gradient: float


def relative_error(actual: Array, exact: Array) -> float:
    """Return the largest relative error of the elements; exact zeros must be hit."""
    off = np.abs(actual - exact)
    return float(
        np.max(np.where(exact == 0, np.where(off == 0, 0.0, np.inf), off / np.where(exact == 0, 1, np.abs(exact))))
    )


def _worst(backend: Backend, cases: Sequence[Case], mode: str, plain: Codepath | None = None) -> tuple[float, float]:
    values, gradients = [], []
    for case in cases:
        codepath = plain or backend.shipped(case.question)
        answer = backend.answer(codepath, case.question, dtype="float32", mode=mode, device="cpu")
        values.append(relative_error(answer.value, case.truth.value))
        gradients.append(relative_error(answer.gradient, case.truth.gradient))
    return max(values), max(gradients)


def rows(names: Sequence[str], modes: Sequence[str] = ()) -> Iterator[Row]:
    """Yield one row per backend and mode, all modes by default."""
    golden = {case.question.case_id: case for case in load().cases}
    for name in names:
        backend = load_backend(name)
        ops = operations(name)

        def plain(p: object, t: object, s: object, ops: object = ops) -> object:
            return plain_nll(ops, p, t, s)  # type: ignore[arg-type]

        for mode in [mode for mode in backend.modes if not modes or mode in modes]:
            _, gradient = _worst(backend, [golden[name] for name in GRADIENT_CASES + DEVIANCE_CASES], mode)
            deviance, _ = _worst(backend, [golden[name] for name in DEVIANCE_CASES], mode)
            _, lost = _worst(backend, [golden["nll-shot-noise"]], mode, plain)
            yield Row(name, mode, gradient, deviance, lost)


def main() -> int:
    """Print the table; 1 if a shipped loss misses the precision that it promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help=f"of {', '.join(BACKENDS)}; all by default")
    given = parser.parse_args()
    for name in given.backends:
        if name not in BACKENDS:
            parser.error(f"got {name!r}, wanted some of {', '.join(BACKENDS)}")
    print(f"float32, 1e9 photons per pixel: largest relative error (wanted at most {WANTED:g})")
    print(f"{'backend':<12}{'mode':<15}{'gradient':>10}{'deviance':>10}{'autodiff of the formula':>26}")
    missed = False
    for row in rows(given.backends or list(BACKENDS)):
        print(f"{row.backend:<12}{row.mode:<15}{row.gradient:>10.2g}{row.deviance:>10.2g}{row.plain_gradient:>26.2g}")
        missed |= not max(row.gradient, row.deviance) <= WANTED
    print("missed" if missed else "kept")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
