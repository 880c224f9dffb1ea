"""Where an error lives: by element, by sample, by amplitude, by case."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.case import Bool, Case, Float64, Question
from conformance.diagnosis.subject import Subject
from conformance.judge import Examination
from conformance.verdict import element_margins

HIT = 0.5
"""Share of a place that must be wrong for it to be named."""
WIDEST = 0.75
"""Share of all elements that a place may have at most, to say anything."""
FEWEST = 2
"""Cases on either side of a statement about cases."""
MOST = 3


def _index(axis: int, wanted: Callable[[int], Iterable[int]]) -> Callable[[Case], Bool]:
    def place(case: Case) -> Bool:
        shape = case.question.prediction.shape
        chosen = np.zeros(shape[axis], np.bool_)
        chosen[list(wanted(shape[axis]))] = True
        return np.broadcast_to(chosen.reshape([-1 if a == axis else 1 for a in range(4)]), shape)

    return place


def _first_pixel(case: Case) -> Bool:
    place = np.zeros(case.question.prediction.shape, np.bool_)
    place[:, :, 0, 0] = True
    return place


def _ties(case: Case) -> Bool:
    sign = case.truth.sign
    return np.zeros(case.question.prediction.shape, np.bool_) if sign is None else np.asarray(sign == 0)


PLACES: dict[str, Callable[[Case], Bool]] = {
    "exact ties": _ties,
    "the first pixel of each frame": _first_pixel,
    "pixel row 0": _index(2, lambda n: [0]),
    "the last pixel row": _index(2, lambda n: [n - 1]),
    "pixel column 0": _index(3, lambda n: [0]),
    "the last pixel column": _index(3, lambda n: [n - 1]),
    "the first sample": _index(0, lambda n: [0]),
    "the last sample": _index(0, lambda n: [n - 1]),
    "samples beyond the first": _index(0, lambda n: range(1, n)),
    "samples beyond the eighth": _index(0, lambda n: range(8, n)),
    "the first channel": _index(1, lambda n: [0]),
    "channels beyond the first": _index(1, lambda n: range(1, n)),
    "masked elements": lambda case: ~case.question.valid,
    "elements without predicted amplitude": lambda case: np.asarray(case.question.prediction == 0),
    "elements without counts": lambda case: np.asarray(case.question.target == 0),
    "elements where the prediction is above the target": lambda case: (
        np.abs(case.question.prediction) > np.abs(case.question.target)
    ),
    "elements where the prediction is below the target": lambda case: (
        np.abs(case.question.prediction) < np.abs(case.question.target)
    ),
}
"""Name -> the elements of a case that it means."""


def _norm(array: np.ndarray) -> Float64:
    squared = np.sum(np.square(np.abs(array)), axis=(1, 2, 3), keepdims=True)
    return np.broadcast_to(np.sqrt(squared), array.shape)


def _photons(question: Question, array: np.ndarray) -> Float64:
    scale = question.parameters.scale.value if question.parameters.scale else 1.0
    return np.asarray(np.square(scale * np.abs(array)))


RANGES: dict[str, Callable[[Question], Float64]] = {
    "|p|": lambda q: np.abs(q.prediction),
    "|t|": lambda q: np.abs(q.target),
    "||p|| of the sample": lambda q: _norm(q.prediction),
    "||t|| of the sample": lambda q: _norm(q.target),
    "(s p)^2": lambda q: _photons(q, q.prediction),
    "(s t)^2": lambda q: _photons(q, q.target),
}
"""Name -> a number per element whose range may tell wrong ones from right ones."""

NUMBERS: dict[str, Callable[[Question], float]] = {
    "B": lambda q: q.prediction.shape[0],
    "C": lambda q: q.prediction.shape[1],
    "odd H": lambda q: q.prediction.shape[2] % 2,
    "odd W": lambda q: q.prediction.shape[3] % 2,
    "H": lambda q: q.prediction.shape[2],
    "W": lambda q: q.prediction.shape[3],
    "B C H W": lambda q: q.prediction.size,
    "a mask": lambda q: float(q.mask is not None),
    "a number that is not finite": lambda q: float(not np.all(np.isfinite(q.prediction) & np.isfinite(q.target))),
    "the smallest ||p|| of a sample": lambda q: float(np.min(_norm(q.prediction))),
    "the smallest ||t|| of a sample": lambda q: float(np.min(_norm(q.target))),
    "the largest |p|": lambda q: float(np.max(np.abs(q.prediction))),
    "the smallest |p|": lambda q: float(np.min(np.abs(q.prediction))),
    "the largest |t|": lambda q: float(np.max(np.abs(q.target))),
    "the smallest |t|": lambda q: float(np.min(np.abs(q.target))),
    "the largest count (s t)^2": lambda q: float(np.max(_photons(q, q.target))),
    "the largest rate (s p)^2": lambda q: float(np.max(_photons(q, q.prediction))),
}
"""Name -> a number per case, 0 or 1 for what is there or not."""
YES_OR_NO = ("odd H", "odd W", "a mask", "a number that is not finite")


@dataclass(frozen=True)
class Wrong:
    """The elements of one failing case whose gradient, or value per element, is beyond its tolerance."""

    case: Case
    elements: Bool


def wrong_elements(examinations: Sequence[Examination], dtype: str) -> list[Wrong]:
    """Return what is wrong where, in the cases in which an element can be blamed."""
    found = []
    for one in examinations:
        if not one.answers:
            continue
        with np.errstate(all="ignore"):
            each = element_margins(one.case, one.answers[-1], dtype)
        if each is None:
            continue
        value, gradient = each
        wrong = (gradient > 1) & (one.verdict.gradient_margin > 1)  # any subgradient may have been asked for
        if value.shape == wrong.shape:
            wrong |= value > 1
        if np.any(wrong):
            found.append(Wrong(one.case, np.asarray(wrong)))
    return found


def apart(low: float, high: float) -> tuple[str, str]:
    """Return two numbers in as few digits as leave them apart, the lower one rounded up and the higher one down."""
    for digits in range(3, 17):
        one, other = f"{low:.{digits}g}", f"{high:.{digits}g}"
        if low <= float(one) < float(other) <= high:
            return one, other
    return f"{low:.17g}", f"{high:.17g}"


def by_place(found: Sequence[Wrong], where: str = "") -> list[str]:
    """Return the narrowest places that hold every wrong element of every case, and are mostly wrong."""
    total = sum(one.elements.size for one in found)
    bad = sum(int(one.elements.sum()) for one in found)
    named = []
    for name, place in PLACES.items():
        masks = [np.broadcast_to(place(one.case), one.elements.shape) for one in found]
        size = sum(int(mask.sum()) for mask in masks)
        inside = all(not np.any(one.elements & ~mask) for one, mask in zip(found, masks))
        if inside and size <= WIDEST * total and bad >= HIT * size:
            named.append((size, f"{where}only {name} differ{'s' if name.startswith(('the ', 'pixel')) else ''}"))
    return [text for _, text in sorted(named)[:MOST]]


def by_range(found: Sequence[Wrong], where: str = "") -> list[str]:
    """Return the amplitude ranges that part every wrong element from every right one."""
    said = []
    for name, number in RANGES.items():
        wrong = np.concatenate([number(one.case.question)[one.elements] for one in found])
        right = np.concatenate([number(one.case.question)[~one.elements & one.case.question.valid] for one in found])
        wrong, right = wrong[np.isfinite(wrong)], right[np.isfinite(right)]
        if wrong.size == 0 or right.size == 0:
            continue
        if np.max(wrong) < np.min(right):
            low, high = apart(float(np.max(wrong)), float(np.min(right)))
            said.append(f"{where}only elements with {name} <= {low} differ, none from {high} on")
        elif np.min(wrong) > np.max(right):
            low, high = apart(float(np.max(right)), float(np.min(wrong)))
            said.append(f"{where}only elements with {name} >= {high} differ, none up to {low}")
    return said[:MOST]


def by_case(subject: Subject) -> list[str]:
    """Return what every failing case has and no passing one."""
    sides = [[one.case.question for one in side] for side in (subject.failing, subject.passing)]
    if min(len(side) for side in sides) < FEWEST:
        return []
    said = []
    for name, number in NUMBERS.items():
        with np.errstate(all="ignore"):
            fails, passes = ([float(number(question)) for question in side] for side in sides)
        if not np.all(np.isfinite([*fails, *passes])):
            continue
        low, high = min(fails) > max(passes), max(fails) < min(passes)
        if name in YES_OR_NO:
            said += [f"fails exactly in the cases with {name}"] if low else []
        elif low:
            below, above = apart(max(passes), min(fails))
            said.append(f"fails exactly in the cases with {name} >= {above}; passes up to {below}")
        elif high:
            below, above = apart(max(fails), min(passes))
            said.append(f"fails exactly in the cases with {name} <= {below}; passes from {above}")
    return said[:MOST]
