"""The strategies: every row another way of writing every step."""

from types import SimpleNamespace
from typing import Any

from right_codepaths import amplitudes, counts, differences, groups, norms, orders, photons, reductions, spaces
from right_codepaths.differences import by_reciprocal, each_normalised, matched_to_target
from right_codepaths.strategy import Step, Strategy


def _axes(order: spaces.Order, *, unseen_groups: spaces.Groups = groups.by_matrix, **how: Any) -> Step:
    """Four axes; `groups` is how views are summed where ids are at hand, `unseen_groups` where they are not."""
    at_hand = how.pop("groups", unseen_groups)

    def make(o: SimpleNamespace, valid: Any, ids: Any, scope: str, *, traced: bool) -> spaces.Axes:
        chosen = unseen_groups if traced else at_hand
        return spaces.Axes(o, valid, ids, scope, order=order, groups=chosen, **how)

    return make


def _wide_axes(o: SimpleNamespace, valid: Any, ids: Any, scope: str, *, traced: bool) -> spaces.Axes:
    """float64 sums by the library; JAX holds no float64 while float32 is judged, and sums in two parts."""
    order = orders.in_two_parts if o.name == "jax" else orders.at_once
    return spaces.Axes(o, valid, ids, scope, order=order)


BARE_ROOT = (
    "t / sqrt(x) becomes t * rsqrt(x), and p / sqrt(x), whose root is differentiated, does not: p = t is no tie then"
)

