"""What the TensorFlow losses refuse, with what class of error and in what words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from conformance.codepaths import tensorflow_losses as losses

SHAPE = (2, 3, 4, 1)
ONES = np.ones(SHAPE, "f4")
LOSSES: dict[str, Callable[..., Any]] = {
    "amplitude_l2_mae": losses.amplitude_l2_mae,
    "amplitude_mae": losses.amplitude_mae,
    "poisson_nll": lambda *pair, **options: losses.poisson_nll(*pair, 1.0, **options),
}


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize(
    ("t", "p", "error", "said"),
    [
        (ONES[0], ONES[0], ValueError, r"y_true: got shape \(3, 4, 1\), wanted four non-empty axes \(B, H, W, C\)"),
        (ONES[:0], ONES[:0], ValueError, r"y_true: got shape \(0, 3, 4, 1\), wanted four non-empty axes"),
        (ONES, ONES[:1], ValueError, r"shapes differ: y_true \(2, 3, 4, 1\), y_pred \(1, 3, 4, 1\); no broadcasting"),
        (ONES.astype("i4"), ONES.astype("i4"), TypeError, "y_true: got int32, wanted float64 or float32"),
        (ONES > 0, ONES > 0, TypeError, "y_true: got bool, wanted float64 or float32 or bfloat16 or float16; cast it"),
        (ONES, ONES.astype("c8"), TypeError, "y_pred: got complex64, wanted float64"),
        (ONES, ONES.astype("f8"), TypeError, "dtypes differ: y_true float32, y_pred float64; cast one of them"),
        (ONES, ONES.astype("f2"), TypeError, "dtypes differ: y_true float32, y_pred float16"),
    ],
    ids=["rank", "empty", "broadcast", "integer", "bool", "complex", "mixed", "half-mixed"],
)
def test_arrays(t: Any, p: Any, error: type[Exception], said: str, name: str, traced: bool) -> None:
    run = tf.function(LOSSES[name], autograph=False) if traced else LOSSES[name]
    with pytest.raises(error, match=said):
        run(tf.constant(t), tf.constant(p))


@pytest.mark.parametrize("name", ["amplitude_l2_mae", "amplitude_mae"])
def test_the_field_wants_two_complex_tensors(name: str) -> None:
    field = ONES.astype("c8")
    for t, p, said in (
        (ONES, field, "y_true: got float32, wanted complex128 or complex64"),
        (field, ONES, "y_pred: got float32, wanted complex128 or complex64"),
        (field, field.astype("c16"), "dtypes differ"),
    ):
        with pytest.raises(TypeError, match=said):
            LOSSES[name](t, p, domain="field")


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize(
    ("mask", "error", "said"),
    [
        (ONES[0], ValueError, r"mask: got shape \(3, 4, 1\), wanted four axes"),
        (ONES[:, :2], ValueError, r"mask: got shape \(2, 2, 4, 1\), wanted four axes .* that of \(2, 3, 4, 1\) or 1"),
        (np.ones((2, 3, 4, 5)), ValueError, "mask: got shape"),
        (np.ones((3, 3, 4, 1)), ValueError, "mask: got shape"),
        (ONES.astype("c8"), TypeError, "mask: got complex64, wanted bool, integer or real float"),
        (ONES.astype("S1"), TypeError, "mask: got string"),
    ],
    ids=["rank", "short", "broadcasts-the-target", "batch", "complex", "string"],
)
def test_masks(mask: Any, error: type[Exception], said: str, name: str) -> None:
    with pytest.raises(error, match=said):
        LOSSES[name](ONES, ONES, mask=mask)
    if name == "poisson_nll":
        with pytest.raises(error, match=said):
            losses.intensity_scale(ONES, 1e6, mask=mask)


@pytest.mark.parametrize(
    ("scope", "ids", "error", "said"),
    [
        ("view", None, ValueError, "view_ids: got None with scope 'view', wanted integers"),
        ("sample", [1, 2], ValueError, "view_ids: got ids with scope 'sample', wanted None"),
        ("view", [1.0, 2.0], TypeError, "view_ids: got float32, wanted integers"),
        ("view", [True, False], TypeError, "view_ids: got bool, wanted integers"),
        ("view", [1], ValueError, r"view_ids: got shape \(1,\), wanted \(2,\)"),
        ("view", [[1, 2]], ValueError, r"view_ids: got shape \(1, 2\), wanted \(2,\)"),
        ("views", None, ValueError, "scope: got 'views', wanted one of sample, patch, view, batch"),
    ],
    ids=["missing", "superfluous", "float", "bool", "short", "rank", "scope"],
)
def test_scopes_and_ids(scope: str, ids: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        losses.amplitude_l2_mae(ONES, ONES, scope=scope, view_ids=ids)


@pytest.mark.parametrize(
    ("loss", "option"),
    [
        ("amplitude_l2_mae", {"domain": "fields"}),
        ("amplitude_l2_mae", {"gain": True}),
        ("amplitude_l2_mae", {"reduction": "sample_sum"}),
        ("amplitude_mae", {"domain": "counts"}),
        ("amplitude_mae", {"reduction": "sample_sum"}),
        ("poisson_nll", {"constant": True}),
        ("poisson_nll", {"reduction": "sample"}),
        ("poisson_nll", {"rate_guard": "add"}),
        ("poisson_nll", {"normaliser": "mean"}),
    ],
    ids=str,
)
def test_options(loss: str, option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))}: got .*, wanted one of"):
        LOSSES[loss](ONES, ONES, **option)


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf"), 1e-40, 1e39], ids=str)
def test_numbers_that_are_not_finite_and_above_zero_in_float32(number: float) -> None:
    for name, call in (
        ("eps", lambda: losses.amplitude_l2_mae(ONES, ONES, eps=number)),
        ("scale", lambda: losses.amplitude_mae(ONES, ONES, number)),
        ("scale", lambda: losses.poisson_nll(ONES, ONES, number)),
        ("rate_floor", lambda: LOSSES["poisson_nll"](ONES, ONES, rate_guard="clamp", rate_floor=number)),
        ("normaliser_value", lambda: LOSSES["poisson_nll"](
            ONES, ONES, normaliser="frozen_mean_intensity", normaliser_value=number)),
        ("nphotons", lambda: losses.intensity_scale(ONES, number)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name}: got .*, wanted a finite number above 0"):
            call()
    if number == 1e-40:
        assert np.isfinite(losses.amplitude_l2_mae(ONES.astype("f8"), ONES.astype("f8"), eps=number))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"rate_guard": "clamp"}, "rate_floor: got None with rate_guard 'clamp'"),
        ({"rate_floor": 1.0}, "rate_floor: got 1.0 with rate_guard 'none'"),
        ({"normaliser": "frozen_mean_intensity"}, "normaliser_value: got None with normaliser"),
        ({"normaliser_value": 1.0}, "normaliser_value: got 1.0 with normaliser 'none'"),
        ({"normaliser": "batch_mean_amplitude", "normaliser_value": 1.0}, "normaliser_value: got 1.0 with"),
    ],
    ids=["floor-missing", "floor-unused", "value-missing", "value-unused", "value-beside-mean"],
)
def test_numbers_and_the_options_that_use_them(option: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LOSSES["poisson_nll"](ONES, ONES, **option)


def test_scales() -> None:
    for scale in (np.ones(2), tf.ones(2), [1.0, 2.0]):
        for loss in (losses.amplitude_mae, losses.poisson_nll):
            with pytest.raises(ValueError, match=r"scale: got shape \(2,\), wanted a scalar"):
                loss(ONES, ONES, scale)
    for scale in (True, tf.constant(True), tf.constant(1j)):
        with pytest.raises(TypeError, match=r"scale: got (bool|complex128)"):
            losses.poisson_nll(ONES, ONES, scale)
    same = [
        losses.poisson_nll(ONES, ONES, scale) for scale in (2, 2.0, np.float64(2), tf.constant(2), tf.Variable(2.0))
    ]
    assert len({float(value) for value in same}) == 1


def test_the_closed_form_wants_square_frames() -> None:
    with pytest.raises(ValueError, match=r"y_true: got shape \(2, 3, 4, 1\), wanted square frames"):
        losses.intensity_scale(ONES, 1e6, source="closed_form")
    with pytest.raises(ValueError, match="source: got 'mean', wanted one of dataset, closed_form"):
        losses.intensity_scale(ONES, 1e6, source="mean")
