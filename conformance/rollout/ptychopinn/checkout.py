"""A user's PtychoPINN checkout: where it is, and its modules, imported from there and nowhere else."""

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.exit_codes import BackendError, UsageError

PLACES = {"torch": Path("ptycho_torch/model.py"), "tensorflow": Path("ptycho/model.py")}


def require_checkout(path: Path, framework: str) -> None:
    """Refuse a folder without the file that the loss goes into."""
    if not (path / PLACES[framework]).is_file():
        raise UsageError(f"--checkout {path}: no {PLACES[framework]} there; give the root of a PtychoPINN clone")


def module_of(path: Path, name: str) -> ModuleType:
    """Import a module of the checkout.

    Raises
    ------
    BackendError
        It cannot be imported, or another installation of it was imported instead.
    """
    root = str(path.resolve())
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever their import-time code raises
        raise BackendError(
            f"{name} of {path}: {type(error).__name__}: {error}; install the checkout's own requirements here"
        ) from error
    found = getattr(module, "__file__", None)
    if found is None or not Path(found).resolve().is_relative_to(path.resolve()):
        raise BackendError(f"{name}: imported from {found}, wanted {path}; uninstall the other PtychoPINN here")
    return module


def fitting(kind: type, **wanted: Any) -> Any:
    """Build a dataclass of the checkout from those of the `wanted` fields that it has: names differ by revision."""
    held = {entry.name for entry in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in wanted.items() if name in held})
