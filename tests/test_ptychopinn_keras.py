"""`install` in a Keras model shaped as PtychoPINN's: the amplitude's entry is the shipped loss, the others the same."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import standin_keras
import tensorflow as tf
from standin_keras import create_compiled_model, negloglik, realspace_loss, uncompiled_model

from conformance import UsageError, check_loss
from conformance.codepaths import LossConfig, tensorflow_losses
from conformance.profile import declare
from conformance.rollout.ptychopinn import install
from conformance.rollout.ptychopinn.keras_used import AsUsed

DRAW = np.random.default_rng(2)
N, C = 8, 4
SCALED = (4 * (DRAW.random((3, N, N, C)) + 0.25)).astype("f4")
INPUTS = [SCALED, np.zeros((3, 1, 2, C), "f4")]
TARGETS = [tf.zeros((3, N, N, 1), "complex64"), SCALED, SCALED * SCALED]
L2 = LossConfig(mae_normalization="l2_sample")
Bits = dict[str, bytes]


def model_of(**how: Any) -> keras.Model:
    keras.utils.set_random_seed(3)
    return create_compiled_model(gridsize=2, N=N, **how)[0]


def step(model: keras.Model) -> Bits:
    """Loss and gradients of one batch, in bits."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss(INPUTS, TARGETS, model(INPUTS))
    gradients = tape.gradient(loss, model.trainable_variables)
    held = {f"{index}": g.numpy().tobytes() for index, g in enumerate(gradients)}
    return {"loss": loss.numpy().tobytes(), **held}


def trained(model: keras.Model, steps: int) -> Bits:
    for _ in range(steps):
        model.train_on_batch(INPUTS, TARGETS)
    variables = [*model.trainable_variables, *model.optimizer.variables]
    return {f"{index}": variable.numpy().tobytes() for index, variable in enumerate(variables)}


@pytest.mark.parametrize("scope", ["sample", "patch", "batch"])
def test_the_entry_is_the_shipped_loss_bit_for_bit(scope: str) -> None:
    model = model_of(loss_weights=[0.0, 1.0, 0.0])
    install(model, LossConfig(mae_normalization=f"l2_{scope}"))
    expected = tensorflow_losses.amplitude_l2_mae(SCALED, model(INPUTS)[1], scope=scope, reduction="none")
    of_pixels = tf.reduce_mean(expected, -1)  # channels first, as Keras' own losses do
    assert step(model)["loss"] == keras.ops.mean(of_pixels).numpy().tobytes()


@pytest.mark.parametrize("scope", ["sample", "patch", "batch"])
def test_the_judge_passes_the_loss_that_is_used(scope: str) -> None:
    model = model_of()
    install(model, LossConfig(mae_normalization=f"l2_{scope}"))
    profile = declare("keras", {"scope": scope})
    whole = check_loss(AsUsed(model), loss="amplitude_l2_mae", framework="tensorflow", dtype="float32", profile=profile)
    assert whole.conformant, whole.summary
    entry = check_loss(model.loss[1], loss="amplitude_l2_mae", framework="tensorflow", profile=profile)
    assert entry.conformant, entry.summary


def test_the_judge_fails_the_loss_that_was_used_before() -> None:
    how: dict[str, Any] = {"framework": "tensorflow", "dtype": "float32", "profile": "keras"}
    assert not check_loss(AsUsed(model_of()), loss="amplitude_l2_mae", **how).conformant


def test_none_changes_nothing_in_loss_gradient_and_twenty_steps() -> None:
    plain, flagged = model_of(), model_of()
    losses = flagged.loss
    installation = install(flagged, LossConfig())
    assert not installation.changed and "nothing was replaced" in installation.notes[0]
    assert flagged.loss is losses
    assert step(flagged) == step(plain) and trained(flagged, 20) == trained(plain, 20)
    installation.uninstall()
    assert flagged.loss is losses


