"""Every check of the project, one session each; CI only calls these."""

import os
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "fixtures", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True

COMPILED_BY_JAX = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(__file__).resolve().parent / ".nox" / "compiled-by-jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""JAX compiles each operation of its eager mode anew in every process; kept, what one compiles serves the others."""
for name, value in COMPILED_BY_JAX.items():
    os.environ.setdefault(name, value)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""uv leaves bytecode to the first import: without it each process compiles thousands of modules anew."""

PYPROJECT = nox.project.load_toml("pyproject.toml")
BACKENDS = {"jax": ["jax"], "torch": ["torch"], "tensorflow": ["tensorflow"], "all": ["jax", "torch", "tensorflow"]}
ALL = BACKENDS["all"]
AT_ONCE = str(min(os.cpu_count() or 1, 8))
ONE_CORE_EACH = {"OMP_NUM_THREADS": "1"}
"""For processes side by side: threads of OpenMP that wait for each other keep their cores busy."""
QUICK_XLA = {
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 "
    "--xla_cpu_parallel_codegen_split_count=1"
}
"""XLA compiles in half the time, for programs that meet few numbers. `conformance` judges it as it is by default."""


def groups(*names: str) -> list[str]:
    """Return the requirements of PEP 735 groups."""
    return [requirement for name in names for requirement in nox.project.dependency_groups(PYPROJECT, name)]


CUDA = {
    "torch": groups("torch"),
    "jax": [*groups("jax"), "jax[cuda12]"],
    "tensorflow": [*groups("tensorflow"), "tensorflow[and-cuda]"],
    "tensorflow-program": [*groups("tensorflow", "jax"), "jax[cuda12]"],
}
"""The builds for GPUs, each framework in an environment of its own: their CUDA libraries do not agree."""


def install(session: nox.Session, *requirements: str) -> None:
    """Install, with the CPU build of torch: from PIP_FIND_LINKS where that is set, else by uv's own choice."""
    wants_torch = any(requirement.startswith("torch") for requirement in requirements)
    environment = {}
    if session.venv_backend == "uv":
        if "PIP_FIND_LINKS" in os.environ:
            environment["UV_FIND_LINKS"] = os.environ["PIP_FIND_LINKS"]
        elif wants_torch:
            environment["UV_TORCH_BACKEND"] = "cpu"
        if "PIP_CERT" in os.environ:
            environment.setdefault("SSL_CERT_FILE", os.environ["PIP_CERT"])
    session.install(*requirements, env=environment)


@nox.session
@nox.parametrize("backend", [nox.param(name, id=name) for name in BACKENDS])
def conformance(session: nox.Session, backend: str) -> None:
    """Judge the shipped codepaths on every case, eager and compiled; `-- --mode all --dtype all` for everything.

    `all` has the three frameworks in one environment; `-- --backend NAME` asks fewer of them there.
    """
    install(session, ".", *groups(*BACKENDS[backend]))
    named = () if "--backend" in session.posargs else BACKENDS[backend]
    chosen = [argument for name in named for argument in ("--backend", name)]
    asked = session.posargs or ["--mode", "eager", "--mode", "compiled", "--processes", AT_ONCE]
    report = [] if "--report" in asked else ["--report", "report.jsonl"]
    threads = {} if session.posargs else ONE_CORE_EACH
    session.run("ptycho-oracle", "run", *chosen, *asked, *report, env=threads)


@nox.session
@nox.parametrize("backend", [nox.param(name, id=name) for name in CUDA])
def gpu(session: nox.Session, backend: str) -> None:
    """Judge the shipped codepaths on a GPU: every case, eager and compiled; exit 4 where there is none.

    `tensorflow-program` exports TensorFlow's programs first, and runs them where JAX has a GPU and TensorFlow has none.
    """
    automatic = {"UV_TORCH_BACKEND": "auto"} if session.venv_backend == "uv" and backend == "torch" else {}
    session.install(".", *CUDA[backend], env=automatic)
    modes = ["eager", "compiled"]
    arguments: list[str] = []
    if backend == "tensorflow-program":
        folder = Path(session.create_tmp()) / "programs"
        session.run("ptycho-oracle", "export-program", str(folder), env={"CUDA_VISIBLE_DEVICES": "-1"})
        modes, arguments = ["xla"], ["--programs", str(folder)]
    arguments += [argument for mode in modes for argument in ("--mode", mode)]
    report = f"report-cuda-{backend}.jsonl"
    arguments += ["--device", "cuda", "--report", report, *session.posargs]
    session.run("ptycho-oracle", "run", "--backend", backend, *arguments)


