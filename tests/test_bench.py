"""The benchmark compares what it says it compares, in turn; how fast anything is, no test says."""

import bench
import numpy as np
import pytest

from conformance.liars.operations import FRAMEWORKS
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.arithmetic import both

SINGLE = ARITHMETICS["float32"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_loss_of_a_pair_has_a_value_and_a_gradient(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SHAPE", (2, 3, 4, 4))
    prediction, target, scale = bench.draw()
    assert np.mean(np.sum((scale * target) ** 2, (2, 3))) == pytest.approx(bench.PHOTONS / 3, rel=SINGLE.summation(96))
    known = bench.losses(framework, scale)
    assert {name for pair in bench.PAIRS for name in pair} == set(known)
    values = {}
    for name, loss in known.items():
        value, gradient = bench.STEPS[framework](loss, prediction, target, False)()
        assert np.isfinite(np.asarray(value)) and np.asarray(gradient).size == prediction.size
        values[name] = float(value)
    assert len(set(values.values())) >= len(values) - 1
    assert values["NLL"] == pytest.approx(values["plain NLL"], rel=both(SINGLE.summation(96), SINGLE.grow(64)))


def test_steps_are_timed_in_turn_and_the_first_calls_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], list[str]()

    def step(name: str, seconds: float) -> bench.Step:
        def run() -> str:
            calls.append(name)
            now[0] += 100 * seconds if calls.count(name) == 1 else seconds
            return name

        return run

    monkeypatch.setattr(bench, "perf_counter", lambda: now[0])
    first, second = bench.compared(step("a", 0.03), step("b", 0.01), rounds=5)
    assert first == pytest.approx([0.03] * 5) and second == pytest.approx([0.01] * 5)
    assert calls[6:12] == ["a", "b", "b", "a", "b", "b"]
    assert bench.row("torch", "eager", "a / b", first, second).ratio == pytest.approx(3)
