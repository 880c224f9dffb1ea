"""Orders in which a device may add: lanes that accumulate, and a tree that brings the lanes together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Add = Callable[[Array, Array], Array]
Combine = Callable[[Array, Add], Array]


def in_sequence(lanes: Array, add: Add) -> Array:
    total = lanes[:, 0]
    for lane in range(1, lanes.shape[1]):
        total = add(total, lanes[:, lane])
    return total


def halving(lanes: Array, add: Add) -> Array:
    """Lane i takes lane i + width / 2: a shuffle within a warp, or a tree in shared memory."""
    while (width := lanes.shape[1]) > 1:
        half = (width + 1) // 2
        added = add(lanes[:, : width - half], lanes[:, half:])
        lanes = added if width % 2 == 0 else np.concatenate([added, lanes[:, half - 1 : half]], axis=1)
    return lanes[:, 0]


def neighbours(lanes: Array, add: Add) -> Array:
    while (width := lanes.shape[1]) > 1:
        even = width // 2 * 2
        added = add(lanes[:, 0:even:2], lanes[:, 1:even:2])
        lanes = added if width == even else np.concatenate([added, lanes[:, even:]], axis=1)
    return lanes[:, 0]


def warps_then_atomics(lanes: Array, add: Add) -> Array:
    """Each warp of 32 by shuffles; one atomic addition per warp, the last warp first."""
    warps = [halving(lanes[:, start : start + 32], add) for start in range(0, lanes.shape[1], 32)]
    return in_sequence(np.stack(warps[::-1], axis=1), add)


@lru_cache(maxsize=256)
def _pairs_by_chance(seed: int, lanes: int) -> tuple[tuple[Array, int], ...]:
    generator, levels = np.random.default_rng(seed), []
    while lanes > 1:
        pairs = int(generator.integers(max(1, lanes // 4), lanes // 2 + 1))
        levels.append((generator.permutation(lanes), pairs))
        lanes -= pairs
    return tuple(levels)


def random_tree(seed: int) -> Combine:
    """Pairs by chance, and as many of them per level as chance has it, so that branches differ in depth."""

    def combine(lanes: Array, add: Add) -> Array:
        for order, pairs in _pairs_by_chance(seed, lanes.shape[1]):
            lanes = lanes[:, order]
            added = add(lanes[:, :pairs], lanes[:, pairs : 2 * pairs])
            lanes = np.concatenate([added, lanes[:, 2 * pairs :]], axis=1)
        return lanes[:, 0]

    return combine


@dataclass(frozen=True)
class Order:
    """Terms are sorted, or shuffled, dealt to `lanes` accumulators with a stride or in pieces, and these combined.

    `lanes` 0 stands for one per term, a negative number for lanes of so many consecutive terms.
    """

    name: str
    lanes: int
    combine: Combine = in_sequence
    sorted_by: Callable[[Array], Array] | None = None
    shuffled: int | None = None
    reverse: bool = False

    def deal(self, rows: Array, nothing: int) -> Array:
        """Return the positions (steps, rows, lanes) of the elements at `rows` (rows, n), padded with `nothing`."""
        number, size = rows.shape
        if self.shuffled is not None:
            rows = rows[:, np.random.default_rng(self.shuffled).permutation(size)]
        lanes = min(self.lanes, size) if self.lanes > 0 else (size if self.lanes == 0 else -(size // self.lanes))
        steps = -(-size // lanes)
        padded = np.full((number, steps * lanes), nothing)
        padded[:, :size] = rows
        if self.lanes < 0:
            return np.moveaxis(padded.reshape(number, lanes, steps), 2, 0)
        return np.moveaxis(padded.reshape(number, steps, lanes), 1, 0)


ORDERS = (
    Order("sequential", 1),
    Order("reversed", 1, reverse=True),
    Order("ascending", 1, sorted_by=np.abs),
    Order("descending", 1, sorted_by=lambda x: -np.abs(x)),
    Order("negative-first", 1, sorted_by=lambda x: x),
    Order("blocks-of-7", -7),
    Order("pairwise", 0, neighbours),
    Order("warp", 32, halving),
    Order("block-of-128", 128, warps_then_atomics),
    Order("block-of-1024", 1024, halving),
    Order("random-tree-1", 0, random_tree(1)),
    Order("random-tree-2", 0, random_tree(2)),
    Order("random-lanes-3", 5, random_tree(3), shuffled=3),
)


@lru_cache(maxsize=4096)
def _dealt_once(order: Order, rows: bytes, shape: tuple[int, int], size: int) -> Array:
    return order.deal(np.frombuffer(rows, np.intp).reshape(shape), size)


def _dealt(order: Order, rows: Array, size: int) -> Array:
    return _dealt_once(order, rows.astype(np.intp).tobytes(), rows.shape, size)


class Adder(Protocol):
    """The part of a machine that sums need."""

    fused: bool

    def add(self, left: Array, right: Array) -> Array: ...

    def mul(self, left: Array, right: Array) -> Array: ...

    def muladd(self, left: Array, right: Array, addend: Array) -> Array: ...

    def flushes(self, array: Array) -> bool: ...


class Sums:
    """Sums over rows of elements, one result per order: elements are (K, N) or (1, N), results (K, number of rows).

    `rows` (rows, n) holds positions of elements, and N where a row is shorter than the longest. Zeros that a mask left
    are added like any other term, as codepaths do. `lose` is a defect: the middle one of every row, by magnitude, is
    forgotten.
    """

    def __init__(self, machine: Adder, rows: Array, size: int, orders: Sequence[Order], lose: bool = False) -> None:
        self.machine, self.rows, self.size, self.orders, self.lose = machine, rows, size, orders, lose
        self.chains = [k for k, order in enumerate(orders) if order.lanes == 1]
        self.dealt = {k: _dealt(order, rows, size) for k, order in enumerate(orders) if order.lanes != 1}

    def total(self, terms: Array) -> Array:
        """Sum the terms of each row."""
        return self._summed(terms, None)

    def dot(self, left: Array, right: Array) -> Array:
        """Sum the products of two factors: accumulated with one rounding each where the machine is fused."""
        if not self.machine.fused:
            return self._summed(self.machine.mul(left, right), None)
        shape = (max(left.shape[0], right.shape[0]), self.size)
        return self._summed(np.broadcast_to(left, shape), np.broadcast_to(right, shape))

    def _summed(self, left: Array, right: Array | None) -> Array:
        if self.lose:
            left = self._without_the_middle(left, right)
        left, right = self._with_nothing(left), None if right is None else self._with_nothing(right)
        result = np.empty((len(self.orders), self.rows.shape[0]), left.dtype)
        if self.chains:
            of_chain = [self._chain(self.orders[k], k % left.shape[0], left, right) for k in self.chains]
            positions = np.stack(of_chain)
            which = np.array([k % left.shape[0] for k in self.chains])[:, None, None]
            factors = [None if x is None else np.moveaxis(x[which, positions], 2, 0) for x in (left, right)]
            result[self.chains] = self._accumulated(*factors)
        for k, positions in self.dealt.items():
            own = k % left.shape[0]
            lanes = self._accumulated(left[own][positions], None if right is None else right[own][positions])
            result[k] = self.orders[k].combine(lanes, self.machine.add)
        return result

    def _with_nothing(self, terms: Array) -> Array:
        return np.concatenate([terms, np.zeros((terms.shape[0], 1), terms.dtype)], axis=1)

    def _chain(self, order: Order, own: int, left: Array, right: Array | None) -> Array:
        if order.sorted_by is None:
            return self.rows[:, ::-1] if order.reverse else self.rows
        terms = left[own] if right is None else left[own] * right[own]
        ranks = np.argsort(order.sorted_by(terms[self.rows]), axis=1, kind="stable")
        return np.take_along_axis(self.rows, ranks, axis=1)

    def _accumulated(self, left: Array, right: Array | None) -> Array:
        """Accumulate along the first axis, one after the other, each partial sum rounded."""
        if right is None:
            partial = np.add.accumulate(left, axis=0)
            if not self.machine.flushes(partial):
                return partial[-1]
            total = left[0]
            for terms in left[1:]:
                total = self.machine.add(total, terms)
            return total
        total = np.zeros(left.shape[1:], left.dtype)
        for a, b in zip(left, right):
            total = self.machine.muladd(a, b, total)
        return total

    def _without_the_middle(self, left: Array, right: Array | None) -> Array:
        terms = np.abs(left if right is None else left * right)
        kept = np.array(left)
        for k in range(kept.shape[0]):
            for row in self.rows:
                lit = [i for i in row if i < self.size and terms[k, i] > 0]
                if lit:
                    kept[k, sorted(lit, key=lambda i: terms[k, i])[len(lit) // 2]] = 0
        return kept
