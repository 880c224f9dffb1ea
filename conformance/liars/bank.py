"""The bank: every wrong loss, by name."""

from collections.abc import Sequence

from conformance.liars.amplitude_parts import L2_PARTS, MAE_PARTS, amplitude_loss
from conformance.liars.arrays import MISUSED
from conformance.liars.combined import COMBINED
from conformance.liars.conditions import conditional_liars
from conformance.liars.elements import ELEMENTS, mae
from conformance.liars.fine import FINE
from conformance.liars.gradients import averaged_liar, gradient_liars, upstream_liars
from conformance.liars.liar import Liar
from conformance.liars.normalisation import NORMALISATION, l2
from conformance.liars.options import CHOICES
from conformance.liars.photons import PHOTONS, nll
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss
from conformance.liars.rare import RARE
from conformance.liars.signs import SIGNS

MAE_TURNS = (
    "gradient-zero",
    "gradient-up-by-1e-4",
    "gradient-clipped-at-1",
    "gradient-of-last-sample-0",
    "gradient-rounded-to-float16",
)
NLL_TURNS = (
    "gradient-zero",
    "gradient-reversed",
    "gradient-up-by-1-percent",
    "gradient-clipped-by-value",
    "gradient-lacks-one-pixel",
    "gradient-rounded-to-bfloat16",
    "gradient-transposed",
    "gradient-of-dark-pixels-0",
    "gradient-times-prediction",
)
MAE_CONDITIONS = (
    "beyond-eight-samples",
    "beyond-sixteen-samples",
    "beyond-sixty-four-samples",
    "beyond-four-channels",
    "odd-height",
    "not-contiguous",
    "returns-float64",
    "returns-float32",
    "value-not-finite-is-0",
    "every-second-call",
    "target-zeroed",
    "no-graph",
)
NLL_CONDITIONS = (
    "beyond-eight-samples",
    "beyond-sixteen-samples",
    "beyond-sixty-four-samples",
    "beyond-four-channels",
    "batch-of-one",
    "compiled-only",
    "not-contiguous",
    "returns-float64",
    "returns-float32",
    "random",
    "value-up-by-1-percent",
    "value-not-finite-is-0",
    "weight-of-2",
    "every-second-call",
    "first-target-kept",
    "target-zeroed",
    "no-graph",
)

BANK: tuple[Liar, ...] = (
    *NORMALISATION,
    *ELEMENTS,
    *gradient_liars("", l2),
    *gradient_liars("mae-", mae, MAE_TURNS),
    *gradient_liars("nll-", nll, NLL_TURNS),
    *(averaged_liar(prefix, make) for prefix, make in (("", l2), ("mae-", mae), ("nll-", nll))),
    *upstream_liars("", l2),
    *upstream_liars("mae-", mae),
    *upstream_liars("nll-", nll),
    *conditional_liars("", l2, amplitude_loss(L2_PARTS)),
    *conditional_liars("mae-", mae, amplitude_loss(MAE_PARTS), MAE_CONDITIONS),
    *conditional_liars("nll-", nll, poisson_loss(NLL_PARTS), NLL_CONDITIONS),
    *PHOTONS,
    *CHOICES,
    *FINE,
    *MISUSED,
    *COMBINED,
    *RARE,
    *SIGNS,
)


def bank(framework: str, without: Sequence[str] = ()) -> tuple[Liar, ...]:
    """Return the liars that can be written in a framework, but for the named ones."""
    return tuple(liar for liar in BANK if framework in liar.frameworks and liar.name not in without)
