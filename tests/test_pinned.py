"""No tolerance changes without being meant to: each is what `tests/tolerances.json` says."""

import json

import numpy as np
from pinned import FILE, pinned

LAST_BITS = 1e-6
"""What another library's logarithm may move a digest by; printed are eight digits."""


def test_every_tolerance_is_what_it_was() -> None:
    wanted, found = json.loads(FILE.read_text(encoding="utf-8")), pinned()
    assert found.keys() == wanted.keys()
    for name, by_dtype in found.items():
        assert by_dtype.keys() == wanted[name].keys()
        for dtype, digests in by_dtype.items():
            now, then = np.array(digests), np.array(wanted[name][dtype])
            assert np.allclose(now, then, rtol=LAST_BITS, atol=0), (
                f"case {name} {dtype}: tolerances of value, gradient, settled gradient, open and tied signs have "
                f"digests\n{now}\nand had\n{then}\nIf that is meant: `python tests/pinned.py --write`, and say so in "
                f'CHANGELOG.md under "Changes to verdicts"'
            )
