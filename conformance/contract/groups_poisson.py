"""Tests that hold one sentence of the Poisson loss in each framework, where several sentences share them."""

from conformance.contract.groups import EVERYWHERE, TORCH_OPTIONS

LAWS = "test_laws_poisson.py::"
FORMULA = (
    "test_reference_poisson.py::test_constants_and_guards_are_their_formulas "
    "test_torch_poisson.py::test_nll_is_the_formula "
    "test_tensorflow_poisson.py::test_every_guard_constant_and_reduction"
)
EDGES = (
    "test_reference_poisson.py::test_edges_without_a_guard test_torch_poisson.py::test_the_edges_of_counts_and_rates "
    "test_tensorflow_poisson.py::test_the_edges_without_a_guard"
)
GUARDED_EDGES = (
    "test_reference_poisson.py::test_edges_with_a_guard "
    "test_torch_poisson.py::test_a_clamp_passes_no_gradient_below_the_floor"
)
NORMALISED = (
    "test_reference_poisson.py::test_normalisers_divide_the_result_and_carry_no_gradient "
    "test_torch_poisson.py::test_normalisers_divide_and_get_no_gradient "
    "test_tensorflow_poisson.py::test_normalisers_divide_the_result_and_get_no_gradient"
)
ACCURATE = (
    "test_reference_poisson.py::test_float32_keeps_seven_digits_at_any_count "
    "test_torch_poisson.py::test_float32_deviance_and_gradient_keep_six_digits_at_any_count "
    "test_tensorflow_poisson.py::test_float32_keeps_seven_digits_at_a_billion_photons_per_pixel "
    "test_precision.py::test_the_shipped_nll_keeps_what_autodiff_loses"
)
BOTH_SIDES = (
    "test_reference_poisson.py::test_the_deviance_on_both_sides_of_the_series "
    "test_tensorflow_poisson.py::test_the_deviance_is_accurate_on_both_sides_of_the_series"
)
GIVEN_NUMBERS = (
    f"{EVERYWHERE} test_reference_refusals.py::test_wrong_options_are_refused {TORCH_OPTIONS} "
    "test_tensorflow_refusals.py::test_numbers_and_the_options_that_use_them"
)
OF_TARGET = (
    "test_reference_poisson.py::test_constants_and_guards_are_their_formulas "
    "test_torch_poisson.py::test_nll_is_the_formula "
    "test_tensorflow_poisson.py::"
    "test_every_constant_without_reduction_and_its_gradient_with_respect_to_the_target"
)
