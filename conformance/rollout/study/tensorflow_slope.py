"""Value and gradient of an arm from the shipped TensorFlow losses."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from conformance.codepaths import tensorflow_losses as losses
from conformance.rollout.study.elsewhere import Float32, Slope, call_of

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def slope(arm: str, gain: str) -> Slope:
    """Return the arm; arrays are (B, C, H, W) outside and channels-last within."""

    def evaluate(p: Float32, t: Float32, mask: npt.NDArray[np.bool_], scale: float) -> tuple[float, Float32]:
        predicted, measured, valid = (tf.constant(np.transpose(array, LAST)) for array in (p, t, mask))
        name, options = call_of(arm, gain, scale)
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            loss = getattr(losses, name)(measured, predicted, mask=valid, **options)
        gradient = tape.gradient(loss, predicted)
        return float(loss), np.transpose(gradient.numpy(), FIRST)

    return evaluate