@nox.session
def gradients(session: nox.Session) -> None:
    """Compare the gradients of Torch, TensorFlow and JAX pair by pair."""
    install(session, ".", *groups(*ALL))
    session.run("ptycho-oracle", "gradients", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, on an installed package, with all three frameworks."""
    install(session, ".", *groups("test", "study", *ALL))
    spread = [] if session.posargs else ["-n", AT_ONCE, "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run("pytest", *spread, *session.posargs, env=QUICK_XLA | (ONE_CORE_EACH if spread else {}))


@nox.session(python=["3.11", "3.12", "3.13"])
def fixtures(session: nox.Session) -> None:
    """Prove that the golden set regenerates byte for byte; `-- regenerate` writes it."""
    install(session, *groups("fixtures"))
    command = session.posargs or ["check"]
    session.run("python", "-m", "fixtures", *command)
    if command == ["check"]:
        baseline = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512F AVX2 FMA3"}
        session.run("python", "-m", "fixtures", "check", env=baseline)


@nox.session
def precision(session: nox.Session) -> None:
    """Show what float32 keeps of the NLL at 1e9 photons per pixel: the shipped losses beside plain autodiff."""
    install(session, ".", *groups("test", *ALL))
    session.run("python", "tests/precision.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Show what the shipped losses cost beside plain ones, as ratios of times taken in turn in one run."""
    install(session, ".", *groups("test", *ALL))
    session.run("python", "tests/bench.py", *session.posargs)


@nox.session
def margins(session: nox.Session) -> None:
    """Print how much of their tolerances differently written right losses use; `-- --ways 0-11` for all of them."""
    install(session, ".", *groups("test", *ALL))
    session.run("python", "tests/margins.py", *session.posargs)


@nox.session
def liars(session: nox.Session) -> None:
    """Run the gate against the bank of wrong losses: every one must die, eager and compiled."""
    install(session, ".", *groups("torch", "tensorflow"))
    session.run("python", "-m", "conformance.liars", *session.posargs, env=QUICK_XLA)


@nox.session
def mutants(session: nox.Session) -> None:
    """Put a sample of mutants of one area of the judge to its tests: `-- verdict`, `runner`, `tolerance`, ..."""
    install(session, ".", *groups("test", "torch", "mutants"))
    session.run("python", "tests/mutants.py", *session.posargs)


@nox.session
def study(session: nox.Session) -> None:
    """Do the runs of the A/B study that are not on record; `-- report` writes its page, `-- smoke` tries every part."""
    install(session, ".", *groups("study", *ALL))
    session.run("python", "-m", "conformance.rollout.study", *(session.posargs or ["run"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, imports and formatting."""
    install(session, *groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, ".", *groups("types", "fixtures", "study", "jax", "torch"), "pytest")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Prove that the generated pages of docs/ are what a run of the judge says; `-- write` writes them."""
    install(session, ".", *groups("docs", *ALL))
    wanted = [] if session.posargs == ["write"] else ["--check", *session.posargs]
    session.run("python", "docs/generate.py", *wanted)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it outside the checkout and judge Torch with it: golden data must have travelled."""
    install(session, "build")
    out = Path(session.create_tmp()) / "dist"
    shutil.rmtree(out, ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out))
    (built,) = out.glob("*.whl")
    install(session, str(built), *groups("torch"))
    session.chdir(session.create_tmp())
    session.run("ptycho-oracle", "run", "--backend", "torch")
