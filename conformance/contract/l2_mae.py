"""The contract of `amplitude_l2_mae`, sentence by sentence, in the order of its docstring."""

from conformance.contract.clause import Clause
from conformance.contract.groups import (
    EVERYWHERE,
    FORM,
    HALF_MAE,
    KEPT,
    MASK_KINDS,
    MASKED_MAE,
    NOT_FINITE_MAE,
    NOTHING_MAE,
    TENSORFLOW,
    TORCH,
    TORCH_OPTIONS,
    WRONG_ARRAYS,
    WRONG_MASKS,
    WRONG_NUMBERS,
    WRONG_OPTIONS,
)

LAWS, BITS, DOMAINS = "test_laws_amplitude.py::", "test_laws_bits.py::", "test_laws_domains.py::"
IDS_REFUSED = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused {TORCH_OPTIONS} "
    "test_tensorflow_refusals.py::test_scopes_and_ids"
)
FIELD_REFUSED = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused {TORCH_OPTIONS} "
    "test_tensorflow_refusals.py::test_the_field_wants_two_complex_tensors"
)
ROWS_OF_MASKS = "l2-mask* l2-intensity-mask-patch l2-field-mask l2-wrt-target-mask l2-nan-beside-mask"
BELOW_EPS = (
    "l2-below-eps l2-patch-below-eps l2-view-below-eps l2-mask-below-eps l2-eps-large l2-underflow l2-faint-apart "
    "l2-faint-batch l2-batch-below-eps"
)
DARK = (
    "l2-dark-* l2-all-dark l2-batch-dark l2-dense l2-patch-dark* l2-view-dark l2-mask-dark l2-intensity-dark "
    "l2-field-dark l2-wrt-target-dark"
)
TIES = (
    "l2-equal l2-double l2-dead-pixels l2-dense l2-all-dark l2-bit-exact l2-*-bit-exact l2-intensity-equal "
    "l2-*-dead-pixels l2-field-turned"
)
AT_EPS = (
    "test_reference_amplitude.py::test_a_norm_of_exactly_eps_is_a_constant "
    f"{TORCH}test_eps_bounds_the_norm_and_is_a_constant_below_and_at_the_norm "
    f"{TENSORFLOW}test_at_a_norm_of_exactly_eps_the_normaliser_is_a_constant"
)

