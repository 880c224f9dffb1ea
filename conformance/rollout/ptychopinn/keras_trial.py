"""The trial in Keras: a small compiled model of the checkout, one batch, one step."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from conformance.codepaths.config import LossConfig
from conformance.exit_codes import BackendError
from conformance.rollout.ptychopinn.checkout import module_of
from conformance.rollout.ptychopinn.dispatch import install
from conformance.rollout.ptychopinn.keras_install import AMPLITUDE
from conformance.rollout.ptychopinn.keras_used import AsUsed
from conformance.rollout.ptychopinn.trial import Finding, judged, same

SIZE = 64
SAMPLES = 2
SETTINGS: dict[str, Any] = {
    "N": SIZE,
    "gridsize": 1,
    "nphotons": 1e6,
    "intensity_scale": 1000.0 / (SIZE / 2),
    "mae_weight": 1.0,
    "nll_weight": 1.0,
    "realspace_weight": 0.0,
}
"""What the checkout's dictionary of parameters is told: a term of each kind, and a scale from the photons."""


def small_model(path: Path) -> Any:
    """Build and compile the model of the checkout with one channel; its parameters are set in its own dictionary."""
    parameters, models = module_of(path, "ptycho.params"), module_of(path, "ptycho.model")
    try:
        parameters.cfg.update(SETTINGS)
        keras.utils.set_random_seed(0)
        return models.create_compiled_model(gridsize=1, N=SIZE)[0]
    except Exception as error:  # whatever this revision's builders raise
        raise BackendError(f"create_compiled_model of {path}: {type(error).__name__}: {error}") from error


def _batch() -> tuple[list[Any], list[Any]]:
    """Return inputs and targets as the checkout prepares them: scaled amplitudes and their squares."""
    draw = np.random.default_rng(1)
    scaled = SETTINGS["intensity_scale"] * (draw.random((SAMPLES, SIZE, SIZE, 1)) + 0.25).astype("f4")
    positions = np.zeros((SAMPLES, 1, 2, 1), "f4")
    return [scaled, positions], [tf.zeros((SAMPLES, SIZE, SIZE, 1), "complex64"), scaled, scaled * scaled]


def _step(model: Any) -> dict[str, bytes]:
    inputs, targets = _batch()
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=False)
        loss = model.compute_loss(inputs, targets, outputs)
    gradients = tape.gradient(loss, model.trainable_variables)
    bits = {"loss": loss.numpy().tobytes(), "nll": np.asarray(model.loss[-1](targets[-1], outputs[-1])).tobytes()}
    for index, gradient in enumerate(gradients):
        bits[f"gradient {index}"] = b"" if gradient is None else tf.convert_to_tensor(gradient).numpy().tobytes()
    return bits


def run_keras(path: Path, config: LossConfig) -> list[Finding]:
    """Train one step without, with and without the loss, and judge the loss that is used."""
    model = small_model(path)
    likelihood = model.loss[-1]
    try:
        before = _step(model)
    except Exception as error:  # a model of another revision
        raise BackendError(f"the model of {path}: {type(error).__name__}: {error}") from error
    install(model, LossConfig())
    findings = [same("tensorflow: 'none' leaves loss and gradient bit for bit", _step(model), before)]
    installation = install(model, config)
    scope = config.mae_normalization.removeprefix("l2_")
    findings.append(judged(AsUsed(model), "tensorflow", scope, config.mae_gain))
    used = _step(model)
    findings.append(Finding("tensorflow: the loss is another", used["loss"] != before["loss"]))
    nll = {"nll": before["nll"]}
    findings.append(same("tensorflow: the NLL has the same bits", {"nll": used["nll"]}, nll))
    findings.append(Finding("tensorflow: the NLL is the same object", model.loss[-1] is likelihood))
    inputs, targets = _batch()
    weights = [variable.numpy() for variable in model.trainable_variables]
    value = model.train_on_batch(inputs, targets)
    moved = any(not np.array_equal(old, new.numpy()) for old, new in zip(weights, model.trainable_variables))
    finite = bool(np.all(np.isfinite(np.asarray(value))))
    findings.append(Finding("tensorflow: a step with the loss is finite and changes weights", finite and moved))
    for variable, old in zip(model.trainable_variables, weights):
        variable.assign(old)
    installation.uninstall()
    findings.append(Finding("tensorflow: uninstall restores the entry", isinstance(model.loss[AMPLITUDE], str)))
    findings.append(same("tensorflow: uninstall restores loss and gradient bit for bit", _step(model), before))
    return findings
