"""Torch: the shipped losses and anybody's, eager, compiled, transformed and in other memory layouts."""

from functools import cache, partial
from typing import Any

import torch

from conformance.backends.answer import (
    Answer,
    Codepath,
    Prepared,
    Value,
    keyword_operands,
    operand_dtype,
    scale_argument,
)
from conformance.backends.switches import left_as_they_were
from conformance.backends.torch_arrays import in_numpy, name_of
from conformance.backends.torch_manners import OPERANDS, SWITCHES, Watched
from conformance.backends.torch_modes import (
    MODES,
    arranged,
    by_autograd,
    by_transform,
    compiled,
    probe_compiler,
    require_tensor,
)
from conformance.backends.torch_precision import full_precision, reduced_precision
from conformance.case import Array, Parameters, Question
from conformance.codepaths import torch_losses
from conformance.exit_codes import BackendError
from conformance.tolerance import computing_dtype


@cache
def _shipped(loss: str, parameters: Parameters) -> Codepath:
    """Return the shipped loss with a question's options bound; masks and ids reach it by keyword."""
    scale = parameters.scale
    options: dict[str, Any] = {"reduction": parameters.reduction}
    if loss == "amplitude_l2_mae":
        options |= {"scope": parameters.scope, "domain": parameters.domain}
        return partial(torch_losses.amplitude_l2_mae, gain=parameters.gain, eps=parameters.eps, **options)
    if loss == "amplitude_mae":
        return partial(torch_losses.amplitude_mae, domain=parameters.domain, **options)
    options |= {"constant": parameters.constant, "rate_guard": parameters.rate_guard}
    options |= {"normaliser": parameters.normaliser, "normaliser_value": parameters.normaliser_value}
    poisson: Codepath = partial(torch_losses.poisson_nll, rate_floor=parameters.rate_floor, **options)
    if scale is None or scale.source == "given" or scale.nphotons is None:
        return poisson
    nphotons, source = scale.nphotons, scale.source

    def derived(p: torch.Tensor, t: torch.Tensor, _: torch.Tensor, **arrays: Any) -> torch.Tensor:
        own = torch_losses.intensity_scale(t, nphotons, source=source, mask=arrays.get("mask"))
        value: torch.Tensor = poisson(p, t, own, **arrays)
        return value

    return derived


@cache
def _warm_up(device: str) -> None:
    """Call the unary operations once on one thread: a first threaded call has been reported wrong with some builds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dtype in (torch.float32, torch.float64):
            numbers = torch.linspace(1, 2, 4096, dtype=dtype, device=device)
            for operation in (torch.sqrt, torch.log, torch.lgamma):
                operation(numbers)
    finally:
        torch.set_num_threads(threads)


def _operands(
    question: Question, dtype: str, mode: str, device: str
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Return what a codepath is given by position, the scale last if there is one, and what it is given by name."""
    kind = getattr(torch, operand_dtype(question, dtype))
    operands = [
        arranged(torch.tensor(array, dtype=kind, device=device), mode).detach()
        for array in (question.prediction, question.target)
    ]
    scale = scale_argument(question)
    if scale is not None:
        operands.append(torch.tensor(scale, dtype=getattr(torch, computing_dtype(dtype)), device=device))
    return operands, {name: torch.tensor(array, device=device) for name, array in keyword_operands(question).items()}


class TorchBackend:
    """Value and gradient through autograd."""

    name = "torch"
    modes = MODES

    def __init__(self) -> None:
        self._prepared = Prepared()
        self._probed: set[str] = set()

    def environment(self, device: str) -> dict[str, str]:
        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError("backend torch: no device 'cuda' (torch.cuda.is_available() is False); use --device cpu")
        _warm_up(device)
        with full_precision():
            tf32, matmul_precision = reduced_precision(), torch.get_float32_matmul_precision()
            half_of_smallest = torch.tensor(2.0**-126, device=device) * torch.tensor(0.5, device=device)
        return {
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "cuda": str(torch.version.cuda),
            "threads": str(torch.get_num_threads()),
            "tf32": tf32,
            "subnormals": "kept" if half_of_smallest.item() > 0 else "flushed",
            "float32_matmul_precision": matmul_precision,
            "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()),
        }

    def transpose(self, array: Any, axes: tuple[int, ...]) -> Any:
        return array.permute(axes)

    def times(self, array: Any, factors: Array) -> Any:
        return array * torch.tensor(factors, dtype=array.dtype, device=array.device)

    def shipped(self, question: Question) -> Codepath:
        return _shipped(question.loss, question.parameters)

    def answer(
        self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float = 1.0
    ) -> Answer:
        operands, keywords = _operands(question, dtype, mode, device)
        watched = Watched(operands, keywords)
        if mode == "compile" and device not in self._probed:
            probe_compiler(device)
            self._probed.add(device)
        run = self._prepared.get(codepath, mode, compiled) if mode == "compile" else codepath
        way = by_transform if mode in ("func", "vmap") else by_autograd
        position = 1 if question.parameters.wrt == "target" else 0
        misdeeds: list[str] = []
        with full_precision(), left_as_they_were(SWITCHES, misdeeds):
            value, gradient = way(run, operands, keywords, position, mode, loss_scale)
        if value.device.type != torch.device(device).type:
            misdeeds.append(f"the value was computed on {value.device}, wanted {device}")
        if gradient is None:
            misdeeds.append(f"the value does not depend on the {question.parameters.wrt} through autograd")
            gradient = torch.zeros_like(operands[position])
        misdeeds += watched.misdeeds(OPERANDS[:2] if mode == "both" else OPERANDS[position : position + 1])
        return Answer(
            in_numpy(value),
            in_numpy(gradient) / loss_scale,
            name_of(value.dtype),
            name_of(gradient.dtype),
            tuple(misdeeds),
        )

    def value(self, codepath: Codepath, question: Question, *, dtype: str, device: str) -> Value:
        operands, keywords = _operands(question, dtype, "eager", device)
        watched, misdeeds = Watched(operands, keywords), list[str]()
        with full_precision(), left_as_they_were(SWITCHES, misdeeds), torch.no_grad():
            value = require_tensor(codepath(*operands, **keywords))
        return Value(in_numpy(value), name_of(value.dtype), (*misdeeds, *watched.misdeeds(())))
