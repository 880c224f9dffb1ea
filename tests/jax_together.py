"""Many JAX losses in one compiled program, each with operands of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from conformance.backends.answer import Answer, keyword_operands, operand_dtype, scale_argument
from conformance.case import Question
from conformance.tolerance import computing_dtype


def _beside_another(transformed: Callable[..., Any]) -> Callable[..., Any]:
    """Return the answers to a question that is mapped over in one batch with another one: itself, reversed along H."""

    def run(own: list[Any], others: list[Any], given: Any, keywords: dict[str, Any], loss_scale: Any) -> Any:
        def paired(array: Any) -> Any:
            return jnp.stack([array, jnp.flip(array, 2)])

        pairs = [[paired(array) for array in arrays] for arrays in (own, others)]
        named = {name: paired(array) if name == "mask" else array for name, array in keywords.items()}
        axes = (0, 0, None, {name: 0 if name == "mask" else None for name in named}, None)
        both = jax.vmap(transformed, in_axes=axes)(*pairs, given, named, loss_scale)
        return jax.tree.map(lambda leaf: leaf[0], both)

    return run


def program(
    codepaths: Sequence[Callable[..., Any]], question: Question, dtype: str, compiler: str
) -> Callable[[Question, float], list[Answer]]:
    """Return one program of all codepaths, for questions that differ from this one in numbers only.

    In `jit` values and gradients are compiled as one, in `vmap` mapped over before; in `grad_of_jit` the values are
    compiled, and JAX differentiates that.
    """
    kind, real = operand_dtype(question, dtype), computing_dtype(dtype)
    position = 1 if question.parameters.wrt == "target" else 0

    def values(own: list[Any], others: list[Any], given: Any, keywords: Any) -> list[Any]:
        both = zip(own, others) if position == 0 else zip(others, own)
        return [codepath(*pair, *given, **keywords) for codepath, pair in zip(codepaths, both)]

    called = jax.jit(values) if compiler == "grad_of_jit" else values

    def total(own: list[Any], others: list[Any], given: Any, keywords: Any, loss_scale: Any) -> tuple[Any, Any]:
        found = called(own, others, given, keywords)
        return sum(jnp.sum(value.astype(real)) for value in found) * loss_scale, found

    differentiated = jax.value_and_grad(total, has_aux=True)
    if compiler == "vmap":
        differentiated = _beside_another(differentiated)
    run = differentiated if compiler == "grad_of_jit" else jax.jit(differentiated)

    def ask(question: Question, loss_scale: float) -> list[Answer]:
        wide, device = jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices("cpu")[0])
        with wide, device, jax.default_matmul_precision("highest"):
            sources = question.prediction, question.target
            pairs = [tuple(jnp.asarray(np.array(array, jnp.dtype(kind))) for array in sources) for _ in codepaths]
            scale = scale_argument(question)
            given = () if scale is None else (jnp.asarray(scale, real),)
            keywords = {name: jnp.asarray(np.array(array)) for name, array in keyword_operands(question).items()}
            own, others = [pair[position] for pair in pairs], [pair[1 - position] for pair in pairs]
            (_, found), gradients = run(own, others, given, keywords, jnp.asarray(loss_scale, real))
            slopes = [np.asarray(gradient) for gradient in gradients]
        # jax.grad of a complex operand is the conjugate of d/dRe + i d/dIm
        slopes = [np.conj(slope) if np.iscomplexobj(slope) else slope for slope in slopes]
        return [Answer.of(np.asarray(value), slope, loss_scale) for value, slope in zip(found, slopes)]

    return ask
