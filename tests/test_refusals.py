"""What the losses refuse, with one class of error in the reference and both codepaths, and a message that helps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

SHAPE = (3, 2, 4, 4)
NAMES = {"l2": "amplitude_l2_mae", "mae": "amplitude_mae", "nll": "poisson_nll"}
TO_LAST = (0, 2, 3, 1)


@cache
def _framework(name: str) -> SimpleNamespace:
    if name == "jax":
        import jax.numpy as jnp

        import oracle

        return SimpleNamespace(losses=oracle, array=jnp.asarray, last=False, target_first=False)
    if name == "torch":
        import torch

        from conformance.codepaths import torch_losses

        return SimpleNamespace(losses=torch_losses, array=torch.tensor, last=False, target_first=False)
    import tensorflow as tf

    from conformance.codepaths import tensorflow_losses

    return SimpleNamespace(losses=tensorflow_losses, array=tf.constant, last=True, target_first=True)


@dataclass(frozen=True)
class Refusal:
    """A call that must not be answered: shapes and dtypes of the two arrays, options, and what is raised."""

    error: type[Exception]
    loss: str = "l2"
    p: tuple[tuple[int, ...], str] = (SHAPE, "float32")
    t: tuple[tuple[int, ...], str] = (SHAPE, "float32")
    mask: tuple[tuple[int, ...], str] | None = None
    ids: tuple[tuple[int, ...], str] | None = None
    scale: Any = 2.0
    options: dict[str, Any] = field(default_factory=dict)


F4, C8 = "float32", "complex64"
REFUSALS = {
    "integers": Refusal(TypeError, p=(SHAPE, "int32"), t=(SHAPE, "int32")),
    "bools": Refusal(TypeError, p=(SHAPE, "bool"), t=(SHAPE, "bool")),
    "integer-target": Refusal(TypeError, t=(SHAPE, "int32")),
    "mixed-dtypes": Refusal(TypeError, t=(SHAPE, "float16")),
    "mixed-dtypes-nll": Refusal(TypeError, "nll", t=(SHAPE, "float16")),
    "mixed-dtypes-mae": Refusal(TypeError, "mae", p=(SHAPE, "float16")),
    "complex-amplitude": Refusal(TypeError, p=(SHAPE, C8), t=(SHAPE, C8)),
    "complex-counts": Refusal(TypeError, "nll", p=(SHAPE, C8), t=(SHAPE, C8)),
    "real-field": Refusal(TypeError, options={"domain": "field"}),
    "half-real-field": Refusal(TypeError, p=(SHAPE, C8), options={"domain": "field"}),
    "rank-3": Refusal(ValueError, p=(SHAPE[1:], F4), t=(SHAPE[1:], F4)),
    "rank-5": Refusal(ValueError, p=((1, *SHAPE), F4), t=((1, *SHAPE), F4)),
    "scalar": Refusal(ValueError, "nll", p=((), F4), t=((), F4)),
    "empty-batch": Refusal(ValueError, p=((0, 2, 4, 4), F4), t=((0, 2, 4, 4), F4)),
    "empty-channels": Refusal(ValueError, "mae", p=((3, 0, 4, 4), F4), t=((3, 0, 4, 4), F4)),
    "broadcast-batch": Refusal(ValueError, t=((1, 2, 4, 4), F4)),
    "broadcast-channels": Refusal(ValueError, "nll", t=((3, 1, 4, 4), F4)),
    "other-size": Refusal(ValueError, "mae", t=((3, 2, 4, 5), F4)),
    "mask-rank-2": Refusal(ValueError, mask=((4, 4), "bool")),
    "mask-other-shape": Refusal(ValueError, "nll", mask=((3, 2, 4, 5), "bool")),
    "mask-larger": Refusal(ValueError, "mae", p=((1, 2, 4, 4), F4), t=((1, 2, 4, 4), F4), mask=(SHAPE, "bool")),
    "mask-complex": Refusal(TypeError, mask=(SHAPE, C8)),
    "ids-missing": Refusal(ValueError, options={"scope": "view"}),
    "ids-unasked": Refusal(ValueError, ids=((3,), "int32")),
    "ids-floats": Refusal(TypeError, ids=((3,), F4), options={"scope": "view"}),
    "ids-too-few": Refusal(ValueError, ids=((2,), "int32"), options={"scope": "view"}),
    "ids-rank-2": Refusal(ValueError, ids=((3, 1), "int32"), options={"scope": "view"}),
    "unknown-scope": Refusal(ValueError, options={"scope": "channel"}),
    "unknown-reduction": Refusal(ValueError, options={"reduction": "sample_sum"}),
    "unknown-reduction-nll": Refusal(ValueError, "nll", options={"reduction": "sample"}),
    "unknown-gain": Refusal(ValueError, options={"gain": "unit"}),
    "unknown-domain": Refusal(ValueError, "mae", options={"domain": "counts"}),
    "eps-zero": Refusal(ValueError, options={"eps": 0.0}),
    "eps-negative": Refusal(ValueError, options={"eps": -1e-6}),
    "eps-nan": Refusal(ValueError, options={"eps": float("nan")}),
    "unknown-constant": Refusal(ValueError, "nll", options={"constant": "factorial"}),
    "unknown-guard": Refusal(ValueError, "nll", options={"rate_guard": "floor"}),
    "guard-without-floor": Refusal(ValueError, "nll", options={"rate_guard": "clamp"}),
    "floor-without-guard": Refusal(ValueError, "nll", options={"rate_floor": 1e-8}),
    "floor-zero": Refusal(ValueError, "nll", options={"rate_guard": "log_add", "rate_floor": 0.0}),
    "unknown-normaliser": Refusal(ValueError, "nll", options={"normaliser": "mean"}),
    "frozen-without-value": Refusal(ValueError, "nll", options={"normaliser": "frozen_mean_intensity"}),
    "value-without-frozen": Refusal(ValueError, "nll", options={"normaliser_value": 2.0}),
    "scale-per-sample": Refusal(ValueError, "nll", scale=((3, 1, 1, 1), "float32")),
    "scale-complex": Refusal(TypeError, "nll", scale=1j),
    "scale-complex-array": Refusal(TypeError, "nll", scale=((), C8)),
    "scale-none": Refusal(TypeError, "nll", scale=None),
    "scale-text": Refusal(TypeError, "nll", scale="2"),
    "scale-bool": Refusal(TypeError, "nll", scale=True),
    "eps-text": Refusal(TypeError, options={"eps": "abc"}),
    "eps-bool": Refusal(TypeError, options={"eps": True}),
    "floor-text": Refusal(TypeError, "nll", options={"rate_guard": "log_add", "rate_floor": "1"}),
}


def _call(framework: str, wanted: Refusal) -> Any:
    made = _framework(framework)

    def array(described: tuple[tuple[int, ...], str] | None, permuted: bool = True) -> Any:
        if described is None:
            return None
        plain = np.ones(*described)
        return made.array(np.transpose(plain, TO_LAST) if permuted and made.last and plain.ndim == 4 else plain)

    loss: Callable[..., Any] = getattr(made.losses, NAMES[wanted.loss])
    arguments = [array(wanted.t), array(wanted.p)] if made.target_first else [array(wanted.p), array(wanted.t)]
    if wanted.loss == "nll":
        arguments.append(array(wanted.scale, permuted=False) if isinstance(wanted.scale, tuple) else wanted.scale)
    named = {"mask": array(wanted.mask), "view_ids": array(wanted.ids, permuted=False)}
    return loss(*arguments, **{k: v for k, v in named.items() if v is not None}, **wanted.options)


@pytest.mark.parametrize("framework", ["jax", "torch", "tensorflow"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_bad_call_is_refused_with_one_class_of_error_everywhere(name: str, framework: str) -> None:
    wanted = REFUSALS[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        _call(framework, wanted)
    assert caught.type is wanted.error, f"{framework}: {caught.type.__name__}: {caught.value}"
    said = str(caught.value)
    assert len(said) > 20 and any(word in said for word in ("wanted", "differ", "leave it out")), said


@pytest.mark.parametrize("framework", ["jax", "torch", "tensorflow"])
def test_the_call_that_the_refusals_spoil_is_answered(framework: str) -> None:
    for loss in NAMES:
        _call(framework, Refusal(TypeError, loss, mask=((1, 1, 4, 4), "bool")))
    _call(framework, Refusal(TypeError, ids=((3,), "int32"), options={"scope": "view"}))
