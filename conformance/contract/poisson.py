"""The contract of `poisson_nll`, sentence by sentence, in the order of its docstring."""

from conformance.contract.clause import Clause
from conformance.contract.groups import (
    FORM,
    HALF_NLL,
    KEPT,
    MASKED_NLL,
    NOT_FINITE_NLL,
    NOTHING_NLL,
    SCALE_IS_CONSTANT,
    WRONG_ARRAYS,
    WRONG_MASKS,
    WRONG_NUMBERS,
    WRONG_OPTIONS,
    WRONG_SCALES,
)
from conformance.contract.groups_poisson import (
    ACCURATE,
    BOTH_SIDES,
    EDGES,
    FORMULA,
    GIVEN_NUMBERS,
    GUARDED_EDGES,
    LAWS,
    NORMALISED,
    OF_TARGET,
)

NO_SUM = "nll-per-element nll-lgamma-per-element nll-*-per-element nll-saturated-span nll-span nll-stirling-near-one"

NLL = (
    Clause(
        "Poisson negative log-likelihood of target counts under predicted rates, never L2-normalised.",
        "nll-typical nll-samples-apart nll-channels-apart nll-nine-channels",
        "test_laws_flag.py::test_the_nll_has_the_same_bits_with_the_flag_of_the_amplitude_loss_on_or_off",
    ),
    Clause(
        "lambda = (s p)^2 k = (s t)^2 loss = reduce(lambda - k log(lambda) [+ constant(k)]) [/ normaliser]",
        "nll-typical nll-quarter-off nll-equal nll-bit-exact nll-rare nll-vanishing nll-vacuum nll-single nll-thousand "
        "nll-million nll-billion nll-large nll-*-samples nll-shot-noise nll-all-bits nll-*close nll-dense nll-wide",
        FORMULA,
    ),
    Clause(
        "prediction, target : array (B, C, H, W), both float64, float32, bfloat16 or float16",
        "nll-channels-apart nll-nine-channels nll-one-sample nll-last-batch nll-*-samples nll-large",
        f"{WRONG_ARRAYS} {HALF_NLL}",
    ),
    Clause("Diffraction amplitudes p and t.", "nll-typical nll-quarter-off"),
    Clause(
        "lambda and k are photons per pixel; counts need not be integers.",
        "nll-non-integer nll-rare nll-lgamma-non-integer nll-stirling-near-one",
        f"{LAWS}test_photons_times_c_multiply_deviance_and_gradient",
    ),
    Clause("Half types are cast up to float32 once, before anything else.", tests=HALF_NLL),
    Clause(
        "The formulas hold for signed amplitudes too.",
        "nll-signed nll-dense",
        f"{BOTH_SIDES} {LAWS}test_signs_of_amplitudes_do_not_matter",
    ),
    Clause(
        "intensity_scale : float or real scalar array",
        "nll-typical nll-scale-24-bits nll-billion nll-faint-amplitudes",
        WRONG_SCALES,
    ),
    Clause(
        "s, given, or derived with `oracle.intensity_scale`.",
        "nll-scale-24-bits nll-scale-dataset nll-scale-closed-form nll-mask-scale-dataset nll-frozen-sum",
        f"{LAWS}test_amplitudes_times_c_with_a_derived_scale_have_the_same_loss",
    ),
    Clause(
        "A constant of the data set, never differentiated; held in the computing dtype, float32 for half types.",
        "nll-scale-24-bits",
        f"{SCALE_IS_CONSTANT} test_torch_poisson.py::test_nll_is_the_formula {HALF_NLL}",
    ),
    Clause(
        "mask : array of bool, integers or real floats, rank 4, each axis that of `target` or 1, optional",
        "nll-mask nll-mask-beam-stop nll-mask-batch-mean",
        f"{WRONG_MASKS} {MASKED_NLL}",
    ),
    Clause("Nonzero: valid.", "nll-mask", MASKED_NLL),
    Clause(
        "Masked elements add nothing to value, gradient (exactly 0), numbers of elements or normaliser, and may hold "
        "NaN or inf in both arrays.",
        "nll-mask*",
        f"{MASKED_NLL} {LAWS}test_what_masked_elements_hold_does_not_matter",
    ),
    Clause("Where nothing is valid, loss and gradient are 0.", "nll-mask-all nll-mask-sample-sum", NOTHING_NLL),
    Clause(
        'constant : {"none", "lgamma", "stirling", "saturated"}',
        "nll-typical nll-lgamma nll-stirling nll-saturated-million",
        WRONG_OPTIONS,
    ),
    Clause(
        "Data-only term.",
        "nll-lgamma nll-stirling-sum nll-saturated-apart",
        f"{LAWS}test_constants_add_data_only_terms",
    ),
    Clause("`none`: dropped.", "nll-typical nll-sum", FORMULA),
    Clause(
        "`lgamma`: log Gamma(k + 1).",
        "nll-lgamma nll-lgamma-* nll-*lgamma* nll-clamp-per-element nll-infinite-per-element "
        "nll-batch-mean-per-element nll-mask-beam-stop",
        f"{FORMULA} test_reference_poisson.py::test_lgamma_at_high_counts_does_not_cancel "
        "test_torch_poisson.py::test_float32_values_do_not_cancel_with_a_constant",
    ),
    Clause(
        "`stirling`: k log k - k + log(2 pi k) / 2 where k > 1, else 0.",
        "nll-stirling* nll-mask-sum",
        FORMULA,
    ),
    Clause(
        "`saturated`: k log k - k, which makes the loss the deviance D >= 0, 0 where p = t.",
        "nll-saturated-milli nll-saturated-million nll-saturated-billion nll-saturated-apart nll-saturated-span "
        "nll-saturated-equal nll-saturated-zero-counts nll-shot-noise-saturated nll-mask-per-element nll-frozen-sum",
        f"{FORMULA} {BOTH_SIDES} {LAWS}test_the_deviance_is_0_where_the_amplitudes_are_equal_and_above_0_elsewhere",
    ),
    Clause(
        "They are different constants, not approximations of one another.",
        "nll-lgamma nll-stirling nll-stirling-near-one nll-saturated-milli",
    ),
    Clause(
        'rate_guard : {"none", "clamp", "log_add"}',
        "nll-typical nll-clamp nll-log-add",
        WRONG_OPTIONS,
    ),
    Clause(
        "`clamp`: max(lambda, rate_floor) for lambda, in both terms.",
        "nll-clamp nll-clamp-at-floor nll-clamp-zero-rate nll-clamp-per-element nll-clamp-saturated nll-mask-clamp",
        f"{FORMULA} {GUARDED_EDGES}",
    ),
    Clause("`log_add`: log(lambda + rate_floor), in the logarithm only.", "nll-log-add*", FORMULA),
    Clause(
        "Three different functions.",
        "nll-vacuum nll-vanishing nll-clamp nll-log-add",
        f"{LAWS}test_a_clamp_above_its_floor_is_no_guard_and_below_it_the_loss_at_the_floor "
        f"{LAWS}test_a_logarithm_of_rate_plus_floor_is_less_by_k_log1p_of_floor_over_rate",
    ),
    Clause("rate_floor : float", "nll-clamp nll-log-add nll-clamp-zero-rate", GIVEN_NUMBERS),
    Clause(
        "Photons per pixel, finite and above 0; required by a guard, and refused without one.",
        "nll-clamp-at-floor nll-log-add-per-element",
        f"{GIVEN_NUMBERS} {WRONG_NUMBERS}",
    ),
    Clause(
        "Fixed at compilation.",
        tests=f"{KEPT} test_tensorflow_poisson.py::test_two_floors_and_two_divisors_live_in_one_process",
    ),
    Clause(
        'normaliser : {"none", "batch_mean_amplitude", "frozen_mean_intensity"}',
        "nll-typical nll-batch-mean nll-frozen",
        WRONG_OPTIONS,
    ),
    Clause(
        "What the whole result is divided by, a constant for the gradient.",
        "nll-batch-mean* nll-frozen* nll-mask-batch-mean",
        f"{NORMALISED} {LAWS}test_a_normaliser_divides_value_and_gradient",
    ),
    Clause(
        "`batch_mean_amplitude`: 1e-8 + mean of the valid t of this batch, unscaled.",
        "nll-batch-mean* nll-mask-batch-mean",
        NORMALISED,
    ),
    Clause("`frozen_mean_intensity`: `normaliser_value`, one number per experiment.", "nll-frozen*", NORMALISED),
    Clause("normaliser_value : float", "nll-frozen*", GIVEN_NUMBERS),
    Clause(
        "Finite and above 0; required by `frozen_mean_intensity`, and refused with any other normaliser.",
        tests=f"{GIVEN_NUMBERS} {WRONG_NUMBERS}",
    ),
    Clause(
        'reduction : {"mean", "sum", "sample_sum", "none"}',
        "nll-typical nll-sum nll-sample-sum nll-per-element",
        WRONG_OPTIONS,
    ),
    Clause(
        "Mean of the valid elements; sum of them; sum over the valid (C, H, W), then mean over all B samples; or none, "
        "shape (B, C, H, W), 0 at masked elements.",
        f"nll-mask nll-*sum nll-saturated-zero-counts nll-clamp-saturated nll-mask-clamp {NO_SUM}",
        f"{FORMULA} test_reference_masks.py::test_sample_sum_counts_every_sample",
    ),
    Clause("array of float32 (for float32 and half types) or float64", "nll-typical", HALF_NLL),
    Clause(
        "The loss in nats (per unit of the normaliser); shape as `reduction` says.",
        "nll-typical nll-sum nll-sample-sum nll-per-element nll-batch-mean-per-element",
        FORM,
    ),
    Clause("The gradient has the dtype of the input.", "nll-typical", f"{HALF_NLL} {FORM}"),
    Clause("TypeError: Integer, bool, complex or mixed dtypes", tests=WRONG_ARRAYS),
    Clause("TypeError: a complex mask", tests=WRONG_MASKS),
    Clause("TypeError: a scale that is no real number", tests=WRONG_SCALES),
    Clause(
        "TypeError: a floor or normaliser value that is traced or no number",
        tests="test_sentences.py::test_a_number_that_is_traced_or_none_is_refused",
    ),
    Clause(
        "ValueError: Wrong rank, empty or different shapes, a mask that does not broadcast, a scale that is no scalar, "
        "an unknown option, a number missing, superfluous, or not finite and above 0 in the computing dtype",
        tests=f"{WRONG_ARRAYS} {WRONG_MASKS} {WRONG_SCALES} {WRONG_OPTIONS} {GIVEN_NUMBERS} {WRONG_NUMBERS}",
    ),
    Clause(
        "Gradient with respect to p, with w the weight of an element (1 / number of valid elements for `mean`, 1 / B "
        "for `sample_sum`, 1 for `sum` and `none`; over the normaliser), and lambda - k = s^2 (p - t)(p + t):",
        "nll-typical nll-sum nll-sample-sum nll-per-element nll-batch-mean nll-frozen nll-mask nll-mask-s*",
        FORMULA,
    ),
    Clause(
        "none: w 2 s^2 (p - t)(p + t) / p, which is 0 where p = t = 0",
        "nll-typical nll-quarter-off nll-equal nll-dead-pixels nll-thousand nll-million nll-billion nll-shot-noise",
        f"{FORMULA} {EDGES} {LAWS}test_the_gradient_along_the_prediction_is_twice_the_excess_of_photons",
    ),
    Clause(
        "clamp: the same where lambda > rate_floor, else 0",
        "nll-clamp nll-clamp-at-floor nll-clamp-zero-rate nll-clamp-per-element nll-clamp-saturated nll-mask-clamp",
        f"{FORMULA} {GUARDED_EDGES}",
    ),
    Clause(
        "log_add: w 2 s^2 p (s^2 (p - t)(p + t) + rate_floor) / (lambda + rate_floor)",
        "nll-log-add*",
        f"{FORMULA} test_reference_poisson.py::test_edges_with_a_guard",
    ),
    Clause(
        "With respect to t: -w 2 s^2 t log(guarded lambda), plus that of the constant, 0 at t = 0; never through s or "
        "the normaliser.",
        tests=f"{OF_TARGET} {NORMALISED}",
    ),
    Clause(
        "Edges without a guard: k = 0 gives lambda, also at lambda = 0, with gradient 0 there.",
        "nll-zero-counts nll-dead-pixels nll-dark-frame nll-all-dark nll-dense nll-lgamma-dead "
        "nll-saturated-zero-counts",
        EDGES,
    ),
    Clause(
        "lambda = 0 with k > 0 gives +inf, gradient -inf.", "nll-infinite* nll-dark-prediction nll-mask-infinite", EDGES
    ),
    Clause(
        "A NaN or inf in a valid element gives a non-finite loss.",
        "nll-nan-* nll-inf-prediction nll-inf-target nll-inf-both nll-minus-inf-* "
        "nll-clamp-nan-prediction nll-saturated-nan-target",
        NOT_FINITE_NLL,
    ),
    Clause(
        "Computed without a guard as the deviance plus a term of the data alone:",
        "nll-saturated-milli nll-saturated-billion nll-shot-noise-saturated",
        ACCURATE,
    ),
    Clause(
        "delta = s^2 (|p| - |t|)(|p| + |t|) h = (|p| - |t|) / (|p| + |t|) v = 2 h / (1 + h^2)",
        "nll-signed nll-saturated-apart nll-saturated-span",
        BOTH_SIDES,
    ),
    Clause(
        "D = delta v - 2 k v^3 (1/3 + v^2/5 + ... + v^24/27) where |v| < 1/4",
        "nll-saturated-milli nll-saturated-million nll-saturated-billion nll-saturated-span nll-shot-noise-saturated",
        f"{BOTH_SIDES} {ACCURATE}",
    ),
    Clause(
        "D = delta + 2 k log(|t| / |p|) elsewhere",
        "nll-saturated-apart",
        f"{BOTH_SIDES} test_torch_poisson.py::test_a_rate_and_counts_too_far_apart_for_a_quotient_are_finite",
    ),
    Clause(
        "loss = D + k - k log k none loss = D + k - k log k + log Gamma(k + 1) lgamma",
        "nll-typical nll-span nll-lgamma",
        "test_reference_poisson.py::test_lgamma_at_high_counts_does_not_cancel",
    ),
    Clause(
        "loss = D saturated loss = D + log(2 pi k) / 2 stirling, k > 1",
        "nll-saturated-million nll-stirling-sum",
        f"{ACCURATE} test_torch_poisson.py::test_float32_values_do_not_cancel_with_a_constant",
    ),
    Clause(
        "so that in float32, at any count, the gradient is right to 3e-7 and the deviance to 3e-7 near p = t and to "
        "1.2e-6 where it is worst, |v| just above 1/4; lambda - k log(lambda) and its autodiff cancel instead.",
        tests=f"{ACCURATE} test_reference_poisson.py::test_the_naive_formula_does_not",
    ),
    Clause(
        "With a guard the formula is computed as it stands, its gradient in closed form.",
        "nll-clamp nll-log-add",
        FORMULA,
    ),
    Clause(
        "Additive over samples: shards weighted by their numbers of valid elements (`mean`) give the loss of the "
        "batch, if they share s; with `batch_mean_amplitude` the mean must come from the whole batch.",
        tests="test_shards.py::test_shards_add_up "
        "test_shards.py::test_shards_add_up_at_a_scale_taken_from_the_whole_data_set "
        "test_shards.py::test_shards_add_up_when_the_mean_amplitude_of_the_whole_batch_divides "
        "test_shards.py::test_a_mean_amplitude_of_each_shard_is_another_loss",
    ),
    Clause("Source: this project's contract, version 1.", remark="where the formula comes from"),
)
