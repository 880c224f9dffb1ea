"""Known faults of torch.compile, each with a switch that mends it and nothing else.

What is right with a fault mended, and wrong with it, is the compiler's mistake and not the loss's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch._functorch.config
import torch._inductor.config
from torch._inductor.codegen.cpp import OuterLoopFusedSchedulerNode

from conformance.backends.answer import Codepath, CompilerFault

TOGETHER: Callable[..., Any] = OuterLoopFusedSchedulerNode.check_outer_fusion_loop_level_attr
CACHES = torch._inductor.config.fx_graph_cache, torch._functorch.config.enable_autograd_cache
"""What is switched. A version of Torch without one of them fails here, and its faults are not known."""


@contextmanager
def loops_apart() -> Iterator[None]:
    """Keep loops apart that go over several samples at a time.

    Inductor makes one loop of several over the samples, and keeps an array between them that has room for one sample.
    Where it also takes the samples several at a time, the last one's numbers are read for all of them.

    What is compiled before is not used within, nor what is compiled within after.
    """

    def untiled(node: Any, kernels: Any, depth: int) -> bool:
        tiled = any(level.steps != 1 for kernel in kernels for level in kernel.loop_nest.loops[:depth])
        return not tiled and bool(TOGETHER(node, kernels, depth))

    torch._dynamo.reset()
    try:
        with (
            patch.object(OuterLoopFusedSchedulerNode, "check_outer_fusion_loop_level_attr", untiled),
            torch._inductor.config.patch(fx_graph_cache=False),
            torch._functorch.config.patch(enable_autograd_cache=False),
        ):
            yield
    finally:
        torch._dynamo.reset()


def operation_by_operation(codepath: Codepath) -> Codepath:
    """Return what torch.compile makes of a codepath up to its graph, each operation of which is then run as it is."""
    traced: Codepath = torch.compile(codepath, backend="aot_eager")
    return traced


FAULTS = (
    CompilerFault(
        name="pytorch-185702",
        mode="compile",
        device="cpu",
        sentence="the loss is right and torch.compile's code for it is wrong: where it takes several samples at a time "
        "it reads the last one's numbers for all of them (pytorch issue 185702)",
        cure="compile with a torch that has this mended, or with torch.compile(loss, options={'cpp.simdlen': 1})",
        version=f"torch {torch.__version__}",
        mended=loops_apart,
    ),
)
