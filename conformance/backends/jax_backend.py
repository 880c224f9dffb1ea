"""JAX: the reference itself, judged like the rest, and anybody's JAX loss. The only module that imports oracle."""

import os
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import oracle
from conformance.backends.answer import Answer, Codepath, Prepared, Value, keyword_operands, scale_argument, wide
from conformance.backends.switches import Switch, left_as_they_were
from conformance.case import Array, Parameters, Question
from conformance.exit_codes import BackendError
from oracle.evaluation import MODES


def _switch(name: str) -> Switch:
    return Switch(name, partial(getattr, jax.config, name), partial(jax.config.update, name))


SWITCHES = tuple(
    _switch(name)
    for name in (
        "jax_enable_x64",
        "jax_default_matmul_precision",
        "jax_default_device",
        "jax_numpy_dtype_promotion",
        "jax_numpy_rank_promotion",
        "jax_disable_jit",
        "jax_debug_nans",
        "jax_debug_infs",
    )
)
"""What a loss has no business with."""


@cache
def _reference(loss: str, parameters: Parameters) -> Codepath:
    """Return the reference with a question's options bound; masks and ids reach it by keyword."""
    scale = parameters.scale
    options: dict[str, Any] = {"reduction": parameters.reduction}
    if loss == "amplitude_l2_mae":
        options |= {"scope": parameters.scope, "domain": parameters.domain}
        return partial(oracle.amplitude_l2_mae, gain=parameters.gain, eps=parameters.eps, **options)
    if loss == "amplitude_mae":

        def legacy(p: jax.Array, t: jax.Array, s: float | jax.Array = 1.0, **arrays: Any) -> jax.Array:
            return oracle.amplitude_mae(p, t, intensity_scale=s, domain=parameters.domain, **options, **arrays)

        return legacy
    options |= {"constant": parameters.constant, "rate_guard": parameters.rate_guard}
    options |= {"normaliser": parameters.normaliser, "normaliser_value": parameters.normaliser_value}
    poisson: Codepath = partial(oracle.poisson_nll, rate_floor=parameters.rate_floor, **options)
    if scale is None or scale.source == "given" or scale.nphotons is None:
        return poisson
    nphotons, source = scale.nphotons, scale.source

    def derived(p: jax.Array, t: jax.Array, _: jax.Array, **arrays: Any) -> jax.Array:
        own = oracle.intensity_scale(
            nphotons, source=source, target_amplitude=t, mask=arrays.get("mask"), pixels=t.shape[-1]
        )
        value: jax.Array = poisson(p, t, own, **arrays)
        return value

    return derived


class JaxBackend:
    """Value and gradient through `oracle.evaluation`, 64-bit types on for float64 only."""

    name = "jax"
    modes = MODES

    def __init__(self) -> None:
        self._prepared = Prepared()

    def environment(self, device: str) -> dict[str, str]:
        try:
            found = jax.devices(device)[0]
        except RuntimeError as error:
            raise BackendError(f"backend jax: no device {device!r} ({error}); use --device cpu") from error
        with jax.default_device(found):
            half_of_smallest = float(jnp.float32(2.0**-126) * jnp.float32(0.5))
        return {
            "jax": jax.__version__,
            "jaxlib": version("jaxlib"),
            "device": str(found.device_kind),
            "tf32": "off: matmul_precision highest",
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "threads": str(os.cpu_count()),
            "subnormals": "kept" if half_of_smallest > 0 else "flushed",
        }

    def transpose(self, array: Any, axes: tuple[int, ...]) -> Any:
        return jnp.transpose(array, axes)

    def times(self, array: Any, factors: Array) -> Any:
        return array * jnp.asarray(factors, array.dtype)

    def shipped(self, question: Question) -> Codepath:
        return _reference(question.loss, question.parameters)

    def answer(
        self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str, loss_scale: float = 1.0
    ) -> Answer:
        if mode != "eager" and jax.config.jax_disable_jit:  # type: ignore[attr-defined]  # set at run time
            raise BackendError(f"backend jax: mode {mode} is switched off by JAX_DISABLE_JIT; unset it")
        wrt = question.parameters.wrt
        run = self._prepared.get(codepath, f"{mode} {wrt}", lambda loss, _: oracle.Differentiated(loss, mode, wrt))
        misdeeds: list[str] = []
        with left_as_they_were(SWITCHES, misdeeds), jax.default_matmul_precision("highest"):
            got = run(
                question.prediction,
                question.target,
                scale_argument(question),
                **keyword_operands(question),
                dtype=dtype,
                device=device,
                loss_scale=loss_scale,
            )
        return Answer.of(np.asarray(got.value), np.asarray(got.gradient), loss_scale, misdeeds)

    def value(self, codepath: Codepath, question: Question, *, dtype: str, device: str) -> Value:
        wrt, misdeeds = question.parameters.wrt, list[str]()
        run = self._prepared.get(codepath, f"eager {wrt}", lambda loss, _: oracle.Differentiated(loss, "eager", wrt))
        operands = question.prediction, question.target, scale_argument(question)
        with left_as_they_were(SWITCHES, misdeeds), jax.default_matmul_precision("highest"):
            value = run.value(*operands, **keyword_operands(question), dtype=dtype, device=device)
        return Value(wide(value), value.dtype.name, tuple(misdeeds))
