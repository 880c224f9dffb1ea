"""What the parameters and arrays of a case must look like, so that nothing is judged by a case that means nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.case import Array

PARAMETERS_OF: dict[str, tuple[str, ...]] = {
    "amplitude_l2_mae": ("reduction", "domain", "wrt", "scope", "gain", "eps"),
    "amplitude_mae": ("reduction", "domain", "wrt", "intensity_scale"),
    "poisson_nll": ("reduction", "intensity_scale", "constant", "rate_guard", "normaliser"),
}
"""All of them, always: a default that is not written down is a default that may change."""
NUMBERS = ("eps", "rate_floor", "normaliser_value")


def _require_positive(text: Any, what: str) -> None:
    number = float.fromhex(text)
    if not 0 < number < float("inf"):
        raise ValueError(f"{what} = {text!r}, wanted a finite number above 0")


def require_parameters(loss: str, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that are missing, belong to another loss, or are no usable numbers.

    Raises
    ------
    KeyError, OverflowError, TypeError, ValueError
        They are.
    """
    if loss not in PARAMETERS_OF:
        raise ValueError(f"loss {loss!r}, which is unknown: install the matching version")
    wanted = {*PARAMETERS_OF[loss]}
    if loss == "poisson_nll":
        wanted |= {"rate_floor"} if parameters["rate_guard"] != "none" else set()
        wanted |= {"normaliser_value"} if parameters["normaliser"] == "frozen_mean_intensity" else set()
    if parameters.keys() != wanted:
        raise ValueError(f"parameters {sorted(parameters.keys() ^ wanted)} of the loss {loss}: missing, or not its own")
    for name in NUMBERS:
        if name in parameters:
            _require_positive(parameters[name], name)
    if "intensity_scale" in parameters:
        scale = parameters["intensity_scale"]
        if scale.keys() != {"source", "value"} | ({"nphotons"} if scale["source"] != "given" else set()):
            raise ValueError(f"intensity_scale with {sorted(scale)}")
        for name in scale.keys() - {"source"}:
            _require_positive(scale[name], f"intensity_scale {name}")


def _require(array: Array, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    if array.dtype.str != dtype or array.shape != shape:
        raise ValueError(f"array {name} is {array.dtype.str} {array.shape}, wanted {dtype} {shape}")


def require_arrays(parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Refuse arrays whose dtypes and shapes do not belong together, or do not belong to the parameters.

    Raises
    ------
    KeyError, ValueError
        They do not.
    """
    real, shape = parameters.get("domain") != "field", arrays["prediction"].shape
    if len(shape) != 4:
        raise ValueError(f"array prediction has shape {shape}, wanted (B, C, H, W)")
    value_shape = {"none": shape, "sample": shape[:1]}.get(parameters["reduction"], ())
    stored = ("<f8" if arrays["prediction"].dtype.str == "<f8" else "<f4") if real else "<c8"
    for name in ("prediction", "target"):
        _require(arrays[name], name, stored, shape)
    _require(arrays["value"], "value", "<f8", value_shape)
    _require(arrays["gradient"], "gradient", "<f8" if real else "<c16", shape)
    if "sign" in arrays:
        _require(arrays["sign"], "sign", "|i1", shape)
        if not np.all(np.abs(arrays["sign"]) <= 1):
            raise ValueError("array sign holds something else than -1, 0 and 1")
    if "mask" in arrays:
        mask = arrays["mask"]
        _require(mask, "mask", "|u1", tuple(1 if mask.shape[i : i + 1] == (1,) else n for i, n in enumerate(shape)))
    if ("view_ids" in arrays) != (parameters.get("scope") == "view"):
        raise ValueError("view_ids go with scope view, and only with it")
    if "view_ids" in arrays:
        _require(arrays["view_ids"], "view_ids", "<i4", shape[:1])
