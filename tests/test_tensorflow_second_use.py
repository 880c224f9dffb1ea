"""The TensorFlow losses where their gradients are used again: derivatives of derivatives, unknown batches, maps."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import plain_formulas as plain
import pytest
import tensorflow as tf
from roundings import SHORT, STEP, apart, require_close
from tapes import ENDS, MODES, compiled

from conformance.codepaths import tensorflow_losses as losses

S = 1.5
FLOOR = 2.0
GUARDS = {
    "none": {},
    "clamp": {"rate_guard": "clamp", "rate_floor": FLOOR},
    "log_add": {"rate_guard": "log_add", "rate_floor": FLOOR},
}
UNKNOWN = tf.TensorSpec((None, 3, 4, 2), tf.float64)
EVERY_SUM = 3 * 4 * 24
"""Terms of a norm, of the gradient's projection and of a reduction, each over four samples at most."""


def pair(batch: int = 2) -> tuple[tf.Tensor, tf.Tensor]:
    draw = np.random.default_rng(batch)
    t, p = draw.uniform(0.25, 4, (batch, 3, 4, 2)), draw.uniform(0.25, 4, (batch, 3, 4, 2))
    p[0, 0], t[0, 0] = 0, 0
    return tf.constant(t), tf.constant(p)


def curvature(p: np.ndarray, t: np.ndarray, guard: str) -> np.ndarray:
    """Second derivative of an element of the NLL with respect to p."""
    rate, k = (S * p) ** 2, (S * t) ** 2
    if guard == "log_add":
        return 2 * S * S * (1 - k / (rate + FLOOR) + 2 * rate * k / (rate + FLOOR) ** 2)
    safe = np.where(rate == 0, 1, rate)
    return np.where((rate <= FLOOR) & (guard == "clamp"), 0, 2 * S * S * (1 + k / safe))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("guard", list(GUARDS))
