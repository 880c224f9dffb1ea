"""From MODULE:ATTR on a command line to the callable it names."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.exit_codes import UsageError


def _module(name: str) -> ModuleType:
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{name}: no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{name}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
        return module
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def locate(target: str) -> Callable[..., Any]:
    """Return the callable that `package.module:attribute` or `file.py:attribute` names.

    A class, such as a torch.nn.Module, is instantiated without arguments.

    Raises
    ------
    UsageError
        The form is wrong, the import fails, the attribute is missing or is not callable.
    """
    name, _, attribute = target.rpartition(":")
    if not name or not attribute:
        raise UsageError(f"{target}: wanted MODULE:ATTR or FILE.py:ATTR, such as my_losses:amplitude_loss")
    hint = ""
    try:
        found: Any = _module(name)
        for part in attribute.split("."):
            found = getattr(found, part)
        if isinstance(found, type):
            hint = "; a class is built without arguments, wrap it in a function"
            found = found()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's module may raise anything; say which import did
        raise UsageError(f"{target}: cannot be loaded ({type(error).__name__}: {error}){hint}") from error
    if not callable(found):
        raise UsageError(f"{target}: is a {type(found).__name__}, wanted a callable")
    located: Callable[..., Any] = found
    return located
