"""The table of backends: name -> module, imported only when asked for."""

from importlib import import_module

from conformance.backends.answer import Answer, Backend, Codepath, scale_argument
from conformance.exit_codes import BackendError, UsageError

__all__ = [
    "BACKENDS",
    "COMPILED",
    "DEVICES",
    "MODES",
    "ON_REQUEST",
    "Answer",
    "Backend",
    "Codepath",
    "load_backend",
    "scale_argument",
]

MODES = (
    "eager",
    "jit",
    "grad_of_jit",
    "vmap",
    "compile",
    "func",
    "channels_last",
    "strided",
    "both",
    "persistent",
    "function",
    "xla",
)
"""All modes of all backends."""
COMPILED = ("jit", "compile", "function", "xla")
"""What `compiled` stands for."""

DEVICES = ("cpu", "cuda")
BACKENDS = {
    "jax": ("conformance.backends.jax_backend", "JaxBackend", "jax and jaxlib"),
    "torch": ("conformance.backends.torch_backend", "TorchBackend", "torch"),
    "tensorflow": ("conformance.backends.tensorflow_backend", "TensorFlowBackend", "tensorflow"),
}
ON_REQUEST = {"tensorflow-program": ("conformance.backends.program_backend", "ProgramBackend", "jax and jaxlib")}
"""Judged only where they are asked for by name: they need something prepared."""


def load_backend(name: str) -> Backend:
    """Import one framework and return its backend.

    Raises
    ------
    UsageError
        No backend of this name.
    BackendError
        The framework is not installed or does not import.
    """
    known = BACKENDS | ON_REQUEST
    if name not in known:
        raise UsageError(f"backend: got {name!r}, wanted one of {', '.join(known)}")
    module, attribute, extra = known[name]
    try:
        backend: Backend = getattr(import_module(module), attribute)()
    except Exception as error:  # a framework may fail to import in any way, and must then be missed aloud
        raise BackendError(
            f"backend {name}: does not import ({type(error).__name__}: {error}); "
            f"install {extra} in this environment, or ask other frameworks (`run --backend`, `check --framework`)"
        ) from error
    return backend
