"""Turns the shipped TensorFlow losses into programs that run where TensorFlow does not: one file per kind of question.

TensorFlow traces value and gradient and compiles them to its own XLA program, on a CPU, for CPU and GPU alike; JAX only
wraps and serialises that program. No GPU is needed here.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import tensorflow as tf
from jax import export
from jax.experimental import jax2tf

from conformance.backends.answer import Codepath, keyword_operands, operand_dtype, scale_argument
from conformance.backends.program_folder import MANIFEST, SUFFIX, program_name, write_manifest
from conformance.backends.tensorflow_backend import TensorFlowBackend
from conformance.case import DTYPES, Case, Question
from conformance.exit_codes import UsageError

_shaped: Any = jax.ShapeDtypeStruct  # JAX leaves it without types
PLATFORMS = ("cpu", "cuda")
PRODUCTS = ("stablehlo.dot", "stablehlo.convolution")


def _step(codepath: Codepath, position: int, names: Sequence[str]) -> Callable[..., Any]:
    """Return value and gradient as a function of the operands, those of `names` last."""

    def step(*given: Any) -> tuple[Any, Any]:
        operands, arrays = given[: len(given) - len(names)], dict(zip(names, given[len(given) - len(names) :]))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(operands[position])
            value = codepath(*operands, **arrays)
            total = tf.reduce_sum(value)
        return value, tf.convert_to_tensor(tape.gradient(total, operands[position]))

    return step


def exported_program(question: Question, codepath: Codepath, dtype: str) -> export.Exported:
    """Return TensorFlow's program for all questions of this one's loss, options, shapes and dtype."""
    kind, shape = operand_dtype(question, dtype), question.prediction.shape
    arrays = keyword_operands(question)
    position = 1 if question.parameters.wrt == "target" else 0
    with jax.enable_x64(dtype == "float64"):
        operands = [_shaped(shape, kind)] * 2
        if scale_argument(question) is not None:
            operands.append(_shaped((), dtype))
        operands += [_shaped(array.shape, array.dtype) for array in arrays.values()]
        called = jax2tf.call_tf(_step(codepath, position, tuple(arrays)), has_side_effects=False)
        unchecked = [export.DisabledSafetyCheck.platform()]
        return export.export(jax.jit(called), platforms=PLATFORMS, disabled_checks=unchecked)(*operands)


def kinds_of(cases: Sequence[Case]) -> dict[str, tuple[Question, str]]:
    """Return one question and dtype per program that the cases need."""
    return {program_name(c.question, dtype): (c.question, dtype) for dtype in DTYPES for c in cases}


def export_programs(folder: Path, cases: Sequence[Case], suite: str) -> Iterator[tuple[int, int]]:
    """Write the programs of all cases to a folder, yielding how many of how many are done.

    The manifest comes last: a folder whose export was interrupted has none, and is refused.

    Raises
    ------
    UsageError
        The folder cannot be written to, or holds other files than programs.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if path.name != MANIFEST and path.suffix != SUFFIX]
        if strangers:
            raise UsageError(f"{folder}: holds {strangers[0]!r}, wanted an empty folder or one of exported programs")
        for path in sorted(folder.iterdir(), key=lambda path: path.name != MANIFEST):
            path.unlink()
        backend, wanted = TensorFlowBackend(), kinds_of(cases)
        programs: dict[str, bytes] = {}
        products = 0
        for name, (question, dtype) in wanted.items():
            program = exported_program(question, backend.shipped(question), dtype)
            products += sum(program.mlir_module().count(product) for product in PRODUCTS)
            programs[name] = bytes(program.serialize())
            (folder / name).write_bytes(programs[name])
            yield len(programs), len(wanted)
        versions = {
            "tensorflow": tf.__version__,
            "exporting_jax": jax.__version__,
            "exporting_jaxlib": version("jaxlib"),
        }
        write_manifest(folder, suite, versions, programs, products)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written to ({error})") from error
