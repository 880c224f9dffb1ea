"""The contract of the legacy `amplitude_mae` and of `intensity_scale`, sentence by sentence."""

from conformance.contract.clause import Clause
from conformance.contract.groups import (
    FORM,
    HALF_MAE,
    MASK_KINDS,
    MASKED_MAE,
    NOT_FINITE_MAE,
    NOTHING_MAE,
    SCALE_IS_CONSTANT,
    TENSORFLOW,
    TORCH,
    WRONG_ARRAYS,
    WRONG_MASKS,
    WRONG_NUMBERS,
    WRONG_OPTIONS,
    WRONG_SCALES,
)

SENTENCES = "test_sentences.py::"
SCALED = "mae-scaled mae-scaled-sum mae-mask mae-wrt-target"
SOURCES = (
    "test_reference_transforms.py::test_the_sources_of_the_intensity_scale "
    f"test_torch_poisson.py::test_intensity_scale_counts_valid_pixels_in_float32_or_wider "
    f"{TENSORFLOW}test_the_scale_from_a_photon_number"
)
FROM_DATA = "nll-scale-dataset nll-mask-scale-dataset nll-frozen-sum"

MAE = (
    Clause(
        "Legacy mean absolute error between scaled amplitudes, the default of every configuration.",
        "mae-typical",
        "test_codepaths.py::test_the_default_is_legacy_and_the_configuration_is_frozen "
        "test_codepaths.py::test_the_flag_changes_the_mae",
    ),
    Clause(
        "loss = mean |s p - s t|",
        "mae-typical mae-near mae-bit-exact mae-scaled mae-samples-apart mae-*-channels mae-one-sample "
        "mae-last-batch mae-*-samples mae-signed mae-all-bits mae-*close mae-dense mae-wide mae-faint mae-bright",
        f"{TORCH}test_legacy_mae_is_the_formula {TENSORFLOW}test_every_reduction_with_every_mask",
    ),
    Clause(
        "prediction, target : array (B, C, H, W), of one dtype",
        "mae-*-channels mae-one-sample mae-last-batch mae-*-samples",
        WRONG_ARRAYS,
    ),
    Clause(
        "What `domain` says of the diffraction amplitudes p and t, dtypes as in `amplitude_l2_mae`.",
        "mae-typical mae-intensity* mae-field* mae-wrt-target-intensity mae-wrt-target-field",
        HALF_MAE,
    ),
    Clause("intensity_scale : float or real scalar array, default 1", SCALED, WRONG_SCALES),
    Clause("s: turns an amplitude into one whose square is photons.", SCALED),
    Clause(
        "A constant of the data set, never differentiated; held in the computing dtype, float32 for half types.",
        SCALED,
        f"{SCALE_IS_CONSTANT} {TORCH}test_legacy_mae_is_the_formula {HALF_MAE}",
    ),
    Clause(
        "mask, domain : as in `amplitude_l2_mae`",
        "mae-mask* mae-intensity* mae-field*",
        f"{MASK_KINDS} {MASKED_MAE} {NOTHING_MAE}",
    ),
    Clause(
        'reduction : {"mean", "sum", "sample", "none"}', "mae-scaled-sum mae-per-sample mae-per-element", WRONG_OPTIONS
    ),
    Clause(
        "As in `amplitude_l2_mae`.",
        "mae-typical mae-scaled-sum mae-intensity-mask mae-*per-sample mae-*per-element",
        f"{TORCH}test_legacy_mae_is_the_formula {TENSORFLOW}test_every_reduction_with_every_mask",
    ),
    Clause("array of float32 (for float32, half types and complex64) or float64", "mae-typical mae-field", HALF_MAE),
    Clause("The loss, in units of s times amplitude.", SCALED),
    Clause("The gradient has the dtype of the input.", "mae-typical mae-field", f"{HALF_MAE} {FORM}"),
    Clause("TypeError: Dtypes and masks as in `amplitude_l2_mae`", tests=f"{WRONG_ARRAYS} {WRONG_MASKS}"),
    Clause("TypeError: a scale that is no real number", tests=WRONG_SCALES),
    Clause(
        "ValueError: Shapes, masks and options as in `amplitude_l2_mae`",
        tests=f"{WRONG_ARRAYS} {WRONG_MASKS} {WRONG_OPTIONS}",
    ),
    Clause(
        "ValueError: a scale that is no scalar, or a Python number that is not finite and above 0",
        tests=f"{WRONG_SCALES} {WRONG_NUMBERS}",
    ),
    Clause(
        "Gradient with respect to p: w_i s sign(p_i - t_i), with sign(0) = 0 and w the weight of an element; with "
        "respect to t: its negative.",
        "mae-typical mae-dead-pixels mae-all-dark mae-dense mae-equal mae-scaled mae-wrt-target mae-per-sample "
        "mae-mask-per-sample",
        f"{TORCH}test_legacy_mae_is_the_formula {TORCH}test_a_tie_contributes_nothing "
        f"{TENSORFLOW}test_a_tie_has_sign_zero",
    ),
    Clause(
        "Domains multiply it as in `amplitude_l2_mae`.",
        "mae-intensity* mae-field* mae-wrt-target-intensity mae-wrt-target-field",
        f"{TORCH}test_the_gradient_of_a_field_is_d_dre_plus_i_d_dim "
        f"{TENSORFLOW}test_the_gradient_of_a_tiny_field_is_its_direction",
    ),
    Clause(
        "A NaN or inf in a valid element gives a non-finite loss.",
        "mae-nan-* mae-inf-* mae-minus-inf-*",
        NOT_FINITE_MAE,
    ),
    Clause(
        "Additive over samples: shards weighted by their numbers of valid elements give the loss of the batch.",
        tests="test_shards.py::test_shards_add_up",
    ),
    Clause(
        "Source: this project's contract, version 1; the amplitude loss that ptychography networks train with today.",
        remark="where the formula comes from",
    ),
)

