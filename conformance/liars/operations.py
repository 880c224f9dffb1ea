"""The array operations that the bank is written in, one table per framework, loaded when asked for."""

from functools import cache
from importlib import import_module
from types import SimpleNamespace

FRAMEWORKS = ("torch", "tensorflow", "jax")
SAMPLE = (1, 2, 3)
"""The axes of one sample."""


@cache
def operations(framework: str) -> SimpleNamespace:
    """Return the operations of one framework by their common names.

    Raises
    ------
    ImportError
        It is not installed.
    """
    made: SimpleNamespace = import_module(f"conformance.liars.{framework}_operations").table()
    return made