def test_uninstall_restores_loss_gradient_and_training_with_the_optimisers_state() -> None:
    plain, restored = model_of(), model_of()
    assert trained(restored, 10) == trained(plain, 10)
    before = step(plain)
    installation = install(restored, L2)
    assert step(restored) != before
    installation.uninstall()
    assert restored.loss == [realspace_loss, "mean_absolute_error", negloglik]
    assert step(restored) == before and trained(restored, 10) == trained(plain, 10)
    with pytest.raises(UsageError, match="nothing was restored"):
        installation.uninstall()


def test_the_other_losses_weights_optimiser_and_switches_stay() -> None:
    how = {"run_eagerly": True, "steps_per_execution": 2, "loss_weights": [0.5, 2.0, 3.0]}
    model = model_of(**how, metrics=[None, "mse", None])
    optimizer = model.optimizer
    installation = install(model, L2)
    assert model.loss[0] is realspace_loss and model.loss[2] is negloglik and model.optimizer is optimizer
    assert {**model._compile_config.config, **how} == model._compile_config.config
    assert model._compile_config.config["metrics"] == [None, "mse", None] and model.jit_compile is False
    assert installation.replaced == "mean_absolute_error" and "the weight of the term is as before, 2.0" in str(
        installation.notes
    )
    assert "trains nothing" in str(install(model_of(loss_weights=[0.0, 0.0, 1.0]), L2).notes)


def test_an_optimiser_is_not_wrapped_a_second_time() -> None:
    model = model_of()
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    install(model, L2)
    assert isinstance(model.optimizer, keras.optimizers.Adam)


def test_the_nll_has_the_same_bits_with_the_loss_on_and_off() -> None:
    plain, flagged = (model_of(loss_weights=[0.0, 0.0, 1.0]) for _ in range(2))
    install(flagged, L2)
    assert step(flagged) == step(plain) and trained(flagged, 20) == trained(plain, 20)
    both = model_of(loss_weights=[0.0, 1.0, 1.0])
    install(both, L2)
    prediction = tf.constant(2 * SCALED * SCALED)
    assert both.loss[2] is negloglik
    assert tf.reduce_all(both.loss[2](TARGETS[2], prediction) == negloglik(TARGETS[2], prediction))


def test_a_saved_model_loads_with_the_loss(tmp_path: Path) -> None:
    model = model_of()
    install(model, L2)
    trained(model, 1)
    model.save(tmp_path / "model.keras")
    own = {name: getattr(standin_keras, name) for name in ("AsObject", "Scaled", "realspace_loss", "negloglik")}
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects=own)
    assert type(loaded.loss[1]) is type(model.loss[1]) and loaded.loss[1].get_config() == model.loss[1].get_config()


def test_views_are_refused_for_keras_hands_a_loss_no_ids() -> None:
    model = model_of()
    with pytest.raises(ValueError, match=r"Keras hands a loss no view ids; call .* from a custom train_step"):
        install(model, LossConfig(mae_normalization="l2_view"))
    assert model.loss[1] == "mean_absolute_error"


def test_another_shape_is_refused() -> None:
    model = uncompiled_model(2, N)
    with pytest.raises(UsageError, match="got one that is not compiled, wanted what create_compiled_model returns"):
        install(model, L2)
    model.compile("adam", loss="mean_absolute_error")
    with pytest.raises(UsageError, match=r"model\.loss: got 'mean_absolute_error', wanted a list of three, object, "):
        install(model, L2)
    model.compile("adam", loss=["mse", "mse", "mse"])
    with pytest.raises(UsageError, match=r"model\.loss\[1\]: got 'mse', wanted 'mean_absolute_error'; this checkout"):
        install(model, L2)
    one = keras.Model(model.inputs, model.outputs[1:2])
    one.compile("adam", loss=["mean_absolute_error"])
    with pytest.raises(UsageError, match=r"model\.outputs: got shapes \[.*\], wanted three, object, amplitude, inten"):
        install(one, L2)
    twice = model_of()
    install(twice, L2)
    with pytest.raises(UsageError, match="got a loss that install put there, wanted 'mean_absolute_error'; uninstall"):
        install(twice, L2)
    other = model_of()
    other._compile_config = None
    with pytest.raises(UsageError, match=r"model\._compile_config: got None, wanted loss_weights, metrics, weighted_"):
        install(other, L2)
    assert other.loss[1] == "mean_absolute_error"
