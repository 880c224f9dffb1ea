"""What the contract says and no docstring of the reference does: of the judge, the codepaths and batches."""

from conformance.contract.clause import Clause

SECOND = (
    "test_reference_transforms.py::test_the_gradient_of_the_gradient "
    "test_reference_transforms.py::test_second_derivatives_of_the_poisson_loss_at_its_edges "
    "test_torch_second_use.py::test_first_and_second_derivatives_are_those_of_differences "
    "test_tensorflow_second_use.py::test_a_nested_tape_gives_the_second_derivative "
    "test_tensorflow_second_use.py::test_the_maes_can_be_differentiated_twice"
)

BEYOND = (
    Clause(
        "A right loss may follow another convention: value' = alpha value + beta(data), gradient' = alpha gradient. It "
        "is judged under the convention that it declares, a profile, and fails under any other.",
        tests="test_profile.py::test_a_keras_loss_is_right_under_its_own_convention_only "
        "test_profile.py::test_a_mapped_truth_accepts_the_convention_and_nothing_else "
        "test_profile.py::test_a_caller_who_scales_and_squares_is_declared test_profile.py::test_a_scope_is_declared "
        "test_profile.py::test_a_mask_is_declared",
    ),
    Clause(
        "The exact map between two conventions can be printed, and where there is none that is said.",
        tests="test_profile.py::test_the_map_is_printed_and_refused_where_there_is_none "
        "test_profile.py::test_the_map_is_the_arithmetic_of_its_formula",
    ),
    Clause(
        "The switch of the amplitude loss never reaches the Poisson loss: the same call gives the same bits with it on "
        "and off.",
        tests="test_laws_flag.py::test_the_nll_has_the_same_bits_with_the_flag_of_the_amplitude_loss_on_or_off",
    ),
    Clause(
        "No switch set, the amplitude loss is the legacy one.",
        "mae-typical",
        "test_codepaths.py::test_the_default_is_legacy_and_the_configuration_is_frozen",
    ),
    Clause(
        "TensorFlow holds (B, H, W, C): the same numbers permuted, the target first.",
        "l2-*-channels l2-odd l2-large mae-*-channels nll-large nll-last-batch",
        "test_profile.py::test_a_keras_loss_is_right_under_its_own_convention_only",
    ),
    Clause(
        "At lambda = rate_floor exactly, either one-sided derivative of a clamp is right, and what lies between them.",
        "nll-clamp-at-floor",
        "test_torch_poisson.py::test_a_clamp_passes_no_gradient_below_the_floor",
    ),
    Clause(
        "Every loss can be differentiated twice, and traced, compiled and mapped over like any other function.",
        tests=f"{SECOND} test_reference_transforms.py::test_vmap_over_questions_gives_each_its_own_answer "
        "test_torch_second_use.py::test_function_transforms_agree_with_autograd "
        "test_torch_second_use.py::test_every_branch_is_one_graph_that_reads_nothing_on_the_host "
        "test_tensorflow_second_use.py::test_one_trace_serves_batches_of_every_size "
        "test_tensorflow_second_use.py::test_vectorized_map_is_a_loop",
    ),
    Clause(
        "The gradient is that of any multiple of a loss: weights of a sum of losses, and loss scales, multiply it.",
        tests="test_manners.py::test_a_backward_pass_that_ignores_what_multiplies_the_loss_is_seen "
        "test_manners.py::test_it_is_in_every_framework",
    ),
    Clause(
        "A loss leaves its inputs as they were and does not depend on what it was asked before.",
        tests="test_fail_open.py::test_a_loss_that_is_right_and_modifies_its_input_is_rejected "
        "test_hardening.py::test_a_loss_that_differs_on_the_second_call_is_rejected "
        "test_torch_second_use.py::test_inputs_are_left_alone",
    ),
    Clause(
        "A batch split over devices or micro-batches gives, shard by shard and weighted by the numbers of valid "
        "elements, the loss and the gradient of the whole, for scope `sample` and `patch`; a scale, a batch mean and "
        "the norms of `view` and `batch` have to be taken over the whole batch first.",
        tests="test_shards.py::test_shards_add_up "
        "test_shards.py::test_a_norm_over_the_batch_is_another_loss_in_shards "
        "test_shards.py::test_a_norm_and_a_coupling_reduced_over_the_batch_repair_it "
        "test_shards.py::test_a_scale_taken_from_each_shard_is_another_loss "
        "test_shards.py::test_a_mean_amplitude_of_each_shard_is_another_loss",
    ),
    Clause(
        "The same mistake is refused with the same class of error in JAX, Torch and TensorFlow.",
        tests="test_refusals.py::test_a_bad_call_is_refused_with_one_class_of_error_everywhere",
    ),
    Clause(
        "Loaders of frames do inspect values: a negative or non-finite amplitude or count is refused with file, array "
        "and first index.",
        tests="test_frames.py::test_unfit_files_are_refused_with_file_array_and_place",
    ),
)
"""Sentences in our own words: there is nothing for them to be quoted from."""
