"""What `install` meets in a Keras checkout, in small: three outputs, three losses, and how they are compiled."""

from typing import Any

import keras
import tensorflow as tf

cfg: dict[str, Any] = {
    "N": 16,
    "gridsize": 1,
    "intensity_scale": 4.0,
    "mae_weight": 1.0,
    "nll_weight": 1.0,
    "realspace_weight": 0.0,
}


class AsObject(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    def call(self, inputs: Any) -> Any:
        image, positions = inputs
        return tf.complex(image[..., :1], image[..., :1] * tf.reduce_mean(positions))


class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Multiplies by exp(w): the intensity scale that the checkout may train."""

    def build(self, shape: Any) -> None:
        start = keras.initializers.Constant(float(tf.math.log(cfg["intensity_scale"])))
        self.w = self.add_weight(shape=(), initializer=start, name="log_scale")

    def call(self, inputs: Any) -> Any:
        return tf.exp(self.w) * inputs


def realspace_loss(target: Any, pred: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.abs(pred)), [1, 2, 3])


def negloglik(y_true: Any, y_pred: Any) -> Any:
    return y_pred - y_true * tf.math.log(y_pred)


def uncompiled_model(gridsize: int, N: int) -> keras.Model:  # noqa: N803  # their name
    diffraction, positions = keras.Input((N, N, gridsize**2)), keras.Input((1, 2, gridsize**2))
    plain = keras.layers.Conv2D(gridsize**2, 3, padding="same", activation="softplus")(diffraction)
    amplitude = Scaled(name="intensity_scaler_inv")(plain)
    intensity = keras.layers.Multiply(name="pred_intensity")([amplitude, amplitude])
    return keras.Model(
        [diffraction, positions], [AsObject(name="trimmed_obj")([plain, positions]), amplitude, intensity]
    )


def create_compiled_model(
    gridsize: int | None = None,
    N: int | None = None,  # noqa: N803  # their name
    **how: Any,
) -> tuple[keras.Model, None]:
    model = uncompiled_model(gridsize or cfg["gridsize"], N or cfg["N"])
    weights = [cfg["realspace_weight"], cfg["mae_weight"], cfg["nll_weight"]]
    losses = [realspace_loss, "mean_absolute_error", negloglik]
    how = {
        "optimizer": keras.optimizers.Adam(1e-2),
        "loss": losses,
        "loss_weights": weights,
        "jit_compile": False,
        **how,
    }
    model.compile(**how)
    return model, None
