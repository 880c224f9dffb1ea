"""Many wrong losses in one compiled graph, each with operands of its own: no gradient of one can reach another.

`inductor` is what users run, and spends seconds of a C++ compiler on each loss; `aot_eager` is torch.compile up to the
graph of forward and backward, run without code of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from conformance.backends.answer import Answer, keyword_operands, operand_dtype, scale_argument
from conformance.backends.torch_modes import compiling
from conformance.backends.torch_precision import full_precision
from conformance.case import Question
from conformance.tolerance import computing_dtype


def answers_together(
    codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compiler: str = "inductor"
) -> list[Answer]:
    """Return the answer of each codepath to one question, all compiled as one graph.

    Raises
    ------
    Exception
        Whatever one of them, or the compiler, raises: ask them one by one then.
    """
    kind, real = getattr(torch, operand_dtype(question, dtype)), getattr(torch, computing_dtype(dtype))
    pairs = [[torch.tensor(array, dtype=kind) for array in (question.prediction, question.target)] for _ in codepaths]
    position = 1 if question.parameters.wrt == "target" else 0
    own = [pair[position].requires_grad_() for pair in pairs]
    scale = scale_argument(question)
    given = [] if scale is None else [torch.tensor(scale, dtype=real)]
    keywords = {name: torch.tensor(array) for name, array in keyword_operands(question).items()}

    def step(pairs: list[list[Any]], given: list[Any], keywords: dict[str, Any]) -> list[Any]:
        return [codepath(*pair, *given, **keywords) for codepath, pair in zip(codepaths, pairs)]

    with full_precision(), compiling("compile"):
        try:  # without guards: it is called this once, and nothing else is compiled for it that could need them
            torch._dynamo.reset()
            alone: Any = {"guard_filter_fn": lambda guards: [False for _ in guards]}
            values = torch.compile(step, dynamic=False, fullgraph=True, backend=compiler, options=alone)(
                pairs, given, keywords
            )
        except Exception:  # not one graph
            torch._dynamo.reset()
            values = torch.compile(step, dynamic=False, backend=compiler)(pairs, given, keywords)
        total = sum(value.sum().double() for value in values if value.requires_grad)
        gradients = torch.autograd.grad(total, own, allow_unused=True)
    return [
        Answer.of(
            np.asarray(value.detach().resolve_conj()),
            np.asarray((torch.zeros_like(x) if gradient is None else gradient).resolve_conj()),
            misdeeds=() if gradient is not None else ("no gradient",),
        )
        for value, gradient, x in zip(values, gradients, (x.detach() for x in own))
    ]
