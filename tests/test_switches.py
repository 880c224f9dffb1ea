"""What a report says about precision and devices is so: measured during a call, and left as the user had it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.backends import load_backend
from conformance.case import Case
from conformance.golden import GoldenSet

REPORTED = {
    "jax": {"jax", "jaxlib", "device", "tf32", "subnormals", "threads", "xla_flags"},
    "torch": {"torch", "cuda", "device", "tf32", "subnormals", "threads", "deterministic_algorithms"},
    "tensorflow": {"tensorflow", "keras", "device", "tf32", "subnormals", "intra_op_threads", "deterministic_ops"},
}


@pytest.mark.parametrize("name", REPORTED)
def test_the_header_says_what_decides_about_bits(name: str) -> None:
    environment = load_backend(name).environment("cpu")
    assert REPORTED[name] <= environment.keys()
    assert environment["tf32"].startswith("off")
    assert environment["subnormals"] in ("kept", "flushed")


def _answer(name: str, case: Case, codepath: Callable[..., Any], mode: str = "eager", device: str = "cpu") -> None:
    load_backend(name).answer(codepath, case.question, dtype="float32", mode=mode, device=device)


def _old_tf32(torch: Any) -> None:
    torch.backends.cuda.matmul.allow_tf32 = True


def _new_tf32(torch: Any) -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"


USERS = {
    "nothing": lambda torch: None,
    "allow_tf32": _old_tf32,
    "fp32_precision": _new_tf32,
    "high": lambda torch: torch.set_float32_matmul_precision("high"),
    "medium": lambda torch: torch.set_float32_matmul_precision("medium"),
}


@pytest.fixture
def torch() -> Iterator[Any]:
    import torch

    from conformance.backends.torch_precision import MODULES

    if not MODULES:
        pytest.skip("this Torch has no fp32_precision")
    cudnn, before = torch.backends.cudnn.allow_tf32, [module.fp32_precision for module in MODULES]
    yield torch
    for module in MODULES:  # first into a state in which the old switches may be set
        module.fp32_precision = "ieee"
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = cudnn
    for module, precision in zip(MODULES, before):
        module.fp32_precision = precision


@pytest.mark.parametrize("mode", ["eager", "compile"])
@pytest.mark.parametrize("user", USERS)
def test_torch_computes_in_full_precision_whatever_the_user_set(
    torch: Any, case_of: dict[str, Case], user: str, mode: str
) -> None:
    from conformance.backends.torch_precision import MODULES, reduced_precision

    USERS[user](torch)
    before, said = [module.fp32_precision for module in MODULES], reduced_precision()
    assert said == "on" or user == "nothing"
    seen = set()

    def loss(p: Any, t: Any) -> Any:
        if not torch.compiler.is_compiling():
            seen.add(reduced_precision())
        return (p - t).abs().mean()

    assert load_backend("torch").environment("cpu")["tf32"] == "off"
    _answer("torch", case_of["mae-near"], loss, mode)
    assert seen == ({"off"} if mode == "eager" else set())
    assert [module.fp32_precision for module in MODULES] == before
    assert reduced_precision() == said


def test_torch_reports_that_subnormals_are_flushed(torch: Any) -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush")
    try:
        assert load_backend("torch").environment("cpu")["subnormals"] == "flushed"
    finally:
        torch.set_flush_denormal(False)
    assert load_backend("torch").environment("cpu")["subnormals"] == "kept"


@pytest.mark.parametrize("allowed", [True, False])
def test_tensorflow_computes_in_full_precision_whatever_the_user_set(case_of: dict[str, Case], allowed: bool) -> None:
    import tensorflow as tf

    switches = tf.config.experimental
    seen = []

    def loss(p: Any, t: Any) -> Any:
        seen.append(switches.tensor_float_32_execution_enabled())
        return tf.reduce_mean(tf.abs(p - t))

    before = switches.tensor_float_32_execution_enabled()
    switches.enable_tensor_float_32_execution(allowed)
    try:
        _answer("tensorflow", case_of["mae-near"], loss)
        assert switches.tensor_float_32_execution_enabled() == allowed
    finally:
        switches.enable_tensor_float_32_execution(before)
    assert seen == [False]


@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_jax_computes_in_full_precision_whatever_the_user_set(case_of: dict[str, Case], mode: str) -> None:
    import jax

    seen = []

    def loss(p: Any, t: Any) -> Any:
        seen.append((jax.config.jax_default_matmul_precision, jax.config.jax_enable_x64))
        return abs(p - t).mean()

    with jax.default_matmul_precision("tensorfloat32"):
        _answer("jax", case_of["mae-near"], loss, mode)
        assert jax.config.jax_default_matmul_precision == "tensorfloat32"
    assert seen == [("highest", False)]


class SeenEnoughError(Exception):
    """Ends a call before numbers are asked for: a meta device has none."""


@pytest.mark.parametrize("mode", ["eager", "func", "vmap", "channels_last", "strided", "both"])
@pytest.mark.parametrize("name", ["l2-mask-view", "nll-mask", "l2-field", "mae-mask"])
def test_torch_makes_everything_on_the_device(case_of: dict[str, Case], name: str, mode: str) -> None:
    """The device `meta` stands for one that is not the CPU: masks, ids, scale and layouts are made there."""

    def loss(*operands: Any, **arrays: Any) -> Any:
        assert {array.device.type for array in (*operands, *arrays.values())} == {"meta"}
        raise SeenEnoughError

    with pytest.raises(SeenEnoughError):
        _answer("torch", case_of[name], loss, mode, "meta")


def test_the_shipped_torch_losses_stay_on_the_device(golden: GoldenSet) -> None:
    """Every case on `meta`, value and gradient: whatever a loss made on the CPU would not mix with it."""
    from torch import autograd

    backend = load_backend("torch")
    for question in (case.question for case in golden.cases):
        shipped = backend.shipped(question)

        def loss(*operands: Any, shipped: Callable[..., Any] = shipped, **arrays: Any) -> Any:
            value = shipped(*operands, **arrays)
            own = next(operand for operand in operands if operand.requires_grad)
            (gradient,) = autograd.grad(value.sum(), own)
            assert (value.device.type, gradient.device.type) == ("meta", "meta")
            raise SeenEnoughError

        with pytest.raises(SeenEnoughError):
            backend.answer(loss, question, dtype="float32", mode="eager", device="meta")


@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_a_missing_gpu_is_said_and_not_replaced(backend: str) -> None:
    from conformance.exit_codes import BackendError

    entry = load_backend(backend)
    try:
        environment = entry.environment("cuda")
    except BackendError as error:
        assert "cuda" in str(error)
        assert "--device cpu" in str(error)
    else:
        assert "cpu" not in environment["device"].lower()
