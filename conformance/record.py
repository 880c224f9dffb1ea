"""From one record of the manifest and its arrays to a case: parameters, inputs and truth, nothing unknown ignored."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.case import LOSSES, Array, Case, Float64, Parameters, Question, Scale, Truth

PARAMETERS: dict[str, tuple[str, ...]] = {
    "reduction": ("mean", "sum", "sample", "sample_sum", "none"),
    "domain": ("amplitude", "intensity", "field"),
    "scope": ("sample", "patch", "view", "batch"),
    "gain": ("unit_l2", "unit_rms"),
    "eps": (),
    "constant": ("none", "lgamma", "stirling", "saturated"),
    "rate_guard": ("none", "clamp", "log_add"),
    "rate_floor": (),
    "normaliser": ("none", "batch_mean_amplitude", "frozen_mean_intensity"),
    "normaliser_value": (),
    "wrt": ("prediction", "target"),
    "intensity_scale": (),
}
"""What a case may say, and the choices where there are any: an option unknown here must not be ignored."""
NUMBERS = ("eps", "rate_floor", "normaliser_value")
ARRAYS = ("prediction", "target", "value", "gradient", "sign", "mask", "view_ids")


def _scale(record: Mapping[str, Any]) -> Scale:
    nphotons = float.fromhex(record["nphotons"]) if "nphotons" in record else None
    if record["source"] not in ("given", "dataset", "closed_form") or (record["source"] != "given") != bool(nphotons):
        raise ValueError(f"intensity_scale {dict(record)!r}")
    return Scale(float.fromhex(record["value"]), record["source"], nphotons)


def parameters_of(record: Mapping[str, Any]) -> Parameters:
    """Return the options that a record declares; raise ValueError for one that this reader does not know."""
    options: dict[str, Any] = {}
    for name, value in record["parameters"].items():
        if name not in PARAMETERS or (PARAMETERS[name] and value not in PARAMETERS[name]):
            raise ValueError(f"parameter {name} = {value!r} of case {record['id']}")
        if name == "intensity_scale":
            options["scale"] = _scale(value)
        else:
            options[name] = float.fromhex(value) if name in NUMBERS else value
    return Parameters(**options)


def rounding_error(truth: Array) -> Float64:
    """Half an ulp of binary64: how far a correctly rounded number, 0 or a normal one, can be from the exact one."""
    return np.abs(truth) * 2.0**-53


def _widened(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def case_of(record: Mapping[str, Any], arrays: Mapping[str, Array]) -> Case:
    """Return the case that a verified record and its arrays describe.

    Raises
    ------
    KeyError, TypeError, ValueError
        An unknown loss, option or array, a missing one, or shapes that do not belong together.
    """
    if record["loss"] not in LOSSES:
        raise ValueError(f"loss {record['loss']!r} is unknown; install the matching version")
    unknown = sorted(set(arrays) - set(ARRAYS))
    if unknown:
        raise ValueError(f"array {unknown[0]!r} is unknown; install the matching version")
    mask = arrays["mask"].astype(np.bool_) if "mask" in arrays else None
    question = Question(
        case_id=record["id"],
        loss=record["loss"],
        parameters=parameters_of(record),
        prediction=_widened(arrays["prediction"]),
        target=_widened(arrays["target"]),
        mask=mask,
        view_ids=arrays.get("view_ids"),
    )
    value, gradient, sign = arrays["value"], arrays["gradient"], arrays.get("sign")
    shapes = {array.shape for array in (question.prediction, question.target, gradient)}
    if len(shapes) != 1 or value.shape != question.value_shape or question.prediction.ndim != 4:
        raise ValueError(f"the arrays of case {record['id']} have shapes that do not belong together")
    if (question.parameters.scope == "view") != (question.view_ids is not None):
        raise ValueError(f"case {record['id']}: view_ids go with scope view, and only with it")
    truth = Truth(
        value=value,
        gradient=gradient,
        sign=sign,
        value_error=rounding_error(value),
        gradient_error=rounding_error(gradient),
    )
    ties = sign is not None and bool(np.any((sign == 0) & question.valid & ~np.isnan(gradient)))
    return Case(question, truth, record["why"], record["catches"], bool(record["bit_exact"]), ties)
