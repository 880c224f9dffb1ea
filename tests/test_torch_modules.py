"""The Torch modules, the configuration that builds them, and everything that is refused, with what is said."""

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from test_torch_losses import IDS, half_masked

from conformance.codepaths import LossConfig
from conformance.codepaths.torch_losses import (
    AmplitudeL2MAE,
    AmplitudeMAE,
    PoissonNLL,
    amplitude_l2_mae,
    amplitude_mae,
    build_losses,
    intensity_scale,
    poisson_nll,
)

X = torch.ones(4, 2, 3, 5)
MODULES = [
    AmplitudeL2MAE("sample", "unit_rms", 2.0**-20, scope="view", domain="intensity"),
    AmplitudeMAE(2.5, "none", domain="intensity"),
    PoissonNLL(4.0, "saturated", "sum", rate_guard="log_add", rate_floor=0.5, normaliser="frozen_mean_intensity",
               normaliser_value=3.0),
]  # fmt: skip
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)


def call(module: torch.nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    p, t = (torch.rand(4, 2, 3, 5, generator=generator) for _ in range(2))
    ids = {"view_ids": IDS} if isinstance(module, AmplitudeL2MAE) else {}
    value: torch.Tensor = module(p, t, mask=half_masked(), **ids)
    return value


@each_module
def test_modules_copy_pickle_and_hold_no_state(module: torch.nn.Module) -> None:
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(call(again), call(module)) and repr(again) == repr(module)
    assert module.state_dict() == {} and not list(module.parameters())
    module.load_state_dict({})


def test_modules_are_the_functions_with_their_options() -> None:
    generator = torch.Generator().manual_seed(0)
    p, t = (torch.rand(4, 2, 3, 5, generator=generator) for _ in range(2))
    mask = half_masked()
    wanted = (
        amplitude_l2_mae(p, t, mask=mask, scope="view", view_ids=IDS, domain="intensity", reduction="sample",
                         gain="unit_rms", eps=2.0**-20),
        amplitude_mae(p, t, 2.5, mask=mask, reduction="none", domain="intensity"),
        poisson_nll(p, t, 4.0, mask=mask, constant="saturated", rate_guard="log_add", rate_floor=0.5,
                    normaliser="frozen_mean_intensity", normaliser_value=3.0, reduction="sum"),
    )  # fmt: skip
    assert all(torch.equal(call(module), value) for module, value in zip(MODULES, wanted))


def test_modules_say_their_options() -> None:
    options = "scope='view', domain='intensity', reduction='sample', gain='unit_rms', eps=9.5367431640625e-07"
    assert repr(MODULES[0]) == f"AmplitudeL2MAE({options})"
    assert repr(MODULES[1]) == "AmplitudeMAE(scale=2.5, domain='intensity', reduction='none')"
    assert repr(MODULES[2]) == (
        "PoissonNLL(scale=4.0, constant='saturated', rate_guard='log_add', rate_floor=0.5, "
        "normaliser='frozen_mean_intensity', normaliser_value=3.0, reduction='sum')"
    )


@pytest.mark.parametrize("scope", ["sample", "patch", "view", "batch"])
def test_the_configuration_reaches_the_modules(scope: str) -> None:
    config = LossConfig(
        f"l2_{scope}", "unit_rms", "sample", 0.5, "lgamma", "sample_sum", 7.0, mae_domain="field",
        nll_rate_guard="clamp", nll_rate_floor=0.25, nll_normaliser="frozen_mean_intensity", nll_normaliser_value=9.0,
    )  # fmt: skip
    losses = build_losses(config)
    assert repr(losses.mae) == repr(AmplitudeL2MAE("sample", "unit_rms", 0.5, scope=scope, domain="field"))
    guard = {"rate_guard": "clamp", "rate_floor": 0.25}
    frozen = {"normaliser": "frozen_mean_intensity", "normaliser_value": 9.0}
    assert repr(losses.nll) == repr(PoissonNLL(7.0, "lgamma", "sample_sum", **guard, **frozen))
    legacy = build_losses(LossConfig(mae_domain="intensity", mae_reduction="sum", intensity_scale=2.0)).mae
    assert repr(legacy) == repr(AmplitudeMAE(2.0, "sum", domain="intensity"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nll_rate_guard": "clamp"}, "nll_rate_floor: got None with nll_rate_guard 'clamp'"),
        ({"nll_rate_floor": 1.0}, "nll_rate_floor: got 1.0 with nll_rate_guard 'none', which uses none"),
        ({"nll_rate_guard": "log_add", "nll_rate_floor": 0.0}, "nll_rate_floor: got 0.0, wanted a finite number"),
        ({"nll_normaliser": "frozen_mean_intensity"}, "nll_normaliser_value: got None"),
        ({"nll_normaliser": "batch_mean_amplitude", "nll_normaliser_value": 2.0}, "nll_normaliser_value: got 2.0"),
        ({"mae_domain": "photons"}, "mae_domain: got 'photons', wanted one of amplitude, intensity, field"),
        ({"nll_normaliser": "mean"}, "nll_normaliser: got 'mean'"),
        ({"mae_normalization": "l2_object"}, "none, l2_sample, l2_patch, l2_view, l2_batch"),
    ],
    ids=lambda given: ",".join(given) if isinstance(given, dict) else "",
)
def test_configurations_that_do_not_fit_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        LossConfig(**options)


def test_a_number_s_place_takes_no_bool_and_no_tensor() -> None:
    for wrong in (True, "1", torch.tensor(1.0)):
        with pytest.raises(TypeError, match=r"intensity_scale: got .*, wanted a number"):
            LossConfig(intensity_scale=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"eps: got .*, wanted a number"):
            amplitude_l2_mae(X, X, eps=wrong)  # type: ignore[arg-type]
    assert LossConfig(intensity_scale=np.float32(2)).intensity_scale == 2


l2 = amplitude_l2_mae
BAD_ARRAYS: list[tuple[str, Any, Any, type[Exception], str]] = [
    ("rank", X[0], X[0], ValueError, r"input: got shape \(2, 3, 5\), wanted four non-empty axes"),
    ("empty", X[:0], X[:0], ValueError, r"input: got shape \(0, 2, 3, 5\)"),
    ("shapes", X[:1], X, ValueError, "shapes differ: .*no broadcasting"),
    ("integer", X.int(), X.int(), TypeError, "input: got torch.int32, wanted a tensor of"),
    ("bool", X > 0, X > 0, TypeError, "input: got torch.bool"),
    ("complex", X + 0j, X + 0j, TypeError, "input: got torch.complex64"),
    ("mixed", X, X.double(), TypeError, "dtypes differ: input torch.float32, target torch.float64"),
    ("halves", X.half(), X.bfloat16(), TypeError, "dtypes differ"),
    ("array", np.ones((1, 1, 1, 1), "f4"), X, TypeError, "input: got ndarray"),
]


@pytest.mark.parametrize(
    ("p", "t", "error", "said"), [row[1:] for row in BAD_ARRAYS], ids=[row[0] for row in BAD_ARRAYS]
)
def test_arrays_that_are_refused_by_every_loss(p: Any, t: Any, error: type[Exception], said: str) -> None:
    for loss in (amplitude_l2_mae, amplitude_mae, lambda x, y: poisson_nll(x, y, 1.0)):
        with pytest.raises(error, match=said):
            loss(p, t)


BAD_OPTIONS: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (l2, {"scope": "channel"}, ValueError, "scope: got 'channel', wanted one of sample, patch, view, batch"),
    (l2, {"domain": "photons"}, ValueError, "domain: got 'photons'"),
    (l2, {"gain": "rms"}, ValueError, "gain: got 'rms'"),
    (l2, {"reduction": "sample_sum"}, ValueError, "reduction: got 'sample_sum'"),
    (l2, {"eps": 0.0}, ValueError, "eps: got 0.0, wanted a finite number above 0"),
    (l2, {"eps": float("inf")}, ValueError, "eps: got inf"),
    (l2, {"eps": 1e-40}, ValueError, "eps: got 1e-40, .* also in torch.float32"),
    (l2, {"scope": "view"}, ValueError, "view_ids: got None with scope 'view'"),
    (l2, {"view_ids": IDS}, ValueError, "view_ids: got ids with scope 'sample'"),
    (l2, {"scope": "view", "view_ids": IDS[:3]}, ValueError, r"view_ids: got shape \(3,\), wanted \(4,\)"),
    (l2, {"scope": "view", "view_ids": IDS[:, None]}, ValueError, r"view_ids: got shape \(4, 1\)"),
    (l2, {"scope": "view", "view_ids": IDS.float()}, TypeError, "view_ids: got torch.float32"),
    (l2, {"scope": "view", "view_ids": IDS > 0}, TypeError, "view_ids: got torch.bool"),
    (l2, {"scope": "view", "view_ids": [1, 2, 1, 2]}, TypeError, "view_ids: got list"),
    (l2, {"mask": X[0]}, ValueError, r"mask: got shape \(2, 3, 5\), wanted four axes"),
    (l2, {"mask": X[:3]}, ValueError, r"mask: got shape \(3, 2, 3, 5\)"),
    (l2, {"mask": X + 0j}, TypeError, "mask: got torch.complex64"),
    (l2, {"mask": np.ones((1, 1, 1, 1), bool)}, TypeError, "mask: got ndarray"),
    (l2, {"domain": "field"}, TypeError, "input: got torch.float32, wanted a tensor of torch.complex128"),
    (amplitude_mae, {"domain": "field"}, TypeError, "input: got torch.float32"),
    (amplitude_mae, {"reduction": "sample_sum"}, ValueError, "reduction: got 'sample_sum'"),
    (amplitude_mae, {"scale": 0.0}, ValueError, "scale: got 0.0"),
    (amplitude_mae, {"scale": torch.ones(4)}, ValueError, r"scale: got shape \(4,\), wanted a scalar"),
    (poisson_nll, {"scale": torch.tensor(1j)}, TypeError, "scale: got torch.complex64"),
    (poisson_nll, {"scale": float("nan")}, ValueError, "scale: got nan"),
    (poisson_nll, {"scale": 1.0, "constant": "Lgamma"}, ValueError, "constant: got 'Lgamma'"),
    (poisson_nll, {"scale": 1.0, "reduction": "sample"}, ValueError, "reduction: got 'sample'"),
    (poisson_nll, {"scale": 1.0, "rate_guard": "add"}, ValueError, "rate_guard: got 'add'"),
    (poisson_nll, {"scale": 1.0, "rate_guard": "clamp"}, ValueError, "rate_floor: got None with rate_guard 'clamp'"),
    (poisson_nll, {"scale": 1.0, "rate_floor": 1.0}, ValueError, "rate_floor: got 1.0 with rate_guard 'none'"),
    (poisson_nll, {"scale": 1.0, "rate_guard": "clamp", "rate_floor": -1.0}, ValueError, "rate_floor: got -1.0"),
    (poisson_nll, {"scale": 1.0, "normaliser": "mean"}, ValueError, "normaliser: got 'mean'"),
    (poisson_nll, {"scale": 1.0, "normaliser": "frozen_mean_intensity"}, ValueError, "normaliser_value: got None"),
    (poisson_nll, {"scale": 1.0, "normaliser_value": 1.0}, ValueError, "normaliser_value: got 1.0"),
]


@pytest.mark.parametrize(
    ("loss", "options", "error", "said"),
    BAD_OPTIONS,
    ids=[f"{row[0].__name__}-{number}" for number, row in enumerate(BAD_OPTIONS)],
)
def test_options_that_are_refused(loss: Any, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        loss(X, X, **options)


def test_scales_that_are_refused() -> None:
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="nphotons: got"):
            intensity_scale(X, wrong)
    with pytest.raises(ValueError, match="source: got 'mean', wanted one of dataset, closed_form"):
        intensity_scale(X, 1.0, source="mean")
    with pytest.raises(ValueError, match="rate_floor: got None"):
        PoissonNLL(1.0, rate_guard="clamp")
    with pytest.raises(TypeError, match="view_ids"):
        AmplitudeMAE()(X, X, view_ids=IDS)