STRATEGIES = (
    Strategy(
        name="plain",
        written="as the contract writes it; log of the rate",
        space=_axes(orders.at_once),
        l2=each_normalised(norms.root_of_sum, differences.signed),
        difference=differences.signed,
        nll=photons.log_of_rate,
    ),
    Strategy(
        name="axis-by-axis",
        written="axis by axis, masks as factors, norm from the root mean square, larger less smaller; 2 k log|s p|",
        space=_axes(orders.axis_by_axis, clean=spaces.multiplied, unseen_groups=groups.by_segments),
        l2=each_normalised(norms.root_of_mean, differences.larger_less_smaller),
        difference=differences.larger_less_smaller,
        nll=photons.twice_log_of_amplitude,
        data=counts.gathered,
        guarded=counts.guarded(counts.clamp_by_choice, True),
        scale=counts.one_quotient,
        reduce=reductions.mean_of_means,
        field=amplitudes.library_modulus,
    ),
    Strategy(
        name="channels-last",
        written="channels last inside, reciprocal of the norm, two half differences; s^2 in the squares, log2",
        space=_axes(orders.first_axis_first, last=True, unseen_groups=groups.by_asking_each),
        l2=each_normalised(norms.root_of_sum, differences.two_halves, by_reciprocal),
        difference=differences.two_halves,
        nll=photons.binary_log,
        guarded=counts.guarded(counts.clamp_by_excess, True),
        scale=counts.per_pattern,
        reduce=reductions.divide_then_sum,
        field=amplitudes.scaled_modulus,
        normalise_early=True,
    ),
    Strategy(
        name="one-row",
        written="valid elements alone in one row, sums by segments, max before the root; log s and log p apart",
        space=spaces.Row,
        l2=each_normalised(norms.root_of_bounded_sum, differences.signs_apart),
        difference=differences.signs_apart,
        nll=photons.logs_apart,
        data=counts.gathered,
        guarded=counts.guarded(counts.clamp_by_choice, False),
        reduce=reductions.weighted,
        scale_late=True,
        traced="masked elements stay, in a segment that nobody reads: the number of valid ones is no shape",
        loose_ties=BARE_ROOT,
    ),
    Strategy(
        name="sample-by-sample",
        written="loops over samples and over distinct ids, max(d, -d) with 0 declared; x log y, slopes by hand",
        space=_axes(orders.sample_by_sample, groups=groups.by_unique_ids, unseen_groups=groups.by_asking_each),
        l2=each_normalised(norms.root_of_sum, differences.larger_of_both_signs),
        difference=differences.larger_of_both_signs,
        nll=photons.closed_form,
        reduce=reductions.weighted,
        field=amplitudes.library_modulus,
        normalise_early=True,
        traced="each sample asks the others for their ids: the ids are no Python numbers there",
    ),
    Strategy(
        name="in-float64",
        written="float64 throughout, in JAX sums in two parts; deviance by log1p",
        space=_wide_axes,
        l2=each_normalised(norms.root_of_sum, differences.library),
        difference=differences.library,
        nll=photons.deviance_by_log1p,
        data=counts.gathered,
        scale=counts.one_quotient,
        wide=True,
    ),
    Strategy(
        name="matched-to-target",
        written="prediction brought to the target's norm, sums backwards; deviance in amplitude form, slope by hand",
        space=_axes(orders.backwards, unseen_groups=groups.by_segments),
        l2=matched_to_target(norms.root_of_sum, differences.signed),
        difference=differences.library,
        nll=photons.deviance_by_hand,
        guarded=counts.guarded(counts.clamp_by_choice, True),
        scale=counts.per_pattern,
        reduce=reductions.divide_then_sum,
        scale_late=True,
    ),
    Strategy(
        name="by-largest",
        written="divided by the largest element before squaring, sums by halves; k (r^2 - 2 log r - log k), r = p / t",
        space=_axes(orders.by_halves, clean=spaces.multiplied),
        l2=each_normalised(norms.by_largest, differences.larger_less_smaller),
        difference=differences.two_halves,
        nll=photons.ratio,
        guarded=counts.guarded(counts.clamp_by_larger, True),
        reduce=reductions.mean_of_means,
        field=amplitudes.scaled_modulus,
    ),
    Strategy(
        name="by-power-of-two",
        written="brought into range by a power of two before squaring, sums in chunks; slopes by hand",
        space=_axes(orders.in_chunks, last=True, clean=spaces.multiplied),
        l2=each_normalised(norms.by_power_of_two, differences.larger_of_both_signs, by_reciprocal),
        difference=differences.larger_less_smaller,
        nll=photons.closed_form,
        data=counts.gathered,
        guarded=counts.guarded(counts.clamp_by_excess, False),
        scale=counts.one_quotient,
        reduce=reductions.mean_of_means,
        scale_late=True,
    ),
    Strategy(
        name="slope-by-hand",
        written="the differential of the norm by hand, sums by halves, the sign times each; deviance, slope by hand",
        space=_axes(orders.by_halves, unseen_groups=groups.by_asking_each),
        l2=each_normalised(norms.slope_by_hand, differences.signs_apart, by_reciprocal),
        difference=differences.larger_of_both_signs,
        nll=photons.deviance_by_hand,
        data=counts.gathered,
        guarded=counts.guarded(counts.clamp_by_choice, False),
        reduce=reductions.divide_then_sum,
    ),
    Strategy(
        name="inverse-root",
        written="times the library's reciprocal root, sums in chunks, the library's modulus; log2, s^2 in the squares",
        space=_axes(orders.in_chunks, unseen_groups=groups.by_segments),
        l2=each_normalised(norms.inverse_root, differences.library),
        difference=differences.signs_apart,
        nll=photons.binary_log,
        scale=counts.per_pattern,
        reduce=reductions.weighted,
        field=amplitudes.library_modulus,
        normalise_early=True,
    ),
    Strategy(
        name="in-two-parts",
        written="leading digits summed by themselves, then the rest, two half differences; deviance by log1p",
        space=_axes(orders.in_two_parts, last=True),
        l2=each_normalised(norms.root_of_bounded_sum, differences.two_halves),
        difference=differences.signed,
        nll=photons.deviance_by_log1p,
        guarded=counts.guarded(counts.clamp_by_larger, True),
        reduce=reductions.mean_of_means,
        field=amplitudes.scaled_modulus,
        loose_ties=BARE_ROOT,
    ),
)
