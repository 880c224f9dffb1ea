"""The amplitude loss in `PtychoPINN_Lightning.compute_loss`, in its unsupervised amplitude branch, of one model.

The branch computes `Loss(prediction, target).mean() / (batch mean + 1e-8)` and adds regularisers. The stand-in that is
put in the place of `Loss` keeps the pair and gives 0, so that the quotient is 0 as well; the new loss is then added to
what remains. Nothing is divided and multiplied back: the term is the shipped loss, bit for bit.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from conformance.codepaths.config import LossConfig
from conformance.codepaths.torch_losses import build_losses
from conformance.exit_codes import UsageError
from conformance.rollout.ptychopinn.installation import Installation

CLASS = "PtychoPINN_Lightning"
WHERE = f"{CLASS}.compute_loss of ptycho_torch/model.py, unsupervised amplitude branch"
LEGACY = "MAELoss"


def _wrong(name: str, got: object, wanted: str, advice: str) -> UsageError:
    return UsageError(f"{CLASS}.{name}: got {got!r}, wanted {wanted}; {advice}")


def require_branch(model: Any) -> None:
    """Refuse a model in whose mode the amplitude branch is not taken, or is taken with another option.

    Raises
    ------
    UsageError
        Supervised, rectangular or count-intensity mode, loss mode "poisson", or the L2-match option.
    """
    model_config = getattr(model, "model_config", None)
    mode = getattr(model_config, "mode", None)
    if mode != "Unsupervised":
        raise _wrong("model_config.mode", mode, "'Unsupervised'", "the loss compares diffraction, not labels")
    forward = getattr(model_config, "physics_forward_mode", "amplitude")
    if forward != "amplitude":
        advice = "this mode predicts intensities, whose scale its loss must keep; train it without mae_normalization"
        raise _wrong("model_config.physics_forward_mode", forward, "'amplitude'", advice)
    domain = getattr(getattr(model, "data_config", None), "measurement_domain", "normalized_amplitude")
    if domain == "count_intensity" or getattr(model, "_ci_mode", False):
        advice = "counts are for the Poisson NLL, in absolute photons; train them without mae_normalization"
        raise _wrong("data_config.measurement_domain", "count_intensity", "amplitudes", advice)
    loss_mode = getattr(model, "torch_loss_mode", None) or str(getattr(model_config, "loss_function", None)).lower()
    if loss_mode != "mae":
        advice = "a training with the NLL has no amplitude term here, and the NLL is never normalised"
        raise _wrong("torch_loss_mode", loss_mode, "'mae'", advice)
    if getattr(model, "torch_mae_pred_l2_match_target", False):
        advice = "it rescales the prediction, this loss both; set it to False"
        raise _wrong("torch_mae_pred_l2_match_target", True, "False", advice)


class Handed(nn.Module):
    """Stands where the checkout keeps its loss: remembers what it is called with, and gives 0."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return 0, of the prediction's dtype and device."""
        self.pairs.append((prediction, target))
        return prediction.new_zeros(())


class ComputeLoss:
    """`compute_loss` of one model, with its amplitude term replaced."""

    def __init__(self, model: Any, handed: Handed, mae: nn.Module, scope: str) -> None:
        self.model, self.handed, self.mae, self.scope = model, handed, mae, scope
        self.original = model.compute_loss

    def _ids(self, fields: Any, target: Tensor) -> dict[str, Tensor]:
        if self.scope != "view":
            return {}
        try:
            ids: Tensor = fields["experiment_id"]
        except KeyError:
            raise UsageError(
                "batch[0]: got no field 'experiment_id', wanted one integer per sample: norms over views need to know "
                "which samples are of one object; add the field, or use l2_sample"
            ) from None
        return {"view_ids": ids.reshape(-1) if ids.numel() == target.shape[0] else ids}

    def __call__(self, batch: Any) -> Tensor:
        """Return the loss of a batch: the new amplitude term and the checkout's regularisers."""
        require_branch(self.model)
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if self.scope in ("view", "batch") and together and torch.distributed.get_world_size() > 1:
            raise UsageError(
                f"mae_normalization: got 'l2_{self.scope}' in a process group of {torch.distributed.get_world_size()}, "
                "wanted one process: each would have norms of its own part of the batch; use l2_sample or l2_patch"
            )
        self.handed.pairs.clear()
        remaining = self.original(batch)
        pairs = tuple(self.handed.pairs)
        self.handed.pairs.clear()
        if len(pairs) != 1:
            raise UsageError(
                f"{CLASS}.compute_loss: called Loss {len(pairs)} times, wanted once: this checkout computes its "
                "loss in another way than the one that install knows; uninstall, and put the loss in by hand"
            )
        ((prediction, target),) = pairs
        term: Tensor = self.mae(prediction, target, **self._ids(batch[0], target))
        total: Tensor = term + remaining
        return total


def _require_shape(model: Any) -> None:
    if isinstance(vars(model).get("compute_loss"), ComputeLoss):
        raise UsageError(f"{CLASS}.compute_loss: got one that install put there, wanted the class's; uninstall first")
    if CLASS not in (kind.__name__ for kind in type(model).__mro__):
        raise UsageError(f"model: got {type(model).__name__}, wanted {CLASS} of ptycho_torch/model.py; give that one")
    method = getattr(model, "compute_loss", None)
    parameters = list(inspect.signature(method).parameters) if callable(method) else []
    if len(parameters) != 1:
        advice = "this checkout has another interface; put the loss in by hand"
        raise _wrong("compute_loss", f"parameters {parameters}", "a method of one batch", advice)
    require_branch(model)
    loss = getattr(model, "Loss", None)
    if not isinstance(loss, nn.Module) or type(loss).__name__ != LEGACY:
        advice = "this checkout, or somebody before, has another loss there; put the loss in by hand"
        raise _wrong("Loss", type(loss).__name__, LEGACY, advice)


def install_torch(model: Any, config: LossConfig) -> Installation:
    """Put the loss in; see `install`."""
    _require_shape(model)
    scope = config.mae_normalization.removeprefix("l2_")
    steps = getattr(getattr(model, "training_config", None), "accum_steps", 1)
    if scope in ("view", "batch") and steps != 1:
        advice = f"norms of 'l2_{scope}' are of the whole batch, parts of it have others; use l2_sample or l2_patch"
        raise _wrong("training_config.accum_steps", steps, "1", advice)
    legacy, handed, mae = model.Loss, Handed(), build_losses(config).mae
    placed = ComputeLoss(model, handed, mae, scope)

    def undo() -> None:
        if vars(model).get("compute_loss") is not placed or model.Loss is not handed:
            raise UsageError(f"{CLASS}: got another loss than install put there, wanted that one; nothing was restored")
        del model.compute_loss
        model.Loss = legacy

    model.Loss, model.compute_loss = handed, placed
    notes = (
        f"the value logged as {getattr(model, 'loss_name', 'the training loss')!r} is the new loss",
        "not divided by the batch mean amplitude",
        "a checkpoint holds weights only: install again after loading one",
    )
    replaced = f"{LEGACY}() / (mean amplitude of the batch + 1e-8)"
    return Installation("torch", config.mae_normalization, WHERE, replaced, repr(mae), notes, undo)
