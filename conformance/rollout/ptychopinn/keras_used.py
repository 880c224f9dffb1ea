"""The loss of the amplitude that a compiled PtychoPINN Keras model trains with, as a function that can be judged."""

from typing import Any

import keras
import tensorflow as tf

from conformance.rollout.ptychopinn.keras_install import AMPLITUDE


class AsUsed:
    """What Keras makes of the model's three losses as f(y_true, y_pred), the amplitude's weight 1, the others' 0.

    In float32, as Keras adds the terms of a model up.
    """

    def __init__(self, model: Any) -> None:
        self.object = model.outputs[0]
        self.judged = keras.Model(model.inputs, model.outputs)
        weights = [1.0 if index == AMPLITUDE else 0.0 for index in range(len(model.outputs))]
        self.judged.compile("sgd", loss=list(model.loss), loss_weights=weights)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of a batch in which the model gives `y_pred` as the amplitude."""
        size = [tf.shape(y_true)[0], *self.object.shape[1:]]
        image, ones = tf.zeros(size, self.object.dtype), tf.ones_like(y_true)
        return self.judged.compute_loss(None, [image, y_true, ones], [image, y_pred, ones])