L2_MAE = (
    Clause(
        "Mean absolute error between amplitudes that are each scaled to unit L2 norm over a scope.",
        "l2-typical l2-near l2-prediction-tiny l2-large",
    ),
    Clause(
        "phat = p / max(||p||, eps) that = t / max(||t||, eps) loss = mean |phat - that|",
        "l2-typical l2-quarter-off l2-near l2-prediction-tiny l2-bit-exact l2-odd l2-one-sample l2-last-batch "
        "l2-*-samples l2-zero-*-pixels l2-large l2-wide l2-all-bits l2-*close l2-dense",
        f"test_reference_amplitude.py::test_each_scope_is_the_formula_group_by_group {TORCH}test_l2_mae_is_the_formula "
        f"{TENSORFLOW}test_the_normalised_mae_over_each_scope",
    ),
    Clause(
        "prediction, target : array (B, C, H, W), of one dtype",
        "l2-odd l2-*-channels l2-one-sample l2-last-batch l2-*-samples l2-large",
        WRONG_ARRAYS,
    ),
    Clause(
        "What `domain` says of p and t, in any common unit (the loss has none): float64, float32, bfloat16 or float16; "
        "complex128 or complex64 for `field`.",
        "l2-typical l2-faint l2-low-energy l2-prediction-tiny l2-field",
        HALF_MAE,
    ),
    Clause(
        "Amplitudes are meant to be >= 0 and finite; the formulas hold for signed ones too.",
        "l2-signed l2-negative l2-signs-apart l2-field-real l2-dense",
    ),
    Clause("Half types are cast up to float32 once, before anything else.", tests=HALF_MAE),
    Clause(
        "mask : array of bool, integers or real floats, rank 4, each axis that of `target` or 1, optional",
        "l2-mask l2-mask-beam-stop l2-mask-channel l2-mask-sample",
        MASK_KINDS,
    ),
    Clause("Nonzero: valid.", "l2-mask", MASK_KINDS),
    Clause(
        "Masked elements add nothing to value, gradient (exactly 0), norms or numbers of elements, and may hold NaN or "
        "inf in both arrays.",
        ROWS_OF_MASKS,
        f"{MASKED_MAE} {BITS}test_what_masked_elements_hold_does_not_matter",
    ),
    Clause(
        "Where nothing is valid, loss and gradient are 0.",
        "l2-mask-all l2-mask-sample l2-mask-patch l2-mask-per-sample",
        NOTHING_MAE,
    ),
    Clause('scope : {"sample", "patch", "view", "batch"}', "l2-typical l2-patch-* l2-view* l2-batch-*", WRONG_OPTIONS),
    Clause(
        "What shares one norm, so that sum(phat^2) = 1 over it: the elements (C, H, W) of each b; (H, W) of each b and "
        "c; all samples with the same entry in `view_ids`; everything.",
        "l2-samples-apart l2-channels-apart l2-patch-* l2-view* l2-batch-* l2-*-patch l2-*-view l2-*-batch "
        "l2-field-per-element l2-intensity-per-element",
        "test_reference_amplitude.py::test_each_scope_is_the_formula_group_by_group "
        f"{LAWS}test_a_view_of_one_sample_is_the_scope_sample_and_one_view_of_all_the_scope_batch",
    ),
    Clause("view_ids : array of integers (B,)", "l2-view*", IDS_REFUSED),
    Clause(
        "Required by scope `view`, and refused with any other: the object or experiment each sample belongs to.",
        "l2-view l2-mask-view l2-field-mask l2-wrt-target-view",
        IDS_REFUSED,
    ),
    Clause(
        "Any integers in any order; of JAX's 32-bit integers only 32 bits are compared, of a NumPy array all.",
        "l2-view-ids l2-view-negative-ids l2-view",
        "test_reference_amplitude.py::test_a_view_is_its_samples_alone "
        f"{TENSORFLOW}test_the_normalised_mae_over_each_scope "
        f"{BITS}test_what_a_view_is_called_does_not_matter test_sentences.py::test_all_bits_of_numpy_ids_are_compared",
    ),
    Clause(
        'domain : {"amplitude", "intensity", "field"}',
        "l2-typical l2-intensity* l2-field* l2-wrt-target-intensity l2-wrt-target-field",
        WRONG_OPTIONS,
    ),
    Clause(
        "The arrays are p and t; their squares (p = sqrt(I), gradient 0 at I = 0; I < 0 gives NaN); or complex waves z "
        "(p = |z|, gradient 0 at z = 0).",
        "l2-typical l2-intensity* l2-field* l2-wrt-target-intensity l2-wrt-target-field",
        "test_reference_amplitude.py::test_domains_take_the_modulus_and_nothing_at_zero "
        f"{TORCH}test_domains_are_the_formula_and_have_gradient_zero_at_zero {TENSORFLOW}test_domains "
        f"{TENSORFLOW}test_a_negative_intensity_is_not_a_dark_one "
        "test_sentences.py::test_a_negative_intensity_gives_nan "
        f"{TENSORFLOW}test_the_gradient_of_a_tiny_field_is_its_direction",
    ),
    Clause(
        'reduction : {"mean", "sum", "sample", "none"}',
        "l2-typical l2-sum l2-per-sample l2-per-element",
        WRONG_OPTIONS,
    ),
    Clause(
        "Mean of the valid elements; sum of them; mean within each b, shape (B,); or none, shape (B, C, H, W), 0 at "
        "masked elements.",
        "l2-mask l2-sum l2-mask-sum l2-*per-sample l2-*per-element l2-patch-bit-exact l2-field-mask",
        f"{TORCH}test_l2_mae_is_the_formula {TENSORFLOW}test_every_reduction_with_every_mask",
    ),
    Clause('gain : {"unit_l2", "unit_rms"}', "l2-typical l2-unit-rms l2-*unit-rms*", WRONG_OPTIONS),
    Clause(
        "`unit_l2`: as above, values of order 1 / sqrt(n), n the number of valid elements in a scope.",
        "l2-typical l2-mask-few-pixels",
        f"{LAWS}test_padding_with_zeros_divides_by_m_and_tiling_by_its_root",
    ),
    Clause(
        "`unit_rms`: each element times sqrt(n) of its scope, comparable with an amplitude MAE on data of unit root "
        "mean square.",
        "l2-*unit-rms* l2-mask-patch l2-mask-view l2-intensity-per-element l2-wrt-target-batch",
        f"{LAWS}test_unit_rms_is_unit_l2_times_the_root_of_the_valid_elements_in_the_scope",
    ),
    Clause("eps : float, default 2**-40", "l2-below-eps l2-low-energy l2-eps-large", WRONG_NUMBERS),
    Clause(
        "Bounds the norm itself, by max: never its square, never by addition.",
        "l2-low-energy l2-faint l2-faint-apart l2-*below-eps l2-eps-large l2-intensity-dark l2-field-dark",
        AT_EPS,
    ),
    Clause(
        "Fixed at compilation.",
        tests=f"{KEPT} test_shipped.py::test_a_configured_constant_survives_a_compiler_that_met_another_one_first "
        f"{TENSORFLOW}test_eps_bounds_the_norm_by_max_and_two_values_live_in_one_process",
    ),
    Clause(
        "Norms below the root of the smallest number of the dtype (1.1e-19 in float32) underflow to 0, and a smaller "
        "eps guards nothing.",
        "l2-underflow",
    ),
    Clause("array of float32 (for float32, half types and complex64) or float64", "l2-typical l2-field", HALF_MAE),
    Clause(
        "The loss; shape as `reduction` says.",
        "l2-typical l2-sum l2-per-sample l2-per-element",
        FORM,
    ),
    Clause("The gradient has the dtype of the input.", "l2-typical l2-field", f"{HALF_MAE} {FORM}"),
    Clause(
        "TypeError: Integer, bool or mixed dtypes, real where `domain` means complex and the reverse",
        tests=f"{WRONG_ARRAYS} {FIELD_REFUSED}",
    ),
    Clause("TypeError: a complex mask", tests=WRONG_MASKS),
    Clause("TypeError: ids that are no integers", tests=IDS_REFUSED),
    Clause(
        "TypeError: an eps that is traced or no number",
        tests="test_sentences.py::test_a_number_that_is_traced_or_none_is_refused "
        "test_reference_refusals.py::test_wrong_options_are_refused "
        "test_torch_modules.py::test_a_number_s_place_takes_no_bool_and_no_tensor",
    ),
    Clause(
        "ValueError: Wrong rank, empty or different shapes, a mask that does not broadcast, ids missing, superfluous "
        "or not (B,), an unknown option, eps not finite and above 0 in the computing dtype",
        tests=f"{WRONG_ARRAYS} {WRONG_MASKS} {IDS_REFUSED} {WRONG_OPTIONS} {WRONG_NUMBERS}",
    ),
    Clause(
        "Gradient with respect to p, of the sum of the returned array, with P = ||p|| of the scope, "
        "s = sign(phat - that), w the weight of an element (1 / number of valid elements for `mean`; within its b for "
        "`sample`; 1 for `sum` and `none`; times sqrt(n) for `unit_rms`), c = sum_j w_j s_j phat_j over the scope:",
        "l2-quarter-off l2-sum l2-*per-sample l2-*per-element l2-*unit-rms* l2-mask*",
        "test_summation_orders.py::test_weights_may_differ_within_a_scope",
    ),
    Clause(
        "P > eps: g_i = (w_i s_i - phat_i c) / P, hence <g, p> = 0 in each scope",
        "l2-typical l2-quarter-off l2-channels-apart l2-low-energy l2-patch-channels-apart l2-view-per-sample",
        f"{LAWS}test_the_gradient_is_orthogonal_to_the_prediction_in_each_scope "
        "test_exact_truth.py::test_the_gradient_of_the_normalised_loss_is_orthogonal_to_the_prediction",
    ),
    Clause("P <= eps: g_i = w_i s_i / eps, the normaliser being a constant", BELOW_EPS, AT_EPS),
    Clause(
        "sign(0) = 0: an exact tie, such as a dead pixel p = t = 0, adds nothing to g_i nor to c.",
        TIES,
        f"test_reference_amplitude.py::test_the_sign_of_zero_is_zero {TORCH}test_a_tie_contributes_nothing "
        f"{TENSORFLOW}test_a_tie_has_sign_zero {BITS}test_equal_inputs_have_no_loss_and_no_gradient "
        "test_subgradient.py::test_sign_zero_is_a_subgradient_too",
    ),
    Clause(
        "A dark scope (P = 0) has phat = 0, a finite loss and a finite gradient.",
        f"{DARK} l2-batch-bit-exact",
        "test_reference_amplitude.py::test_dark_samples_keep_value_and_gradient_finite",
    ),
    Clause(
        "The loss is symmetric: exchange the two for the gradient with respect to t.",
        "l2-wrt-target* l2-target-below-eps",
        f"{LAWS}test_the_gradient_of_the_target_is_that_of_the_prediction_with_the_two_exchanged "
        f"{BITS}test_prediction_and_target_can_be_exchanged_in_eager_code "
        "test_exact_truth.py::test_the_value_is_symmetric_in_its_arguments",
    ),
    Clause(
        "Domain `intensity` multiplies g_i by 1 / (2 p_i), and `field` by z_i / |z_i|, both 0 where p_i = 0.",
        "l2-intensity l2-intensity-d* l2-intensity-per-element l2-field l2-field-d* l2-field-real l2-field-per-element "
        "l2-wrt-target-intensity l2-wrt-target-field",
        "test_reference_amplitude.py::test_domains_take_the_modulus_and_nothing_at_zero "
        f"{DOMAINS}test_the_loss_of_squares_is_that_of_amplitudes_and_its_gradient_over_2_p "
        f"{DOMAINS}test_the_loss_of_fields_is_that_of_their_moduli_and_its_gradient_points_along_them",
    ),
    Clause(
        "A complex gradient is d/dRe + i d/dIm, as in Torch and TensorFlow; `jax.grad` returns the conjugate of that, "
        "and `oracle.evaluate` conjugates it back.",
        "l2-field l2-field-d* l2-field-real l2-field-mask l2-field-per-element l2-wrt-target-field",
        "test_reference_amplitude.py::test_a_complex_gradient_is_the_conjugate_of_what_jax_gives "
        f"{TORCH}test_the_gradient_of_a_field_is_d_dre_plus_i_d_dim",
    ),
    Clause("Values are not inspected.", "l2-nan-* l2-inf-* l2-minus-inf-*"),
    Clause(
        "A NaN or inf in a valid element gives a non-finite loss, and so does a sum of squares that overflows "
        "(amplitudes of 1e19 in float32): never a silent 0.",
        "l2-nan-* l2-inf-* l2-minus-inf-* l2-field-nan l2-field-inf l2-overflow*",
        f"{NOT_FINITE_MAE} test_reference_amplitude.py::test_an_overflowing_norm_is_never_a_silent_zero "
        f"{TORCH}test_a_norm_that_overflows_is_nan_not_zero {TENSORFLOW}test_a_norm_that_overflows_is_no_silent_zero "
        "test_not_finite.py::test_an_overflowing_norm_is_not_finite_or_right_but_never_a_silent_zero",
    ),
    Clause(
        "Scale invariance: L(a p, t) = L(p, t) for a > 0.",
        "l2-prediction-tiny l2-double l2-faint",
        f"{BITS}test_a_prediction_times_a_power_of_two_has_the_same_loss "
        "test_exact_truth.py::test_a_power_of_two_changes_no_bit_of_the_value_and_scales_the_gradient",
    ),
    Clause(
        "For non-negative data 0 <= L <= sqrt(2 / n) (`sample`, `unit_l2`).",
        tests=f"{LAWS}test_the_loss_of_non_negative_data_is_between_0_and_the_root_of_2_over_n "
        f"{LAWS}test_disjoint_constant_halves_attain_the_root_of_2_over_n",
    ),
    Clause(
        "A narrow scope discards the relative brightness between scopes.",
        "l2-samples-apart l2-patch-channels-apart l2-batch-samples-apart",
        f"{LAWS}test_equal_norms_of_all_channels_make_patch_the_root_of_c_times_sample",
    ),
    Clause(
        "A batch in shards, weighted by their numbers of valid elements, gives the same loss for `sample` and `patch`; "
        "`view` and `batch` need the sums of the whole batch.",
        tests="test_shards.py::test_shards_add_up "
        "test_shards.py::test_views_add_up_where_no_view_is_divided "
        "test_shards.py::test_a_norm_over_the_batch_is_another_loss_in_shards "
        "test_shards.py::test_a_norm_and_a_coupling_reduced_over_the_batch_repair_it",
    ),
    Clause("Source: this project's contract, version 1.", remark="where the formula comes from"),
    Clause(
        "With scope `sample` the loss of a sample equals the MAE of a prediction rescaled to the target's norm, "
        "divided by ||t||.",
        tests=f"{LAWS}test_a_prediction_rescaled_to_the_norm_of_its_target_has_that_norm_times_the_loss_as_mae",
    ),
)
