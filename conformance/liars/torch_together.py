"""Many wrong losses in one compiled graph, each with operands of its own: no gradient of one can reach another.

`inductor` is what users run, and takes more than a second for each loss; `aot_eager` is torch.compile up to the graph
of forward and backward, run without code of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch._inductor.config

from conformance.backends.answer import Answer, keyword_operands, operand_dtype, scale_argument
from conformance.backends.torch_arrays import in_numpy, name_of
from conformance.backends.torch_modes import compiling
from conformance.backends.torch_precision import full_precision
from conformance.case import Question
from conformance.tolerance import computing_dtype

Program = Callable[[Question, float], list[Answer]]
"""Asks every loss in it a question: (question, loss_scale) -> an answer for each."""


@contextmanager
def casts_kept() -> Iterator[None]:
    """Make Inductor round where a loss casts to a narrower dtype and back; by default it leaves both casts out.

    What is compiled before is not used within, nor what is compiled within after.
    """
    torch._dynamo.reset()
    try:
        with torch._inductor.config.patch(emulate_precision_casts=True):
            yield
    finally:
        torch._dynamo.reset()


def program(codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compiler: str) -> Program:
    """Return one compiled graph of all codepaths, for questions that differ from this one in numbers only.

    It is compiled at the first call, and of use until another one is made. The gradients are those of `loss_scale`
    times the sum of the values, divided by it again in float64.

    Raises
    ------
    Exception
        When called: whatever a codepath, or the compiler, raises. Ask them one by one then.
    """
    kind, real = getattr(torch, operand_dtype(question, dtype)), getattr(torch, computing_dtype(dtype))
    position = 1 if question.parameters.wrt == "target" else 0

    def step(pairs: list[list[Any]], given: list[Any], keywords: dict[str, Any]) -> list[Any]:
        return [codepath(*pair, *given, **keywords) for codepath, pair in zip(codepaths, pairs)]

    # without guards: it meets questions of one kind, and nothing else is compiled for it that could need them
    options: Any = {"guard_filter_fn": lambda guards: [False for _ in guards]}
    torch._dynamo.reset()
    whole = torch.compile(step, dynamic=False, fullgraph=True, backend=compiler, options=options)
    in_pieces = torch.compile(step, dynamic=False, backend=compiler)
    one_graph = True

    def called(*operands: Any) -> list[Any]:
        nonlocal one_graph
        if one_graph:
            try:
                return whole(*operands)
            except Exception:  # not one graph; what is no graph in pieces either raises from there
                one_graph = False
                torch._dynamo.reset()
        return in_pieces(*operands)

    def ask(question: Question, loss_scale: float) -> list[Answer]:
        sources = question.prediction, question.target
        pairs = [[torch.tensor(array, dtype=kind) for array in sources] for _ in codepaths]
        own = [pair[position].requires_grad_() for pair in pairs]
        scale = scale_argument(question)
        given = [] if scale is None else [torch.tensor(scale, dtype=real)]
        keywords = {name: torch.tensor(array) for name, array in keyword_operands(question).items()}
        with full_precision(), compiling("compile"):
            values = called(pairs, given, keywords)
            total = sum(value.double().sum() for value in values if value.requires_grad) * loss_scale
            found = torch.autograd.grad(total, own, allow_unused=True)
        missing = [() if gradient is not None else ("no gradient",) for gradient in found]
        gradients = [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(own, found)]
        return [
            Answer(
                in_numpy(value),
                in_numpy(gradient) / loss_scale,
                name_of(value.dtype),
                name_of(gradient.dtype),
                misdeeds,
            )
            for value, gradient, misdeeds in zip(values, gradients, missing)
        ]

    return ask


def programs(
    codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compilers: Sequence[str]
) -> dict[str, Program]:
    """Return a program by each compiler: they share nothing, and the one asked last is compiled."""
    return {compiler: program(codepaths, question, dtype, compiler) for compiler in compilers}
