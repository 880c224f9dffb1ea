"""JAX: the reference itself, judged like the rest, and anybody's JAX loss. The only module that imports oracle."""

from functools import cache, partial
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

import oracle
from conformance.backends.answer import Answer, Codepath, Prepared, scale_argument
from conformance.case import Parameters, Question
from conformance.exit_codes import BackendError


@cache
def _reference(loss: str, parameters: Parameters) -> Codepath:
    scale = parameters.scale
    options: dict[str, Any] = {"reduction": parameters.reduction}
    if loss == "amplitude_l2_mae":
        return partial(oracle.amplitude_l2_mae, gain=parameters.gain, eps=parameters.eps, **options)
    if loss == "amplitude_mae":

        def legacy(p: jax.Array, t: jax.Array, s: float | jax.Array = 1.0) -> jax.Array:
            return oracle.amplitude_mae(p, t, intensity_scale=s, **options)

        return legacy
    options["constant"] = parameters.constant
    if scale is None or scale.source == "given" or scale.nphotons is None:
        return partial(oracle.poisson_nll, **options)
    nphotons, source = scale.nphotons, scale.source

    def derived(p: jax.Array, t: jax.Array, _: jax.Array) -> jax.Array:
        own = oracle.intensity_scale(nphotons, source=source, target_amplitude=t, pixels=t.shape[-1])
        return oracle.poisson_nll(p, t, own, **options)

    return derived


class JaxBackend:
    """Value and gradient through `oracle.evaluate`, 64-bit types on for float64 only."""

    name = "jax"
    modes = ("eager", "jit")

    def __init__(self) -> None:
        self._prepared = Prepared()

    def environment(self, device: str) -> dict[str, str]:
        try:
            found = jax.devices(device)[0]
        except RuntimeError as error:
            raise BackendError(f"backend jax: no device {device!r} ({error}); use --device cpu") from error
        return {"jax": jax.__version__, "jaxlib": version("jaxlib"), "device": str(found.device_kind)}

    def shipped(self, question: Question) -> Codepath:
        return _reference(question.loss, question.parameters)

    def answer(self, codepath: Codepath, question: Question, *, dtype: str, mode: str, device: str) -> Answer:
        if mode == "jit" and jax.config.jax_disable_jit:  # type: ignore[attr-defined]  # set at run time
            raise BackendError("backend jax: mode jit is switched off by JAX_DISABLE_JIT; unset it")
        run = self._prepared.get(codepath, mode, oracle.Differentiated)
        scale = scale_argument(question)
        got = run(question.prediction, question.target, scale, dtype=dtype, device=device)
        return Answer(np.asarray(got.value), np.asarray(got.gradient))
