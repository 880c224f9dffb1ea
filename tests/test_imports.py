"""Who may import whom; what importing the judge costs; and what is public."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"jax", "jaxlib", "torch", "tensorflow", "keras"}
OURS = {"oracle", "conformance", "fixtures"}
STDLIB = set(sys.stdlib_module_names)
ALLOWED = {
    "oracle": {"jax", "numpy", "oracle"},
    "fixtures": {"numpy", "flint", "fixtures"},
    "conformance": {"numpy", "typer", "rich", "conformance"},
}
STUDY = {"jax", "optax", "oracle", "skimage", "scipy", "matplotlib"}
OWN_FRAMEWORK = {
    "conformance/rollout/study/": STUDY,
    "conformance/rollout/study/torch_": {"torch"},
    "conformance/rollout/study/tensorflow_": {"tensorflow"},
    "conformance/backends/jax_": {"jax", "jaxlib", "oracle"},
    "conformance/backends/torch_": {"torch"},
    "conformance/backends/tensorflow_": {"tensorflow", "keras"},
    "conformance/backends/program_export.py": {"tensorflow", "jax"},
    "conformance/backends/program_backend.py": {"jax"},
    "conformance/codepaths/torch_": {"torch"},
    "conformance/codepaths/tensorflow_": {"tensorflow"},
    "conformance/codepaths/keras_": {"tensorflow", "keras"},
    "conformance/liars/jax_": {"jax"},
    "conformance/liars/tensorflow_": {"tensorflow"},
    "conformance/liars/torch_": {"torch"},
    "conformance/rollout/ptychopinn/keras_": {"tensorflow", "keras"},
    "conformance/rollout/ptychopinn/torch_": {"torch"},
}
"""A framework is imported by the files that are named for it, and by no other."""
SOURCES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names - STDLIB


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_imports_only_what_its_room_allows(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    own = set().union(*(names for start, names in OWN_FRAMEWORK.items() if name.startswith(start)))
    assert _imported(path) <= ALLOWED[name.split("/")[0]] | own


def test_the_walk_found_the_files_it_judges() -> None:
    assert len(SOURCES) > 40
    names = [path.relative_to(ROOT).as_posix() for path in SOURCES]
    assert all(any(name.startswith(start) for name in names) for start in OWN_FRAMEWORK)


@pytest.mark.parametrize(
    "statement",
    [
        "import conformance",
        "import sys; sys.argv = ['ptycho-oracle', '--help']\ntry:\n from conformance.cli import main; main()\n"
        "except SystemExit as stop:\n assert not stop.code",
        "import fixtures.__main__",
    ],
    ids=["import", "help", "fixtures"],
)
def test_no_framework_is_imported_until_it_is_asked_for(statement: str) -> None:
    program = f"import sys\n{statement}\nprint('frameworks:', sorted({FRAMEWORKS!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("frameworks: []\n")


def test_judging_torch_needs_neither_jax_nor_tensorflow() -> None:
    program = (
        "import sys\n"
        "for name in ('jax', 'jaxlib', 'tensorflow', 'keras', 'flint'): sys.modules[name] = None\n"
        "from conformance import check_loss\n"
        "result = check_loss(lambda p, t: (p - t).abs().mean(), loss='amplitude_mae')\n"
        "assert result.conformant and result.worst_margin <= 1\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["oracle", "conformance", "conformance.codepaths"])
def test_all_is_what_the_package_offers(name: str) -> None:
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    offered = [a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names]
    assert sorted(module.__all__) == sorted(offered)
    assert all(hasattr(module, entry) and getattr(module, entry).__doc__ for entry in module.__all__)
