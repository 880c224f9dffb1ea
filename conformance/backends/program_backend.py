"""TensorFlow's XLA programs, exported before, run by JAX's runtime: needs no TensorFlow, and no CUDA build of it."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from conformance.backends.answer import Answer, Codepath, Value, keyword_operands, operand_dtype, scale_argument, wide
from conformance.backends.program_folder import VARIABLE, ProgramFolder, open_folder, program_name
from conformance.case import Array, Question
from conformance.exit_codes import BackendError
from conformance.golden import load


@dataclass(frozen=True)
class Program:
    """Stands for the exported program of a question, whatever its dtype. It is run by the backend alone."""

    question: Question

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refuse: there is no Python function behind a program."""
        raise TypeError("an exported program is run by the backend tensorflow-program, and not called")


class ProgramBackend:
    """Value and gradient as the exported programs give them; of nothing but the shipped losses on the golden cases."""

    name = "tensorflow-program"
    modes = ("xla",)

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], Any] = {}
        self._folder: ProgramFolder | None = None

    def _programs(self) -> ProgramFolder:
        if self._folder is None:
            folder = os.environ.get(VARIABLE)
            self._folder = open_folder(Path(folder) if folder else None, load().digest)
        return self._folder

    def environment(self, device: str) -> dict[str, str]:
        programs = self._programs()
        try:
            found = jax.devices(device)[0]
        except RuntimeError as error:
            raise BackendError(
                f"backend tensorflow-program: no device {device!r} ({error}); use --device cpu"
            ) from error
        with jax.default_device(found):
            half_of_smallest = float(jnp.float32(2.0**-126) * jnp.float32(0.5))
        return {
            **programs.versions,
            "jax": jax.__version__,
            "jaxlib": version("jaxlib"),
            "device": str(found.device_kind),
            "programs": str(len(programs.records)),
            "tf32": "off: no matrix products" if programs.products == 0 else f"{programs.products} matrix products",
            "subnormals": "kept" if half_of_smallest > 0 else "flushed",
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
        }

    def transpose(self, array: Any, axes: tuple[int, ...]) -> Any:
        return jnp.transpose(array, axes)

    def times(self, array: Any, factors: Array) -> Any:
        return array * jnp.asarray(factors, array.dtype)

    def shipped(self, question: Question) -> Codepath:
        return Program(question)

    def answer(
        self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float = 1.0
    ) -> Answer:
        if not isinstance(codepath, Program):
            raise BackendError("backend tensorflow-program: judges the shipped losses only; choose another framework")
        name = program_name(question, dtype)
        with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices(device)[0]):
            if (name, device) not in self._compiled:
                self._compiled[name, device] = jax.jit(export.deserialize(bytearray(self._programs().read(name))).call)
            kind = operand_dtype(question, dtype)
            operands = [jnp.asarray(np.array(array, kind)) for array in (question.prediction, question.target)]
            scale = scale_argument(question)
            if scale is not None:
                operands.append(jnp.asarray(scale, dtype))
            operands += [jnp.asarray(np.array(array)) for array in keyword_operands(question).values()]
            value, gradient = (np.asarray(array) for array in self._compiled[name, device](*operands))
        return Answer(wide(value), wide(gradient), value.dtype.name, gradient.dtype.name)

    def value(self, codepath: Codepath, question: Question, *, dtype: str, device: str) -> Value:
        raise BackendError("backend tensorflow-program: its programs give value and gradient together, wanted mode xla")
