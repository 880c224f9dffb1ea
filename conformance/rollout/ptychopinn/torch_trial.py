"""The trial in Torch: a small `PtychoPINN_Lightning` of the checkout, one batch, one step."""

from pathlib import Path
from typing import Any

import torch

from conformance.codepaths.config import LossConfig
from conformance.exit_codes import BackendError, UsageError
from conformance.rollout.ptychopinn.checkout import fitting, module_of
from conformance.rollout.ptychopinn.dispatch import install
from conformance.rollout.ptychopinn.torch_install import CLASS
from conformance.rollout.ptychopinn.torch_used import AsUsed, batch_of
from conformance.rollout.ptychopinn.trial import Finding, judged, same

SIZE = 64
SAMPLES = 2


def small_model(path: Path, loss_mode: str) -> Any:
    """Build the model of the checkout with one channel, for amplitudes."""
    configs, models = module_of(path, "ptycho_torch.config_params"), module_of(path, "ptycho_torch.model")
    try:
        data = fitting(
            configs.DataConfig,
            N=SIZE,
            C=1,
            grid_size=(1, 1),
            gridsize=1,
            scale_contract_version="legacy_v1",
            measurement_domain="normalized_amplitude",
        )
        model = fitting(
            configs.ModelConfig,
            mode="Unsupervised",
            loss_function="MAE" if loss_mode == "mae" else "Poisson",
            C_model=1,
            C_forward=1,
            object_big=False,
            physics_forward_mode="amplitude",
        )
        training = fitting(configs.TrainingConfig, torch_loss_mode=loss_mode, epochs=1, batch_size=SAMPLES, n_devices=1)
        torch.manual_seed(0)
        return getattr(models, CLASS)(model, data, training, configs.InferenceConfig())
    except Exception as error:  # whatever this revision's constructors raise
        raise BackendError(f"{CLASS} of {path}: not built: {type(error).__name__}: {error}") from error


def _step(model: Any, batch: Any) -> dict[str, bytes]:
    model.zero_grad()
    loss = model.compute_loss(batch)
    loss.backward()
    bits = {"loss": loss.detach().numpy().tobytes()}
    for name, parameter in model.named_parameters():
        bits[name] = b"" if parameter.grad is None else parameter.grad.numpy().tobytes()
    return bits


def _refused(model: Any, config: LossConfig) -> bool:
    try:
        install(model, config)
    except UsageError as error:
        return "torch_loss_mode" in str(error)
    return False


def run_torch(path: Path, config: LossConfig) -> list[Finding]:
    """Train one step without, with and without the loss, and judge the loss that is used."""
    model = small_model(path, "mae").eval()
    images = torch.rand((SAMPLES, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(1)) + 0.25
    batch = batch_of(images)
    try:
        before = _step(model, batch)
    except Exception as error:  # a batch of another revision
        raise BackendError(f"{CLASS}.compute_loss of {path}: {type(error).__name__}: {error}") from error
    install(model, LossConfig())
    findings = [same("torch: 'none' leaves loss and gradient bit for bit", _step(model, batch), before)]
    installation = install(model, config)
    findings.append(judged(AsUsed(model), "torch", config.mae_normalization.removeprefix("l2_"), config.mae_gain))
    used = _step(model, batch)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
    moved = any(bool(gradient.any()) for gradient in gradients) and used["loss"] != before["loss"]
    findings.append(Finding("torch: a step with the loss has a finite gradient that is not 0", finite and moved))
    installation.uninstall()
    findings.append(same("torch: uninstall restores loss and gradient bit for bit", _step(model, batch), before))
    poisson = small_model(path, "poisson").eval()
    likelihood = _step(poisson, batch)
    findings.append(Finding("torch: a training with the NLL is refused", _refused(poisson, config)))
    findings.append(same("torch: the NLL has the same bits after the refusal", _step(poisson, batch), likelihood))
    return findings
