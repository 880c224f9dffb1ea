"""The arithmetic and the orders that stand in for devices are what they say they are."""

from fractions import Fraction

import numpy as np
from orders import ORDERS, Sums
from rounded import Machine


def test_every_order_adds_every_term_once_and_no_two_alike() -> None:
    terms = np.arange(1.0, 301.0)[None, :]
    rows = np.stack([np.arange(300), np.append(np.arange(100, 300), np.full(100, 300))])
    exact = Sums(Machine("double", "float64"), rows, 300, ORDERS).total(terms)
    assert np.array_equal(exact, np.broadcast_to([45150.0, 40100.0], exact.shape))
    spread = (np.random.default_rng(3).standard_normal((1, 300)) ** 3).astype(np.float32)
    results = Sums(Machine("ieee"), rows[:1], 300, ORDERS).total(spread)
    assert len(set(results.ravel().tolist())) >= 5
    fused = Sums(Machine("fused", fused=True), rows[:1], 300, ORDERS).dot(spread, spread)
    assert not np.array_equal(fused, Sums(Machine("ieee"), rows[:1], 300, ORDERS).dot(spread, spread))


def test_the_machines_stay_within_the_hypotheses_and_reach_them() -> None:
    generator = np.random.default_rng(4)
    x, y, z = (generator.random(500).astype(np.float32) + np.float32(0.5) for _ in range(3))
    up, down = Machine("up", lean="up"), Machine("down", lean="down")
    for machine in (up, down):
        for units, got, exact in (
            (2, machine.sqrt(x), np.sqrt(x.astype(float))),
            (4, machine.div(x, y), x.astype(float) / y),
            (8, machine.log(z + z), np.log(2 * z.astype(float))),
        ):
            off = (got - exact) / np.abs(exact) * 2.0**24 * (1 if machine is up else -1)
            assert np.all((off <= units) & (off > units - 2.5))
    fused = Machine("fused", fused=True).muladd(x, y, -z)
    for a, b, c, got in zip(x, y, z, fused):
        exact_sum = Fraction(float(a)) * Fraction(float(b)) - Fraction(float(c))
        assert abs(Fraction(float(got)) - exact_sum) <= abs(exact_sum) * Fraction(1, 2**24) * (1 + Fraction(1, 2**28))
    tiny = np.float32(2.0**-126) * np.ones(1, np.float32)
    assert Machine("flush", flush=True).mul(tiny, np.float32(0.5)) == 0 < Machine("ieee").mul(tiny, np.float32(0.5))