INTENSITY_SCALE = (
    Clause(
        "Scale s that turns a normalised amplitude into one whose square is photons per pixel.",
        f"{FROM_DATA} nll-scale-closed-form",
        SOURCES,
    ),
    Clause("dataset: s = sqrt(nphotons / mean over (B, C) of sum over (H, W) of t^2)", FROM_DATA, SOURCES),
    Clause("closed_form: s = sqrt(nphotons) / (N / 2)", "nll-scale-closed-form", SOURCES),
    Clause("nphotons : float", FROM_DATA, WRONG_NUMBERS),
    Clause("Mean number of photons in one diffraction pattern, finite and above 0.", FROM_DATA, WRONG_NUMBERS),
    Clause(
        'source : {"dataset", "closed_form"}',
        "nll-scale-dataset nll-scale-closed-form",
        "test_tensorflow_refusals.py::test_the_closed_form_wants_square_frames",
    ),
    Clause(
        "`closed_form` is right only for data normalised to a mean sum of t^2 of (N / 2)^2.", tests=SOURCES.split()[0]
    ),
    Clause(
        "target_amplitude : array (B, C, H, W), float64, float32, bfloat16 or float16",
        FROM_DATA,
        f"{SOURCES} test_reference_refusals.py::test_wrong_options_are_refused",
    ),
    Clause("t, required by `dataset`.", tests="test_reference_refusals.py::test_wrong_options_are_refused"),
    Clause(
        "All of the data set: a scale taken per shard or per batch is another function.",
        tests="test_shards.py::test_a_scale_taken_from_each_shard_is_another_loss "
        "test_shards.py::test_shards_add_up_at_a_scale_taken_from_the_whole_data_set",
    ),
    Clause(
        "mask : array of bool, integers or real floats, rank 4, each axis that of `target_amplitude` or 1, optional",
        "nll-mask-scale-dataset",
        f"{SOURCES} {WRONG_MASKS}",
    ),
    Clause(
        "Nonzero: valid.",
        "nll-mask-scale-dataset",
        "test_laws_scale.py::test_the_scale_follows_powers_of_two_and_ignores_masked_elements_bit_for_bit",
    ),
    Clause(
        "Masked elements add nothing to the sums and may hold NaN or inf; the mean is over all B * C patterns, the "
        "wholly masked ones too.",
        "nll-mask-scale-dataset",
        SOURCES,
    ),
    Clause("`closed_form` looks at neither.", "nll-scale-closed-form", SOURCES.split()[0]),
    Clause("pixels : int", tests=f"{SOURCES.split()[0]} test_reference_refusals.py::test_wrong_options_are_refused"),
    Clause(
        "N = H = W, required by `closed_form`.",
        "nll-scale-closed-form",
        f"{SOURCES} test_reference_refusals.py::test_wrong_options_are_refused "
        "test_tensorflow_refusals.py::test_the_closed_form_wants_square_frames",
    ),
    Clause("scalar array", tests=SOURCES),
    Clause(
        "s, in sqrt(photons) per unit of amplitude: float64 for a float64 t, float32 for the others, JAX's default "
        "float for `closed_form`.",
        tests=SOURCES,
    ),
    Clause("A constant: no gradient flows through it.", tests=f"{SCALE_IS_CONSTANT} {SOURCES.split()[1]}"),
    Clause(
        "TypeError: Integer, bool or complex amplitudes",
        tests=f"{SENTENCES}test_a_scale_of_anything_but_real_floats_is_refused",
    ),
    Clause(
        "TypeError: a complex mask",
        tests=f"{SENTENCES}test_a_complex_mask_of_a_scale_is_refused test_tensorflow_refusals.py::test_masks",
    ),
    Clause(
        "TypeError: an nphotons that is traced or no number",
        tests=f"{SENTENCES}test_a_number_that_is_traced_or_none_is_refused",
    ),
    Clause("TypeError: pixels that are no int", tests=f"{SENTENCES}test_a_side_that_is_no_whole_number_is_refused"),
    Clause(
        "ValueError: The argument that `source` requires is missing or has a wrong shape, a mask that does not "
        "broadcast, or a number is not finite and above 0",
        tests=f"test_reference_refusals.py::test_wrong_options_are_refused {WRONG_MASKS} {WRONG_NUMBERS}",
    ),
    Clause(
        "With the `dataset` scale the mean count per pixel is nphotons / (H W).",
        "nll-scale-dataset",
        f"{SENTENCES}test_the_mean_count_per_pixel_is_that_of_nphotons "
        "test_laws_scale.py::test_the_mean_pattern_has_nphotons",
    ),
    Clause(
        "A data set without light gives inf, and one whose sum of squares overflows, or that holds a NaN or inf in a "
        "valid element, NaN.",
        tests=f"{SENTENCES}test_a_data_set_without_light_has_no_scale "
        "test_reference_amplitude.py::test_an_overflowing_norm_is_never_a_silent_zero "
        f"{TENSORFLOW}test_the_scale_from_a_photon_number",
    ),
    Clause("Source: this project's contract, version 1.", remark="where the formula comes from"),
)
