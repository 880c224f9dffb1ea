"""The operations of the bank in Torch."""

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

import torch

from conformance.liars.operations import SAMPLE


def table() -> SimpleNamespace:
    """Return the operations by their common names."""

    class Attached(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(value: Any, p: Any, t: Any, of_p: Any, of_t: Any) -> Any:
            return value.clone()

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs[3:])

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> tuple[Any, ...]:
            of_p, of_t = ctx.saved_tensors
            return None, cotangent * of_p, cotangent * of_t, None, None

    class Reflected(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, turn: Callable[[Any], Any]) -> Any:
            ctx.turn = turn
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> tuple[Any, ...]:
            return ctx.turn(cotangent), None

    return SimpleNamespace(
        name="torch",
        sum=lambda x, axes=SAMPLE: x.sum(axes, keepdim=True),
        largest=lambda x, axes: x.amax(axes, keepdim=True),
        least=lambda x, axis: x.amin(axis),
        total=lambda x: x.sum(),
        mean=lambda x: x.mean(),
        cumulated=lambda x: torch.cumsum(x, -1),
        reversed=lambda x: torch.flip(x, (-1,)),
        sqrt=torch.sqrt,
        inverse_sqrt=torch.rsqrt,
        abs=torch.abs,
        modulus=torch.abs,
        real=lambda z: z.real,
        imag=lambda z: z.imag,
        conj=torch.conj,
        complex=torch.complex,
        invert=torch.logical_not,
        exp=torch.exp,
        log=torch.log,
        log1p=torch.log1p,
        log2=torch.log2,
        xlogy=torch.xlogy,
        lgamma=torch.lgamma,
        round=torch.round,
        floor=torch.floor,
        where=torch.where,
        larger=torch.maximum,
        smaller=torch.minimum,
        ones=torch.ones_like,
        zeros=torch.zeros_like,
        full=lambda like, number: torch.full_like(like, number),
        at_least=lambda x, bound: torch.maximum(x, torch.full_like(x, bound)),
        stop=lambda x: x.detach(),
        attach=Attached.apply,
        reflect=Reflected.apply,
        to=lambda x, dtype: x.to(getattr(torch, dtype)),
        tiny=lambda x: torch.finfo(x.dtype).tiny,
        noise=torch.rand_like,
        number=lambda x: x.item(),
        is_compiling=torch.compiler.is_compiling,
        cast=lambda x, like: x.to(like.dtype),
        single=lambda x: x.float() if x.dtype in (torch.float16, torch.bfloat16) else x,
        widen=lambda x: x.to(torch.complex128) if x.is_complex() else x.double(),
        narrow=lambda x, like: x.to(like.dtype),
        range=lambda count, like: torch.arange(count, device=like.device),
        truth=lambda x: x != 0,
        stack=torch.stack,
        concat=torch.cat,
        transpose=lambda x, axes: x.permute(axes),
        reshape=lambda x, shape: x.reshape(shape),
        broadcast=lambda x, shape: x.broadcast_to(shape),
        take=lambda x, places: x[places],
        indices=lambda chosen: torch.nonzero(chosen)[:, 0],
        segment_sum=lambda x, labels, count: x.new_zeros(count).scatter_add(0, labels, x),
        numbers=lambda x: x.tolist(),
        count=lambda x: prod(x.shape),
    )
