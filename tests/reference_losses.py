"""The reference's losses under every option, by name, and data to ask them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import oracle

Loss = Callable[..., Any]
IDS = np.array([7, -3, 7], np.int32)
L2: dict[str, Loss] = {
    f"l2-{scope}": partial(oracle.amplitude_l2_mae, scope=scope) for scope in ("sample", "patch", "batch")
}
L2["l2-view"] = partial(oracle.amplitude_l2_mae, scope="view", view_ids=IDS)
MAE: dict[str, Loss] = {
    **L2,
    "l2-unit-rms": partial(L2["l2-view"], gain="unit_rms"),
    "l2-intensity": partial(oracle.amplitude_l2_mae, domain="intensity"),
    "mae": partial(oracle.amplitude_mae, intensity_scale=3.0),
}
NLL: dict[str, Loss] = {
    **{f"nll-{c}": partial(oracle.poisson_nll, intensity_scale=2.0, constant=c) for c in ("none", "lgamma")},
    **{f"nll-{c}": partial(oracle.poisson_nll, intensity_scale=2.0, constant=c) for c in ("stirling", "saturated")},
    "nll-clamp": partial(oracle.poisson_nll, intensity_scale=2.0, rate_guard="clamp", rate_floor=1.5),
    "nll-log-add": partial(
        oracle.poisson_nll, intensity_scale=2.0, rate_guard="log_add", rate_floor=1.5, constant="lgamma"
    ),
    "nll-batch": partial(oracle.poisson_nll, intensity_scale=2.0, normaliser="batch_mean_amplitude"),
    "nll-frozen": partial(
        oracle.poisson_nll, intensity_scale=2.0, normaliser="frozen_mean_intensity", normaliser_value=0.375
    ),
}
LOSSES = {**MAE, **NLL}
COMPILED = ("l2-patch", "l2-unit-rms", "l2-intensity", "mae", "nll-lgamma", "nll-clamp", "nll-log-add", "nll-batch")
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_code = pytest.mark.parametrize("loss", [LOSSES[name] for name in COMPILED], ids=COMPILED)  # where compiling costs


def data(seed: int, shape: tuple[int, ...] = (3, 2, 4, 6)) -> tuple[Any, Any]:
    """Amplitudes in eighths from 1/8 to 5, samples of very different energy, with ties."""
    draw = np.random.default_rng(seed).integers(1, 41, (2, *shape)) / 8
    draw[:, 1] *= 0.25
    draw[0, 0, 0, 0] = draw[1, 0, 0, 0]
    return draw[0], draw[1]


def complex_data(seed: int) -> tuple[Any, Any]:
    p, t = data(seed)
    q, r = data(seed + 1)
    return p + 1j * (q - 2), t - 1j * (r - 2)


def groups(scope: str, shape: tuple[int, ...]) -> Any:
    """An integer per element: which scope it is in."""
    b, c, _, _ = np.indices(shape)
    return {"sample": b, "patch": b * shape[1] + c, "view": IDS[b], "batch": 0 * b}[scope]
