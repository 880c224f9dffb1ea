"""Which runs the study is made of."""

from collections.abc import Iterator
from itertools import product

from conformance.rollout.study.settings import ARMS, COMBINED, Setting

SEEDS = {"synthetic": range(5), "real-like": range(9)}
"""More where an object may be too fine for so small a network, so that five pairs are left after the gates."""
SWEEP_SEEDS = range(3)
WRONG_SCALES = (0.1, 0.5, 2.0, 10.0)
COUNTS = (1e6, 1e3)
MIDDLE_COUNT = 1e4
SIMULATED = ("synthetic", "real-like")


def _distinct(channels: int, arms: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the scope `patch` where a sample is one pattern: it is the scope `sample`, bit for bit."""
    return tuple(arm for arm in arms if channels > 1 or not arm.endswith("l2_patch"))


def core() -> Iterator[Setting]:
    """Yield every arm on two data sets, alone and jointly, at high and low dose, at the right scale."""
    for data, seeds in SEEDS.items():
        for seed, channels, photons in product(seeds, (4, 1), COUNTS):
            for arm in _distinct(channels, ARMS):
                yield Setting(data, channels, photons, arm, seed)


def sweep() -> Iterator[Setting]:
    """Yield the arms at a wrong scale, both data sets, four channels, high dose."""
    for seed, data, k in product(SWEEP_SEEDS, SIMULATED, WRONG_SCALES):
        for arm in ARMS:
            yield Setting(data, 4, 1e6, arm, seed, k=k)


def combined() -> Iterator[Setting]:
    """Yield the NLL with each of the others, at low and high dose, four channels."""
    for seed, data, photons in product(SWEEP_SEEDS, SIMULATED, COUNTS):
        for arm in COMBINED:
            yield Setting(data, 4, photons, arm, seed)


def variations() -> Iterator[Setting]:
    """Yield one factor changed at a time, from four channels at high dose."""
    changes: tuple[dict[str, object], ...] = (
        {"head": "unbounded"},
        {"head": "unbounded", "k": 10.0},
        {"head": "unbounded", "k": 0.1},
        {"jitter": 2.0},
        {"generator": "fno"},
        {"probe_scale": 4.0},
        {"photons": MIDDLE_COUNT},
        {"gain": "unit_l2"},
    )
    for seed, change, data in product(SWEEP_SEEDS, changes, SIMULATED):
        for arm in ("mae", "l2_sample", "l2_batch"):
            if "gain" in change and arm == "mae":
                continue
            yield Setting(**{"data": data, "channels": 4, "photons": 1e6, "arm": arm, "seed": seed, **change})  # type: ignore[arg-type]  # one factor each


def elsewhere() -> Iterator[Setting]:
    """Yield runs whose loss is the shipped Torch or TensorFlow one, to be set beside the same runs of JAX."""
    for backend, arm, data in product(("torch", "tensorflow"), ("mae", "l2_sample", "l2_batch", "nll"), SIMULATED):
        yield Setting(data, 4, 1e6, arm, 0, backend=backend)


def measured(
    photons: float, channels: int, arms: tuple[str, ...], seeds: int, head: str, steps: int
) -> Iterator[Setting]:
    """Yield the arms on a measured scan; seeds draw weights and batches, as there is nothing else to draw."""
    for seed in range(seeds):
        for arm in _distinct(channels, arms):
            yield Setting("measured", channels, photons, arm, seed, head=head, steps=steps)


def smoke() -> Iterator[Setting]:
    """Yield a few short runs that touch every part, for CI."""
    yield Setting("synthetic", 4, 1e6, "l2_sample", 0, steps=20)
    yield Setting("synthetic", 4, 1e6, "l2_sample", 0, backend="torch", steps=20)
    yield Setting("synthetic", 4, 1e6, "l2_sample", 0, backend="tensorflow", steps=20)
    yield Setting("real-like", 1, 1e3, "nll+l2_sample_var", 0, head="unbounded", jitter=2.0, steps=8)
    yield Setting("real-like", 4, 1e4, "l2_patch", 1, generator="fno", probe_scale=4.0, k=10.0, steps=5)


PARTS = {
    "core": core,
    "sweep": sweep,
    "combined": combined,
    "variations": variations,
    "elsewhere": elsewhere,
    "smoke": smoke,
}
FULL = ("core", "sweep", "elsewhere", "variations", "combined")
"""The parts of the full study, the most wanted first."""


def settings(parts: tuple[str, ...]) -> list[Setting]:
    """Return the distinct settings of some parts, in order."""
    return list(dict.fromkeys(setting for part in parts for setting in PARTS[part]()))
