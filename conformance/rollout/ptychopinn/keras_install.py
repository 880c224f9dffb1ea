"""The amplitude loss in place of 'mean_absolute_error' in the compiled Keras model of `ptycho/model.py`."""

from typing import Any

import keras

from conformance.codepaths.config import LossConfig
from conformance.codepaths.keras_losses import AmplitudeL2MAE, build_losses
from conformance.exit_codes import UsageError
from conformance.rollout.ptychopinn.installation import Installation

OUTPUTS = ("object", "amplitude", "intensity")
AMPLITUDE = 1
LEGACY = "mean_absolute_error"
COMPILED = ("loss_weights", "metrics", "weighted_metrics")
WHERE = f"the compile call of ptycho/model.py, loss[{AMPLITUDE}] of [{', '.join(OUTPUTS)}]"


def _require_shape(model: Any) -> list[Any]:
    """Return the model's losses, one per output, of which that of the amplitude is the legacy MAE."""
    if not getattr(model, "compiled", False):
        raise UsageError("model: got one that is not compiled, wanted what create_compiled_model returns first")
    shapes = [tuple(output.shape) for output in getattr(model, "outputs", None) or ()]
    if len(shapes) != len(OUTPUTS) or len(shapes[AMPLITUDE]) != 4:
        raise UsageError(
            f"model.outputs: got shapes {shapes}, wanted three, {', '.join(OUTPUTS)}, the amplitude (B, N, N, C); "
            "this checkout has another interface, put the loss into its compile call"
        )
    losses = getattr(model, "loss", None)
    if not isinstance(losses, (list, tuple)) or len(losses) != len(OUTPUTS):
        raise UsageError(f"model.loss: got {losses!r}, wanted a list of three, {', '.join(OUTPUTS)}; compile it so")
    if isinstance(losses[AMPLITUDE], AmplitudeL2MAE):
        raise UsageError(
            f"model.loss[{AMPLITUDE}]: got a loss that install put there, wanted {LEGACY!r}; uninstall first"
        )
    if losses[AMPLITUDE] != LEGACY:
        raise UsageError(
            f"model.loss[{AMPLITUDE}]: got {losses[AMPLITUDE]!r}, wanted {LEGACY!r}; this checkout, or somebody "
            "before, has another loss there; put the loss into its compile call"
        )
    return list(losses)


def _compiled(model: Any) -> dict[str, Any]:
    """Return what the model was compiled with, but its optimiser and its losses."""
    kept = getattr(getattr(model, "_compile_config", None), "config", None)
    if not isinstance(kept, dict) or not set(COMPILED) <= set(kept):
        raise UsageError(
            f"model._compile_config: got {kept!r}, wanted {', '.join(COMPILED)}, as Keras 3 keeps them; with Keras "
            f"{keras.__version__} put the loss into the compile call"
        )
    now = {name: getattr(model, name) for name in ("run_eagerly", "steps_per_execution", "jit_compile")}
    return {**{name: kept[name] for name in COMPILED}, **now}


def _compile_again(model: Any, losses: Any) -> None:
    """Compile with other losses; the optimiser is the same object, with its state, and not wrapped a second time."""
    model.compile(optimizer=model.optimizer, loss=losses, auto_scale_loss=False, **_compiled(model))


def install_keras(model: Any, config: LossConfig) -> Installation:
    """Put the loss in; see `install`."""
    mae = build_losses(config).mae
    legacy = _require_shape(model)
    weights = _compiled(model)["loss_weights"]
    weight = weights[AMPLITUDE] if isinstance(weights, (list, tuple)) else weights
    _compile_again(model, [mae if index == AMPLITUDE else loss for index, loss in enumerate(legacy)])

    def undo() -> None:
        if not isinstance(model.loss, list) or model.loss[AMPLITUDE] is not mae:
            raise UsageError("model.loss: got other losses than install put there; nothing was restored")
        _compile_again(model, legacy)

    notes = [
        f"the weight of the term is as before, {weight!r}"
        + (", so that it trains nothing: raise mae_weight" if weight == 0 else ""),
        "a trained intensity scale gets no gradient from the new term",
        "import conformance.codepaths.keras_losses before a model that was saved with it is loaded",
    ]
    by = f"AmplitudeL2MAE(scope={mae.scope!r}, gain={mae.gain!r}, eps={mae.eps!r})"
    return Installation("keras", config.mae_normalization, WHERE, LEGACY, by, tuple(notes), undo)
