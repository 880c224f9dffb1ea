"""The three losses straight from the contract, in balls of many bits, of the arrays and parameters of one record.

Independent of the exact solvers: no sign, no rational, no closed gradient; gradients come from central differences,
which give an exact tie the derivative 0 because the modulus is even there.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np
from flint import arb, fmpq

BITS = 600
Index = tuple[int, ...]
Field = tuple[arb, arb]
Numbers = dict[Index, Field]


def numbers_of(array: np.ndarray, valid: np.ndarray) -> Numbers:
    """Return (real, imaginary) of every valid element."""
    return {
        index: (arb(float(array[index].real)), arb(float(array[index].imag)))
        for index in np.ndindex(array.shape)
        if valid[index]
    }


def _larger(left: arb, right: arb) -> arb:
    return left if left > right else right


def _amplitude(number: Field, domain: str) -> arb:
    if domain == "amplitude":
        return number[0]
    return number[0].sqrt() if domain == "intensity" else (number[0] ** 2 + number[1] ** 2).sqrt()


def _amplitudes(numbers: Numbers, domain: str) -> dict[Index, arb]:
    return {index: _amplitude(number, domain) for index, number in numbers.items()}


def _normalised(amplitudes: dict[Index, arb], label: Callable[[Index], Any], eps: arb, rms: bool) -> dict[Index, arb]:
    energy: dict[Any, arb] = {}
    count: dict[Any, int] = {}
    for index, a in amplitudes.items():
        energy[label(index)] = energy.get(label(index), arb(0)) + a * a
        count[label(index)] = count.get(label(index), 0) + 1
    unit = {key: _larger(e.sqrt(), eps) / (arb(count[key]).sqrt() if rms else 1) for key, e in energy.items()}
    return {index: a / unit[label(index)] for index, a in amplitudes.items()}


def _l2_differences(p: Numbers, t: Numbers, parameters: Mapping[str, Any], ids: np.ndarray | None) -> dict[Index, arb]:
    labels: dict[str, Callable[[Index], Any]] = {
        "sample": lambda index: index[0],
        "patch": lambda index: index[:2],
        "view": lambda index: int(ids[index[0]]),  # type: ignore[index]  # the record says so
        "batch": lambda _: 0,
    }
    eps, rms = arb(float.fromhex(parameters["eps"])), parameters["gain"] == "unit_rms"
    phat, that = (
        _normalised(_amplitudes(numbers, parameters["domain"]), labels[parameters["scope"]], eps, rms)
        for numbers in (p, t)
    )
    return {index: phat[index] - that[index] for index in phat}


def differences(
    p: Numbers, t: Numbers, loss: str, parameters: Mapping[str, Any], ids: np.ndarray | None
) -> dict[Index, arb]:
    """Return phat - that of every valid element, or s p - s t of the legacy loss."""
    if loss == "amplitude_l2_mae":
        return _l2_differences(p, t, parameters, ids)
    s = arb(float.fromhex(parameters["intensity_scale"]["value"]))
    left, right = (_amplitudes(numbers, parameters["domain"]) for numbers in (p, t))
    return {index: s * left[index] - s * right[index] for index in left}


def _squared_scale(parameters: Mapping[str, Any], t: Numbers, shape: Index) -> arb:
    scale = parameters["intensity_scale"]
    if scale["source"] == "given":
        return arb(float.fromhex(scale["value"])) ** 2
    nphotons = arb(float.fromhex(scale["nphotons"]))
    if scale["source"] == "closed_form":
        return nphotons / (arb(shape[2]) / 2) ** 2
    return nphotons * shape[0] * shape[1] / sum((re * re for re, _ in t.values()), arb(0))


def _constant(k: arb, constant: str) -> arb:
    if constant == "lgamma":
        return (k + 1).lgamma()
    if constant == "stirling":
        return k * k.log() - k + (2 * arb.pi() * k).log() / 2 if k > 1 else arb(0)
    if constant == "saturated" and k > 0:
        return k * k.log() - k
    return arb(0)


def _nll_elements(p: Numbers, t: Numbers, parameters: Mapping[str, Any], squared: arb) -> dict[Index, arb | float]:
    elements: dict[Index, arb | float] = {}
    guard, floor = parameters["rate_guard"], arb(float.fromhex(parameters.get("rate_floor", "0x0p+0")))
    for index in p:
        rate, k = squared * p[index][0] ** 2, squared * t[index][0] ** 2
        if guard == "clamp":
            rate = _larger(rate, floor)
        argument = rate + floor if guard == "log_add" else rate
        if k > 0 and argument == 0:
            elements[index] = inf
        else:
            elements[index] = rate - (k * argument.log() if k > 0 else 0) + _constant(k, parameters["constant"])
    return elements


def _divisor(parameters: Mapping[str, Any], t: Numbers) -> arb:
    if parameters.get("normaliser") == "frozen_mean_intensity":
        return arb(float.fromhex(parameters["normaliser_value"]))
    if parameters.get("normaliser") == "batch_mean_amplitude":
        mean = sum((re for re, _ in t.values()), arb(0)) / max(len(t), 1)
        return mean + arb(fmpq(1, 10**8))
    return arb(1)


def losses(
    p: Numbers, t: Numbers, loss: str, parameters: Mapping[str, Any], shape: Index, ids: np.ndarray | None
) -> dict[Index, list[arb | float]]:
    """Return, by the index of each number that the reduction returns, its terms; inf where an element is infinite."""
    elements: dict[Index, arb | float] = {}
    if loss != "poisson_nll":
        elements.update((index, abs(d)) for index, d in differences(p, t, loss, parameters, ids).items())
    else:
        elements = _nll_elements(p, t, parameters, _squared_scale(parameters, t, shape))
    divisor, reduction = _divisor(parameters, t), parameters["reduction"]
    keep = {"none": 4, "sample": 1}.get(reduction, 0)
    groups: dict[Index, list[arb | float]] = {index: [] for index in np.ndindex(shape[:keep])}
    for index, element in elements.items():
        groups[index[:keep]].append(element)
    for group in groups.values():
        count = {"mean": len(group), "sample": len(group), "sample_sum": shape[0]}.get(reduction, 1)
        group[:] = [element if isinstance(element, float) else element / count / divisor for element in group]
    return groups
