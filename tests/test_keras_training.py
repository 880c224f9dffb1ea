"""Keras models that train, save and load with the losses: every object, compiled or not, in every dtype policy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from roundings import apart, require_close

from conformance.codepaths import keras_losses, tensorflow_losses

SIZE = (6, 6, 2)
DRAW = np.random.default_rng(1)
IMAGES = (DRAW.random((5, *SIZE)) + 0.25).astype("f4")
MASK = DRAW.random((1, 6, 6, 1)) < 0.8
OF_A_MEAN = apart(3 * IMAGES.size, "float32")
"""A norm over the images, and a mean of them; a network sums over fewer numbers than that."""
LOSSES: dict[str, Any] = {
    "l2-sample": lambda: keras_losses.AmplitudeL2MAE("unit_rms", mask=MASK),
    "l2-patch-intensity": lambda: keras_losses.AmplitudeL2MAE("unit_rms", scope="patch", domain="intensity"),
    "l2-batch": lambda: keras_losses.AmplitudeL2MAE("unit_rms", scope="batch", per="sample_mean"),
    "mae": lambda: keras_losses.AmplitudeMAE(2.0, mask=MASK),
    "nll": lambda: keras_losses.PoissonNLL(4.0, "lgamma", mask=MASK, normaliser="batch_mean_amplitude"),
    "nll-clamp": lambda: keras_losses.PoissonNLL(4.0, "saturated", rate_guard="clamp", rate_floor=1e-3),
}


def network(policy: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input(SIZE)
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="softplus", dtype=policy)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same", activation="softplus", dtype=policy)(hidden))


def trained(loss: Any, policy: str | None = None, **how: Any) -> tuple[keras.Model, list[float]]:
    model = network(policy)
    model.compile(keras.optimizers.Adam(1e-2), loss=loss, **how)
    return model, model.fit(IMAGES, IMAGES, epochs=3, batch_size=5, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("name", "how"),
    [(name, "function") for name in LOSSES] + [(name, how) for name in ("l2-batch", "nll") for how in ("eager", "xla")],
)
def test_a_model_trains_saves_and_loads(name: str, how: str, tmp_path: Path) -> None:
    loss = LOSSES[name]()
    model, history = trained(loss, run_eagerly=how == "eager", jit_compile=how == "xla")
    assert np.all(np.isfinite(history)) and history[2] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(loss) and loaded.loss.get_config() == loss.get_config()
    assert loaded.evaluate(IMAGES, IMAGES, verbose=0) == model.evaluate(IMAGES, IMAGES, verbose=0)


def test_batches_of_unequal_size_each_have_their_own_mean() -> None:
    model = network()
    model.compile("sgd", loss=keras_losses.AmplitudeMAE(mask=MASK))
    whole = tensorflow_losses.amplitude_mae(IMAGES, model(IMAGES), mask=MASK)
    require_close(model.evaluate(IMAGES, IMAGES, batch_size=2, verbose=0), whole, OF_A_MEAN)


@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["l2-sample", "nll-clamp"])
def test_dtype_policies(name: str, policy: str) -> None:
    loss = LOSSES[name]()
    model, history = trained(loss, policy)
    assert np.all(np.isfinite(history)) and history[2] < history[0]
    prediction = model(IMAGES)
    assert prediction.dtype == {"float64": "float64", "mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}[policy]
    value = loss(IMAGES, prediction)
    assert value.dtype == ("float64" if policy == "float64" else "float32")
    wide = tf.cast(prediction, value.dtype)
    require_close(value, loss(tf.cast(IMAGES, value.dtype), wide), apart(IMAGES.size, value.dtype.name))


def test_sample_weights_in_fit_are_one_per_sample() -> None:
    model = network()
    model.compile("sgd", loss=keras_losses.AmplitudeMAE())
    weights = np.array([0.0, 2.0, 1.0, 0.5, 4.0], "f4")
    each = tensorflow_losses.amplitude_mae(IMAGES, model(IMAGES), reduction="sample").numpy()
    value = model.evaluate(IMAGES, IMAGES, sample_weight=weights, batch_size=5, verbose=0)
    require_close(value, np.mean(weights * each), OF_A_MEAN)


class ByView(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """What a training loop with norms over views looks like: the ids come beside the images."""

    def train_step(self, data: Any) -> dict[str, Any]:
        (images, ids), target = data
        with tf.GradientTape() as tape:
            prediction = self((images, ids), training=True)
            loss = tensorflow_losses.amplitude_l2_mae(target, prediction, scope="view", view_ids=ids, gain="unit_rms")
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"view_mae": loss}


@pytest.mark.parametrize("jit", [False, True], ids=["function", "xla"])
def test_norms_over_views_from_a_custom_train_step(jit: bool) -> None:
    keras.utils.set_random_seed(3)
    images, ids = keras.Input(SIZE), keras.Input((), dtype="int32")
    output = keras.layers.Conv2D(2, 3, padding="same", activation="softplus")(images)
    model = ByView([images, ids], output)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=jit)
    views = np.array([4, 9, 4, 4, 9], "i4")
    start = tensorflow_losses.amplitude_l2_mae(
        IMAGES, model((IMAGES, views)), scope="view", view_ids=views, gain="unit_rms"
    )
    history = model.fit((IMAGES, views), IMAGES, epochs=3, batch_size=5, shuffle=False, verbose=0).history["view_mae"]
    require_close(history[0], start, OF_A_MEAN)
    assert history[2] < history[0]
