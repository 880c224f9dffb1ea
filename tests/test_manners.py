"""What a loss does beside computing: with the gradient that it is given, its operands, and what is not its own."""

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from right_losses import RIGHT
from torch import Tensor

from conformance import check_loss
from conformance.backends.torch_manners import SWITCHES
from conformance.liars.operations import FRAMEWORKS, operations
from conformance.profile import declare

SOME = ["mae-typical", "mae-dead-pixels", "mae-one-sample"]


def mae(p: Tensor, t: Tensor) -> Tensor:
    d = p - t
    return (d * d.detach().sign()).mean()


def found(loss: Callable[..., Any], **how: Any) -> list[str]:
    result = check_loss(loss, loss="amplitude_mae", **{"cases": SOME, **how})
    return [verdict.message for verdict in result.failures]


class Unweighted(torch.autograd.Function):
    """A backward pass that leaves out the gradient that it is given."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(p, t)
        return (p - t).abs().mean()

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        p, t = ctx.saved_tensors
        return torch.sign(p - t) / p.numel(), None


@pytest.mark.parametrize("mode", ["eager", "compile", "strided", "both"])
def test_a_backward_pass_that_ignores_what_multiplies_the_loss_is_seen(mode: str) -> None:
    said = found(Unweighted.apply, mode=mode)
    assert len(said) == 6 and all("-65536 times" in message for message in said), said


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("turn", [lambda o, g: o.ones(g), lambda o, g: o.where(g < 0, -g, g)], ids=["one", "modulus"])
def test_it_is_in_every_framework(framework: str, turn: Callable[..., Any]) -> None:
    o = operations(framework)
    right = RIGHT["mae-plain"][1](o)
    assert not found(right, framework=framework)
    said = found(lambda p, t: o.reflect(right(p, t), lambda g: turn(o, g)), framework=framework)
    assert len(said) == 6 and all("-65536 times" in message for message in said), said


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_backward_pass_that_clips_at_1_is_seen_although_every_gradient_is_smaller(framework: str) -> None:
    o = operations(framework)
    right = RIGHT["mae-plain"][1](o)
    said = found(
        lambda p, t: right(o.reflect(p, lambda g: o.at_least(-o.at_least(-g, -1.0), -1.0)), t), framework=framework
    )
    assert len(said) == 6 and all("-65536 times" in message for message in said), said


def _written(t: Tensor, change: Callable[[Tensor], Any]) -> None:
    with torch.no_grad():
        change(t)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p, t: _written(t, lambda x: x.masked_fill_(x == 0, torch.nan)), "the target was modified in place"),
        (lambda p, t: _written(p, lambda x: x.masked_fill_(x == 0, -0.5)), "the prediction was modified in place"),
        (lambda p, t: _written(t, lambda x: x.masked_fill_(x == 0, -0.0)), "the target was modified in place"),
        (lambda p, t: t.unsqueeze_(0), "the target was modified in place"),
        (lambda p, t: t.requires_grad_(), "the target requires a gradient since the call"),
        (lambda p, t: mae(p, t).backward(), "the call left a gradient in the prediction"),
        (lambda p, t: torch.set_grad_enabled(False), "gradients: False since the call, was True"),
        (
            lambda p, t: torch.set_default_dtype(torch.float64),
            "default dtype: torch.float64 since the call, was torch.float32",
        ),
        (lambda p, t: torch.autograd.set_detect_anomaly(True), "detecting anomalies: True since the call, was False"),
        (
            lambda p, t: torch.use_deterministic_algorithms(True),
            "deterministic algorithms, warnings alone: (True, False) since the call, was (False, False)",
        ),
        (lambda p, t: torch.set_num_threads(3), "threads: 3 since the call"),
        (lambda p, t: torch.set_autocast_enabled("cpu", True), "autocast: True since the call, was False"),
        (
            lambda p, t: torch.set_autocast_dtype("cpu", torch.float16),
            "dtype of autocast: torch.float16 since the call, was torch.bfloat16",
        ),
        (lambda p, t: torch.set_float32_matmul_precision("medium"), "precision of float32 products: medium since"),
        (lambda p, t: torch.set_flush_denormal(True), "flushing subnormal numbers: True since the call, was False"),
        (lambda p, t: torch.manual_seed(0), "seed of the random generator: 0 since the call"),
    ],
    ids=[
        "target",
        "prediction",
        "sign-of-zero",
        "shape",
        "requires-grad",
        "backward",
        "grad-mode",
        "default-dtype",
        "anomalies",
        "deterministic",
        "threads",
        "autocast",
        "autocast-dtype",
        "products",
        "subnormals",
        "seed",
    ],
)
def test_what_is_not_the_loss_s_own_is_left_as_it_was(change: Callable[..., Any], said: str) -> None:
    def loss(p: Tensor, t: Tensor) -> Tensor:
        value = mae(p, t.clone())
        change(p, t)
        return value

    before = [switch.read() for switch in SWITCHES]
    messages = found(loss, dtype="float32")
    assert messages and all(said in message for message in messages), messages
    assert [switch.read() for switch in SWITCHES] == before
    assert not found(mae), "and the next loss is judged as if nothing had been"


@pytest.mark.parametrize(
    ("framework", "change", "said"),
    [
        ("jax", lambda: jax.config.update("jax_enable_x64", True), "jax_enable_x64: True since the call, was False"),
        (
            "jax",
            lambda: jax.config.update("jax_numpy_rank_promotion", "raise"),
            "jax_numpy_rank_promotion: raise since the call, was allow",
        ),
        ("jax", lambda: jax.config.update("jax_debug_nans", True), "jax_debug_nans: True since the call, was False"),
        (
            "tensorflow",
            lambda: keras.config.set_image_data_format("channels_first"),
            "Keras' image data format: channels_first since the call, was channels_last",
        ),
        ("tensorflow", lambda: keras.config.set_floatx("float64"), "Keras' floatx: float64 since the call"),
        (
            "tensorflow",
            lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
            "Keras' dtype policy: mixed_bfloat16 since the call, was float32",
        ),
        (
            "tensorflow",
            lambda: tf.config.run_functions_eagerly(True),
            "running functions eagerly: True since the call, was False",
        ),
        (
            "tensorflow",
            lambda: tf.config.optimizer.set_jit("autoclustering"),
            "compiling what is not asked to be: autoclustering since the call",
        ),
    ],
)
def test_so_it_is_in_the_other_frameworks(framework: str, change: Callable[[], None], said: str) -> None:
    o = operations(framework)
    right = RIGHT["mae-plain"][1](o)

    def loss(p: Any, t: Any) -> Any:
        change()
        return right(p, t)

    messages = found(loss, framework=framework, dtype="float32")
    assert messages and all(said in message for message in messages), messages
    assert not found(right, framework=framework)


def test_a_nan_under_the_mask_that_is_cleared_is_a_modification() -> None:
    def loss(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        valid = torch.ones_like(p, dtype=torch.bool) if mask is None else mask.bool().expand_as(p)
        d = torch.where(valid, p - t, 0.0)
        with torch.no_grad():
            t.nan_to_num_()
        return (d * d.detach().sign()).sum() / valid.sum().clamp_min(1)

    asked = declare("contract", {"mask": "keyword"})
    result = check_loss(loss, loss="amplitude_mae", profile=asked, dtype="float32")
    assert result.failures and all("the target was modified" in verdict.message for verdict in result.failures)


def test_a_mask_that_is_written_to_is_seen() -> None:
    def loss(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return mae(p, t)
        valid = mask.clone().expand_as(p)
        d = torch.where(valid, p - t, 0.0)
        value = (d * d.detach().sign()).sum() / valid.sum().clamp_min(1)
        mask.logical_not_()
        return value

    asked = declare("contract", {"mask": "keyword"})
    result = check_loss(loss, loss="amplitude_mae", profile=asked, dtype="float32")
    assert result.failures and all("the mask was modified" in verdict.message for verdict in result.failures)


def test_the_numbers_of_a_second_call_are_those_of_the_first() -> None:
    """Multiplying by a power of two is exact: a right loss gives the same bits whatever multiplies it."""
    for framework in FRAMEWORKS:
        o = operations(framework)
        right = lambda p, t, o=o: o.mean(o.abs(o.single(p) - o.single(t)))  # noqa: E731
        result = check_loss(right, loss="amplitude_mae", framework=framework, dtype="all")
        assert result.conformant and all(v.repeatable for v in result.verdicts if v.status == "pass"), framework
    assert np.isfinite(result.worst_margin)
