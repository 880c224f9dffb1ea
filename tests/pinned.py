"""The tolerances of every case as they are now, in `tests/tolerances.json`: `python tests/pinned.py --write`.

A tolerance that changes, changes verdicts: it has to be meant, and stand in the CHANGELOG.
"""

import json
import sys
from pathlib import Path

import numpy as np

from conformance.case import ALL_DTYPES
from conformance.golden import load
from conformance.verdict import tolerances

FILE = Path(__file__).parent / "tolerances.json"


def _digest(array: np.ndarray) -> list[float]:
    """Sum, sum weighted by place, and largest: no change of an element leaves all three alone."""
    flat = array.ravel()
    place = 1 + np.arange(flat.size) / flat.size
    return [float(f"{number:.7e}") for number in (flat.sum(), (flat * place).sum(), flat.max())]


def pinned() -> dict[str, dict[str, list[list[float]]]]:
    """Return the digests of the tolerances of value and gradient, and of the settled gradient, by case and dtype."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for case in load().cases:
        for dtype in ALL_DTYPES:
            if case.question.holds(dtype):
                derived, value, gradient = tolerances(case, dtype)
                settled = np.nan_to_num(derived.settled_gradient, posinf=0.0)
                flags = np.stack([derived.unsettled, derived.tied]).astype(float)
                digests = [_digest(array) for array in (value, gradient, settled, flags)]
                found.setdefault(case.question.case_id, {})[dtype] = digests
    return found


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(__doc__)
    lines = [f'"{name}": {json.dumps(digests)}' for name, digests in pinned().items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
