"""Torch: the shipped losses and anybody's, eager and through torch.compile."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch

from conformance.backends.answer import Answer, Codepath, Prepared, scale_argument
from conformance.case import Parameters, Question
from conformance.codepaths import torch_losses
from conformance.exit_codes import BackendError


@cache
def _shipped(loss: str, parameters: Parameters) -> Codepath:
    scale = parameters.scale
    reduction, constant = parameters.reduction, parameters.constant
    gain, eps = parameters.gain, parameters.eps
    if loss == "amplitude_l2_mae":

        def normalised(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return torch_losses.amplitude_l2_mae(p, t, reduction=reduction, gain=gain, eps=eps)

        return normalised
    if loss == "amplitude_mae":

        def legacy(p: torch.Tensor, t: torch.Tensor, s: torch.Tensor | float = 1.0) -> torch.Tensor:
            return torch_losses.amplitude_mae(p, t, s, reduction=reduction)

        return legacy
    if scale is None or scale.source == "given" or scale.nphotons is None:

        def poisson(p: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
            return torch_losses.poisson_nll(p, t, s, constant=constant, reduction=reduction)

        return poisson
    nphotons, source = scale.nphotons, scale.source

    def derived(p: torch.Tensor, t: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        own = torch_losses.intensity_scale(t, nphotons, source=source)
        return torch_losses.poisson_nll(p, t, own, constant=constant, reduction=reduction)

    return derived


def _compile(codepath: Codepath, _: str) -> Codepath:
    compiled: Codepath = torch.compile(codepath, dynamic=True)
    return compiled


def _probe_compiler() -> None:
    """Raise BackendError unless torch.compile compiles: falling back to eager would judge another codepath."""
    graphs: list[Any] = []

    def note(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compile(lambda x: 2 * x, backend=note)(torch.ones(3))
    if not graphs:
        raise BackendError("backend torch: mode compile is switched off by TORCHDYNAMO_DISABLE; unset it")
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(3))
    except Exception as error:  # a compiler may be missing or broken in any way
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BackendError(f"backend torch: mode compile does not start ({text}); install a C++ compiler") from error


RECOMPILATIONS = 4096
"""One codepath meets many shapes, dtypes and options here."""


def _compiling(mode: str) -> AbstractContextManager[Any]:
    """Forbid, for the time of a call, falling back to eager: that would judge another codepath than asked for."""
    if mode != "compile":
        return nullcontext()
    limits: dict[str, Any] = {"recompile_limit": RECOMPILATIONS, "accumulated_recompile_limit": RECOMPILATIONS}
    patch: AbstractContextManager[Any] = torch._dynamo.config.patch(fail_on_recompile_limit_hit=True, **limits)
    return patch


class TorchBackend:
    """Value and gradient through autograd."""

    name = "torch"
    modes = ("eager", "compile")

    def __init__(self) -> None:
        self._prepared = Prepared()
        self._probed = False
        torch.sqrt(torch.ones(8))  # the first threaded call of a process has been seen wrong on some builds

    def environment(self, device: str) -> dict[str, str]:
        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError("backend torch: no device 'cuda' (torch.cuda.is_available() is False); use --device cpu")
        return {
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "threads": str(torch.get_num_threads()),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()),
        }

    def shipped(self, question: Question) -> Codepath:
        return _shipped(question.loss, question.parameters)

    def answer(self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str) -> Answer:
        kind = getattr(torch, dtype)
        prediction = torch.tensor(question.prediction, dtype=kind, device=device).requires_grad_()
        target = torch.tensor(question.target, dtype=kind, device=device)
        operands: list[torch.Tensor] = [prediction, target]
        scale = scale_argument(question)
        if scale is not None:
            operands.append(torch.tensor(scale, dtype=kind, device=device))
        before = [operand.detach().clone() for operand in operands]
        if mode == "compile" and not self._probed:
            _probe_compiler()
            self._probed = True
        run = self._prepared.get(codepath, mode, _compile) if mode == "compile" else codepath
        with _compiling(mode):
            value: Any = run(*operands)
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"returned {type(value).__name__}, wanted a torch.Tensor")
        misdeeds = []
        gradient = torch.zeros_like(prediction)
        if not value.requires_grad:
            misdeeds.append("the value does not depend on the prediction through autograd: nothing can train")
        else:
            (found,) = torch.autograd.grad(value.sum(), prediction, allow_unused=True)
            if found is None:
                misdeeds.append("the gradient with respect to the prediction is None: nothing can train")
            else:
                gradient = found
        for name, operand, copy in zip(("prediction", "target", "scale"), operands, before):
            if not torch.equal(operand.detach(), copy):
                misdeeds.append(f"the {name} was modified in place")
        return Answer(np.asarray(value.detach().cpu()), np.asarray(gradient.detach().cpu()), tuple(misdeeds))
