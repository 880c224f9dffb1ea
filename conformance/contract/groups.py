"""Tests that hold one sentence in each framework, named once because several functions say that sentence."""

TENSORFLOW, TORCH = "test_tensorflow_losses.py::", "test_torch_losses.py::"
DEAD = (
    "test_reference_masks.py::test_where_nothing_is_valid_there_is_nothing "
    "test_reference_masks.py::test_a_dead_sample_among_others"
)
HALF_MAE = (
    "test_reference_transforms.py::test_half_types_are_computed_in_float32 "
    f"{TORCH}test_half_types_are_computed_in_float32 {TENSORFLOW}test_half_types_are_computed_in_float32 "
    "test_narrow.py::test_computing_in_float32_passes_and_in_the_narrow_type_fails"
)
HALF_NLL = (
    "test_reference_transforms.py::test_half_types_are_computed_in_float32 "
    "test_torch_poisson.py::test_half_types_are_computed_in_float32 "
    "test_tensorflow_poisson.py::test_half_types_are_computed_in_float32_with_the_scale_in_float32"
)
FORM = "test_fail_open.py::test_form_is_part_of_the_verdict test_narrow.py::test_a_value_of_another_dtype_is_wrong"
MASK_KINDS = (
    "test_reference_masks.py::test_nonzero_is_valid_in_every_dtype_and_shape "
    f"{TORCH}test_masks_of_every_kind_and_shape_are_the_full_mask {TENSORFLOW}test_every_reduction_with_every_mask"
)
MASKED = "test_reference_masks.py::test_a_mask_is_the_data_without_its_dead_columns"
MASKED_MAE = f"{MASKED} {TORCH}test_what_is_masked_may_hold_anything {TENSORFLOW}test_every_reduction_with_every_mask"
MASKED_NLL = (
    f"{MASKED} test_torch_poisson.py::test_nan_and_infinity_are_seen_where_valid_and_harmless_where_masked "
    "test_tensorflow_poisson.py::test_every_guard_constant_and_reduction"
)
NOTHING_MAE = f"{DEAD} {TORCH}test_nothing_valid_is_zero {TENSORFLOW}test_nothing_valid_is_zero_with_gradient_zero"
NOTHING_NLL = (
    f"{DEAD} test_torch_poisson.py::test_nothing_valid_is_zero "
    "test_tensorflow_poisson.py::test_nothing_valid_is_zero_with_gradient_zero"
)
NOT_FINITE = "test_reference_transforms.py::test_a_nan_or_inf_in_a_valid_pixel_never_gives_a_finite_loss"
NOT_FINITE_MAE = (
    f"{NOT_FINITE} {TORCH}test_a_valid_nan_or_infinity_is_never_a_finite_loss "
    f"{TENSORFLOW}test_a_number_that_is_not_finite_is_never_hidden test_not_finite.py::test_a_hidden_nan_is_found"
)
NOT_FINITE_NLL = (
    f"{NOT_FINITE} test_torch_poisson.py::test_nan_and_infinity_are_seen_where_valid_and_harmless_where_masked "
    "test_tensorflow_poisson.py::test_a_number_that_is_not_finite_is_never_hidden"
)
EVERYWHERE = "test_refusals.py::test_a_bad_call_is_refused_with_one_class_of_error_everywhere"
TORCH_OPTIONS = "test_torch_modules.py::test_options_that_are_refused"
WRONG_ARRAYS = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_input_is_refused test_tensorflow_refusals.py::test_arrays "
    "test_torch_modules.py::test_arrays_that_are_refused_by_every_loss"
)
WRONG_MASKS = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_input_is_refused test_tensorflow_refusals.py::test_masks "
    f"{TORCH_OPTIONS}"
)
WRONG_OPTIONS = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused "
    f"test_tensorflow_refusals.py::test_options {TORCH_OPTIONS}"
)
WRONG_NUMBERS = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused {TORCH_OPTIONS} "
    "test_tensorflow_refusals.py::test_numbers_that_are_not_finite_and_above_zero_in_float32"
)
WRONG_SCALES = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused {TORCH_OPTIONS} "
    "test_tensorflow_refusals.py::test_scales"
)
SCALE_IS_CONSTANT = (
    "test_reference_transforms.py::test_the_scale_is_a_constant_of_the_data_set "
    f"{TENSORFLOW}test_a_scale_gets_no_gradient_and_may_be_a_variable_or_derived_from_the_target"
)
KEPT = (
    "test_reference_refusals.py::test_wrong_options_are_refused "
    "test_torch_second_use.py::test_compiled_for_dynamic_shapes_no_number_is_baked_in"
)
"""A number given to one compiled function does not reach the next."""
