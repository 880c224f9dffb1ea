"""What the tolerance module allows between two right answers of the reference, in value and in gradient."""

from typing import Any

import numpy as np
from laws import question, require_near, tolerances_of

import oracle
from conformance.case import Array, Question, Scale
from conformance.tolerance.inputs import components_of

BOTH = 2
"""Each of the two may be off by the tolerance."""


def asked_by(loss: Any, p: Array, t: Array, mask: Array | None = None, wrt: str = "prediction") -> Question:
    """Return the question that a call of the reference with its options bound, a `partial`, is."""
    options = dict(getattr(loss, "keywords", {}))
    name = getattr(loss, "func", loss).__name__
    scale, ids = options.pop("intensity_scale", None), options.pop("view_ids", None)
    if scale is not None or name == oracle.poisson_nll.__name__:
        options["scale"] = Scale(1.0 if scale is None else scale)
    return question(name, p, t, mask, ids, wrt=wrt, **options)


def require_same(
    asked: Question, got: Any, value: Array, gradient: Array, dtype: str = "float64", times: Any = 1.0
) -> None:
    """Fail unless an answer is `value` and `gradient` within twice the tolerances of the question, `times` a factor."""
    of = tolerances_of(asked, dtype)
    require_near(np.asarray(got.value), np.asarray(value), BOTH * of.value * np.abs(times), "value")
    require_near(components_of(got.gradient), components_of(gradient), BOTH * of.gradient * np.abs(times), "gradient")