def test_a_nested_tape_gives_the_second_derivative(guard: str, mode: str) -> None:
    t, p = pair()
    if guard != "none":  # where the NLL without a guard is infinite
        p = tf.tensor_scatter_nd_update(p, [[1, 0, 0, 0]], tf.zeros(1, p.dtype))

    def step(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(y_pred)
            with tf.GradientTape() as inner:
                inner.watch(y_pred)
                value = losses.poisson_nll(y_true, y_pred, S, reduction="sum", **GUARDS[guard])
            slope = inner.gradient(value, y_pred)
        return outer.gradient(slope, y_pred)

    require_close(compiled(step, mode)(t, p), curvature(p.numpy(), t.numpy(), guard), apart())


@pytest.mark.parametrize("mode", ENDS)
def test_the_mixed_derivative_with_respect_to_the_target(mode: str) -> None:
    t, p = pair()

    def step(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(y_true)
            with tf.GradientTape() as inner:
                inner.watch(y_pred)
                value = losses.poisson_nll(y_true, y_pred, S, reduction="sum", constant="saturated")
            slope = inner.gradient(value, y_pred)
        return outer.gradient(slope, y_true)

    wanted = np.where(p == 0, 0, -4 * S * S * t / np.where(p == 0, 1, p))
    require_close(compiled(step, mode)(t, p), wanted, apart())


@pytest.mark.parametrize("mode", ENDS)
@pytest.mark.parametrize("loss", ["amplitude_l2_mae", "amplitude_mae"])
@pytest.mark.parametrize("domain", ["amplitude", "intensity", "field"])
def test_the_maes_can_be_differentiated_twice(domain: str, loss: str, mode: str) -> None:
    """Against central differences of their first derivatives, along one direction."""
    t, p = pair(1)
    direction = tf.constant(np.random.default_rng(9).normal(size=p.shape)) * tf.cast(p > 0, tf.float64)
    if domain == "field":
        turn = tf.complex(tf.cos(2 * p), tf.sin(2 * p))
        t, p, direction = (tf.cast(each, tf.complex128) for each in (t, p, direction))
        p, direction = p * turn, direction * (0.5 - 1j)

    def slope(y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = getattr(losses, loss)(t, y_pred, domain=domain, reduction="sum")
        return tape.gradient(value, y_pred)

    def along(y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            total = tf.reduce_sum(tf.math.real(tf.math.conj(direction) * slope(y_pred)))
        return tape.gradient(total, y_pred, unconnected_gradients="zero")

    wanted = (slope(p + STEP * direction) - slope(p - STEP * direction)) / (2 * STEP)
    require_close(compiled(along, mode)(p), wanted, apart(EVERY_SUM) / STEP, np.abs(slope(p)).max())


@pytest.mark.parametrize("mode", ENDS)
def test_a_tiny_field_is_straight_along_itself(mode: str) -> None:
    """d^2 |z| along z is 0, across z it is 1 / |z|."""
    field = tf.constant(3e-28 + 4e-28j, tf.complex64, (1, 1, 1, 1))

    def bend(y_pred: Any, direction: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(y_pred)
            with tf.GradientTape() as inner:
                inner.watch(y_pred)
                value = losses.amplitude_mae(0 * field, y_pred, domain="field")
            slope = inner.gradient(value, y_pred)
            total = tf.reduce_sum(tf.math.real(tf.math.conj(direction) * slope))
        return outer.gradient(total, y_pred)

    for direction, wanted in ((0.6 + 0.8j, 0), (-0.8 + 0.6j, -0.8 + 0.6j)):
        along = np.asarray(compiled(bend, mode)(field, tf.constant(direction, tf.complex64))).item()
        assert abs(along * 5e-28 - wanted) < apart(dtype="float32", steps=SHORT)


@pytest.mark.parametrize("mode", ENDS)
def test_a_persistent_tape_answers_twice_and_gives_a_jacobian(mode: str) -> None:
    t, p = pair()

    def step(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(y_pred)
            value = losses.poisson_nll(y_true, y_pred, S, reduction="none")
            total = tf.reduce_sum(value)
        first, second = (tape.gradient(total, y_pred) for _ in range(2))
        return first, second, tape.batch_jacobian(value, y_pred)

    first, second, jacobian = (np.asarray(each) for each in compiled(step, mode)(t, p))
    slope = plain.nll(p.numpy(), t.numpy(), S, "none")[1]
    require_close(first, slope, apart())
    assert np.array_equal(first, second)
    for sample in range(2):
        require_close(jacobian[sample].reshape(24, 24), np.diag(slope[sample].ravel()), apart())


EVERY = {
    "l2-sample": lambda t, p, ids: losses.amplitude_l2_mae(t, p, gain="unit_rms"),
    "l2-view": lambda t, p, ids: losses.amplitude_l2_mae(t, p, scope="view", view_ids=ids, gain="unit_rms"),
    "l2-batch-masked": lambda t, p, ids: losses.amplitude_l2_mae(t, p, scope="batch", gain="unit_rms", mask=t > 1),
    "mae-detector": lambda t, p, ids: losses.amplitude_mae(t, p, 2.0, mask=tf.ones((1, 3, 4, 1))),
    "mae-sample": lambda t, p, ids: losses.amplitude_mae(t, p, 2.0, mask=t > 1, reduction="sample"),
    "nll": lambda t, p, ids: losses.poisson_nll(t, p, losses.intensity_scale(t, 1e4), constant="stirling"),
    "nll-masked": lambda t, p, ids: losses.poisson_nll(
        t, p, 2.0, mask=t > 1, reduction="sample_sum", normaliser="batch_mean_amplitude", **GUARDS["clamp"]
    ),
}


def with_slope(loss: Callable[..., Any]) -> Callable[..., Any]:
    def step(y_true: Any, y_pred: Any, ids: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, ids)
        return value, tape.gradient(value, y_pred)

    return step


@pytest.mark.parametrize("mode", ["function", "xla"])
@pytest.mark.parametrize("name", list(EVERY))
def test_one_trace_serves_batches_of_every_size(name: str, mode: str) -> None:
    step = with_slope(EVERY[name])
    run = compiled(step, mode, (UNKNOWN, UNKNOWN, tf.TensorSpec((None,), tf.int32)))
    for batch in (1, 4):
        operands = (*pair(batch), tf.constant([3, -1, 3, 5][:batch]))
        for actual, wanted in zip(run(*operands), step(*operands)):
            require_close(actual, wanted, apart(EVERY_SUM))


@pytest.mark.parametrize("mode", ["function", "xla"])
@pytest.mark.parametrize("scope", ["sample", "view"])
def test_what_is_unknown_while_tracing_is_refused_at_run_time(scope: str, mode: str) -> None:
    loose, ids = tf.TensorSpec((None, None, 4, 2), tf.float64), tf.TensorSpec((None,), tf.int32)

    def loss(y_true: Any, y_pred: Any, ids: Any, mask: Any) -> Any:
        view_ids = ids if scope == "view" else None
        return losses.amplitude_l2_mae(y_true, y_pred, scope=scope, view_ids=view_ids, mask=mask)

    run = compiled(loss, mode, (loose, loose, ids, tf.TensorSpec((None,) * 4, tf.float64)))
    t, p = pair(3)
    assert np.isfinite(run(t, p, tf.range(3), t)) and np.isfinite(run(t[:1], p[:1], tf.range(1), t[:1]))
    for operands in (
        (t[:1], p, tf.range(3), t),
        (t, p[:1], tf.range(3), t),
        (t[:1], p[:, :1], tf.range(1), t[:1]),
        (t[:1], p[:1], tf.range(1), t),
        (t, p, tf.range(3), t[:2]),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(*operands)
    if scope == "view":
        for operands in ((t, p, tf.range(1), t), (t, p, tf.range(4), t), (t[:1], p[:1], tf.range(3), t[:1])):
            with pytest.raises(tf.errors.InvalidArgumentError):
                run(*operands)


@pytest.mark.parametrize("name", list(EVERY))
def test_vectorized_map_is_a_loop(name: str) -> None:
    """Many groups of samples at once, as for the gradient of each of them."""
    groups = [pair(batch) for batch in (2, 2, 2)]
    t, p = (tf.stack([(group[which] + index) for index, group in enumerate(groups)]) for which in (0, 1))
    ids = tf.constant([[1, 2], [4, 4], [2, 1]])
    step = with_slope(EVERY[name])
    at_once = tf.vectorized_map(lambda each: step(*each), (t, p, ids), fallback_to_while_loop=False)
    for index in range(3):
        for actual, wanted in zip(at_once, step(t[index], p[index], ids[index])):
            require_close(actual[index], wanted, apart(EVERY_SUM))


def test_forward_mode_agrees_with_reverse_mode() -> None:
    t, p = pair()
    p = tf.maximum(p, 0.5)
    direction = tf.constant(np.random.default_rng(9).normal(size=p.shape))
    with tf.autodiff.ForwardAccumulator(p, direction) as forward:
        value = losses.poisson_nll(t, p, S, reduction="sum")
    slope = plain.nll(p.numpy(), t.numpy(), S, "none")[1]
    along = slope * direction
    require_close(forward.jvp(value), np.sum(along), apart(along.numpy().size), np.sum(np.abs(along)))


def test_a_tape_does_not_keep_what_the_value_of_the_nll_is_made_of() -> None:
    """The closed form needs prediction, target and scale; the value goes through some fifty arrays more."""
    t, p = pair()

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(one), tf.Tensor) and one.shape == p.shape for one in gc.get_objects())

    for options in GUARDS.values():
        before = alive()
        with tf.GradientTape() as tape:
            tape.watch(p)
            value = losses.poisson_nll(t, p, S, **options)
            assert alive() - before <= 7
        del value, tape


def test_autograph_reads_the_losses() -> None:
    t, p = pair()
    run = tf.function(lambda *operands: losses.poisson_nll(*operands, S, constant="lgamma", **GUARDS["clamp"]))
    wanted = losses.poisson_nll(t, p, S, constant="lgamma", **GUARDS["clamp"])
    require_close(run(t, p), wanted, apart(EVERY_SUM))
