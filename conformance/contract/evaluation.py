"""The contract of the border between NumPy and JAX, sentence by sentence: `oracle.evaluate` and its parts."""

from conformance.contract.clause import Clause

HALF = "test_reference_transforms.py::test_half_types_are_computed_in_float32"
SCALED = (
    "test_reference_transforms.py::test_a_loss_scale_saves_a_half_gradient_and_leaves_the_value "
    "test_reference_refusals.py::test_a_half_loss_is_summed_in_float32"
)
HANDED = "test_reference_refusals.py::test_keywords_and_scale_are_handed_over_only_where_they_are_given"
LEFT = "test_reference_refusals.py::test_evaluate_leaves_its_inputs_and_the_process_as_they_were"
CONJUGATE = "test_reference_amplitude.py::test_a_complex_gradient_is_the_conjugate_of_what_jax_gives"
REFUSED = "test_reference_refusals.py::test_wrong_options_are_refused"
MODES = (
    "test_reference_transforms.py::test_the_modes_agree "
    "test_reference_refusals.py::test_the_mode_vmap_sees_questions_that_leak_into_each_other"
)
WRT = (
    "test_reference_amplitude.py::test_each_scope_is_the_formula_group_by_group "
    "test_reference_masks.py::test_where_nothing_is_valid_there_is_nothing"
)

EVALUATION = (
    Clause(
        "A loss and its gradient with respect to the prediction, or to the target.", "l2-typical l2-wrt-target", WRT
    ),
    Clause(
        "`value` has the shape that the loss returned; `gradient` has the prediction's shape and is the gradient of "
        "`loss_scale` times the sum of `value`, for complex inputs d/dRe + i d/dIm.",
        "l2-typical l2-per-sample l2-per-element l2-field",
        f"{SCALED} {CONJUGATE}",
    ),
    Clause("Both keep the dtype that JAX gave them.", "l2-typical l2-field", f"{HALF} {SCALED}"),
)

DIFFERENTIATED = (
    Clause(
        "A loss with its gradient in one mode, NumPy in and NumPy out; compiled once per shape and dtype where `jit`.",
        "l2-typical",
        MODES,
    ),
    Clause("loss : callable on JAX arrays", tests=HANDED),
    Clause(
        "`loss(p, t)` or `loss(p, t, s)`, with keywords `mask` and `view_ids` where they are given: of this package, "
        "bound to its options with `functools.partial`, or any other.",
        tests=HANDED,
    ),
    Clause('mode : {"eager", "jit", "grad_of_jit", "vmap"}', tests=f"{MODES} {REFUSED}"),
    Clause(
        "Value and gradient as they stand; compiled together; the loss compiled and differentiated from outside; or in "
        "one batch of two, with the question reversed along H, of which the first is returned.",
        tests=MODES,
    ),
    Clause('wrt : {"prediction", "target"}', "l2-typical l2-wrt-target mae-wrt-target", REFUSED),
    Clause("What the gradient is taken with respect to.", "l2-wrt-target* mae-wrt-target*", WRT),
    Clause("ValueError: Unknown mode or wrt", tests=REFUSED),
)

CALL = (
    Clause("Evaluate at two NumPy arrays (B, C, H, W), which are left unmodified.", tests=LEFT),
    Clause("prediction, target : array", "l2-typical l2-field", LEFT),
    Clause(
        "Cast to `dtype`; complex ones to complex64 for float32 and to complex128 for float64.",
        "l2-typical l2-field",
        f"{HALF} {CONJUGATE}",
    ),
    Clause("intensity_scale : float, optional", "mae-scaled nll-typical", HANDED),
    Clause(
        "Handed over as a scalar of `dtype`, float32 for half types; left out of the call when None.",
        "mae-scaled nll-scale-24-bits",
        f"{HANDED} {HALF}",
    ),
    Clause("mask : array of bool, optional", "l2-mask", HANDED),
    Clause("view_ids : array of int32 (B,), optional", "l2-view", HANDED),
    Clause("Handed over as keywords, and only where they are given.", tests=HANDED),
    Clause('dtype : {"float64", "float32", "bfloat16", "float16"}', "l2-typical", f"{HALF} {REFUSED}"),
    Clause("64-bit types are switched on for this call only, and only for float64.", tests=LEFT),
    Clause("device : str", tests="test_command_line.py::test_a_missing_device_exits_4"),
    Clause(
        'A platform that JAX knows: "cpu", "cuda".', "l2-typical", "test_command_line.py::test_a_missing_device_exits_4"
    ),
    Clause("loss_scale : float, a power of two of either sign", tests=f"{SCALED} {REFUSED}"),
    Clause(
        "Multiplies the sum of the value, taken in at least float32, before it is differentiated, so that small "
        "gradients survive half types.",
        tests=SCALED,
    ),
    Clause("The value comes back unscaled; dividing the gradient is the caller's part.", tests=SCALED),
    Clause("Evaluation", remark="the name of what is returned"),
    Clause(
        "The gradient of a complex input is d/dRe + i d/dIm, as Torch and TensorFlow return it: `jax.grad` returns the "
        "conjugate, which is conjugated here.",
        "l2-field mae-field",
        CONJUGATE,
    ),
    Clause(
        "ValueError: Unknown dtype, complex arrays in a half type, a loss_scale that is no power of two",
        tests=REFUSED,
    ),
    Clause("RuntimeError: JAX has no such device", tests="test_command_line.py::test_a_missing_device_exits_4"),
    Clause("Exception: Whatever the loss refuses", tests=REFUSED),
)

ALONE = (
    Clause(
        "Evaluate the loss alone, with nothing to differentiate it: a custom rule may have a value of its own.",
        "l2-typical",
        "test_judge.py::test_a_value_of_its_own_without_a_gradient_is_seen",
    ),
)

EVALUATE = (Clause("Evaluate a loss and its gradient once: see `Differentiated`.", "l2-typical", LEFT),)
