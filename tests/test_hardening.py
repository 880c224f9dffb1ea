"""Ways to look right that were once open: state, stale compilation, early exits, switches, and odd files."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import BackendError, UsageError, check_loss
from conformance.backends import BACKENDS, MODES, load_backend
from conformance.case import Parameters, Question, Scale
from conformance.frames import read_frames
from conformance.locate import locate
from conformance.measured import intensity_scale
from conformance.tolerance import bounds

ROOT = Path(__file__).resolve().parent.parent
ONE = ["mae-typical"]


class _Switch:
    """A loss with a state: right, or twice too large."""

    def __init__(self, framework: str) -> None:
        self.framework, self.factor, self.calls = framework, 1.0, 0

    def loss(self, p: Any, t: Any) -> Any:
        if self.framework == "torch":
            return self.factor * (p - t).abs().mean()
        if self.framework == "jax":
            import jax.numpy as jnp

            return self.factor * jnp.mean((p - t) * jnp.sign(p - t))
        import tensorflow as tf

        return self.factor * tf.reduce_mean(tf.abs(p - t))

    def forgetful(self, p: Any, t: Any) -> Any:
        self.calls += 1
        self.factor = 1.0 if self.calls % 2 else 2.0
        return self.loss(p, t)


@pytest.mark.parametrize(
    ("framework", "mode"), [("jax", "jit"), ("tensorflow", "function"), ("tensorflow", "xla"), ("torch", "compile")]
)
def test_a_compiled_function_is_never_judged_for_another(framework: str, mode: str) -> None:
    switch = _Switch(framework)
    options = {"loss": "amplitude_mae", "framework": framework, "mode": mode, "cases": ONE}
    assert check_loss(switch.loss, **options).conformant  # type: ignore[arg-type]
    switch.factor = 2.0
    assert not check_loss(switch.loss, **options).conformant  # type: ignore[arg-type]


def test_a_loss_that_differs_on_the_second_call_is_rejected() -> None:
    result = check_loss(_Switch("torch").forgetful, loss="amplitude_mae", cases=ONE)
    assert not result.conformant
    assert result.failures[0].message.startswith("on the second call, of -65536 times the loss: value: got")


@dataclass
class _Unhashable:
    factor: float = 1.0

    def __call__(self, p: Any, t: Any) -> Any:
        return self.factor * (p - t).abs().mean()


def test_a_callable_need_not_be_hashable() -> None:
    assert check_loss(_Unhashable(), loss="amplitude_mae", cases=ONE, mode="all").conformant


def test_a_loss_that_exits_is_an_error_not_a_success(tmp_path: Path) -> None:
    def leave(p: Any, t: Any) -> Any:
        sys.exit(0)

    def stop(p: Any, t: Any) -> Any:
        raise GeneratorExit

    for loss in (leave, stop):
        assert {v.status for v in check_loss(loss, loss="amplitude_mae", cases=ONE).verdicts} == {"error"}
    script = tmp_path / "script.py"
    script.write_text("import sys\ndef mae(p, t): return (p - t).abs().mean()\nsys.exit(0)\n")
    with pytest.raises(UsageError, match="SystemExit"):
        locate(f"{script}:mae")


def test_the_table_of_modes_is_the_backends_own() -> None:
    assert set(MODES) == {mode for name in BACKENDS for mode in load_backend(name).modes}


def test_an_unknown_or_unavailable_mode_is_refused_beside_a_good_one() -> None:
    with pytest.raises(UsageError, match="mode: got 'bogus'"):
        check_loss(_Switch("torch").loss, loss="amplitude_mae", mode=("eager", "bogus"))
    with pytest.raises(BackendError, match="mode jit: no requested backend has it"):
        check_loss(_Switch("torch").loss, loss="amplitude_mae", mode=("eager", "jit"))


def test_a_pattern_that_matches_nothing_is_refused_beside_one_that_does() -> None:
    with pytest.raises(UsageError, match="'mae-tpyo' matches none"):
        check_loss(_Switch("torch").loss, loss="amplitude_mae", cases=["mae-typical", "mae-tpyo"])


@pytest.mark.parametrize(
    ("variable", "backend", "mode"),
    [("TORCHDYNAMO_DISABLE", "torch", "compile"), ("JAX_DISABLE_JIT", "jax", "jit")],
)
def test_a_compiler_that_is_switched_off_exits_4(variable: str, backend: str, mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--backend", backend, "--mode", mode, "--case", "mae-typical"],
        cwd=ROOT,
        env={**os.environ, variable: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert variable in done.stderr


@pytest.mark.parametrize("hidden", [{}, {"TORCHDYNAMO_SUPPRESS_ERRORS": "1"}], ids=["plain", "suppressed"])
def test_a_compiler_that_is_missing_exits_4(tmp_path: Path, hidden: dict[str, str]) -> None:
    """Also where the user lets Torch fall back to eager without a word: that would be another codepath."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "conformance",
            "run",
            "--backend",
            "torch",
            "--mode",
            "compile",
            "--case",
            "mae-typical",
        ],
        cwd=ROOT,
        env={**os.environ, **hidden, "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "mode compile does not start" in done.stderr


def test_functions_run_eagerly_are_not_judged_as_compiled() -> None:
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(BackendError, match="run_functions_eagerly"):
            check_loss(_Switch("tensorflow").loss, loss="amplitude_mae", framework="tensorflow", mode="xla", cases=ONE)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:Converting sparse IndexedSlices")
def test_a_gradient_in_slices_is_a_gradient() -> None:
    import tensorflow as tf

    def gathered(p: Any, t: Any) -> Any:
        return tf.reduce_mean(tf.abs(tf.gather(p, tf.range(tf.shape(p)[0])) - t))

    assert check_loss(gathered, loss="amplitude_mae", framework="tensorflow").conformant


def test_sign_one_at_a_dead_pixel_has_its_rounding_too() -> None:
    """w / P computed as a product of roundings may leave the interval [-1, 1] by a few units in the last place."""
    question = Question(
        "dead", "amplitude_l2_mae", Parameters(), np.array([[[[0.0, 3.0, 5.0]]]]), np.array([[[[0.0, 4.0, 1.0]]]])
    )
    derived = bounds(question, np.zeros(()), np.array([[[[0, -1, 1]]]], np.int8), "float32")
    slope = question.weight / 34.0**0.5
    assert derived.tied[0, 0, 0, 0] and derived.gradient[0, 0, 0, 0] < 2.0**-60
    assert derived.settled_gradient[0, 0, 0, 0] >= 8 * 2.0**-24 * slope


def test_an_element_that_underflows_has_an_open_sign() -> None:
    p, t = np.array([[[[2.0**60, 2.0**-95]]]]), np.array([[[[2.0**60, 0.0]]]])
    question = Question("faint", "amplitude_l2_mae", Parameters(), p, t)
    derived = bounds(question, np.zeros(()), np.array([[[[-1, 1]]]], np.int8), "float32")
    assert derived.unsettled[0, 0, 0, 1]


def test_a_tie_is_not_held_against_a_codepath_where_eps_may_or_may_not_bound_the_norm() -> None:
    t = np.array([[[[3.0, 4.0000001]]]])
    question = Question("edge", "amplitude_l2_mae", Parameters(eps=5.0), 2 * t, t)
    derived = bounds(question, np.zeros(()), np.zeros(t.shape, np.int8), "float32")
    assert not derived.tied.any()


@pytest.mark.parametrize("damage", ["flip", "header", "member"])
def test_damaged_data_is_a_usage_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "frames.npz"
    np.savez_compressed(path, diffraction=np.random.default_rng(0).random((4, 16, 16)))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        for place in range(200, 1200, 40):
            content[place] ^= 255
        path.write_bytes(content)
    elif damage == "header":
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 64, 64), }"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    else:
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", b"not an array")
    with pytest.raises(UsageError, match=r"frames\.npz"):
        read_frames(path, 1)


@pytest.mark.parametrize("nphotons", ["-5", "NaN", "0", "Infinity", '"many"'])
def test_a_file_with_an_impossible_photon_number_is_refused(tmp_path: Path, nphotons: str) -> None:
    path = tmp_path / "named.npz"
    np.savez(path, diffraction=np.ones((1, 4, 4)), _metadata=np.array(f'{{"nphotons": {nphotons}}}'))
    with pytest.raises(UsageError, match=r"_metadata.*nphotons"):
        read_frames(path, 1)


@pytest.mark.parametrize("nphotons", [1e-60, 1e60])
def test_photons_that_leave_float32_are_refused(tmp_path: Path, nphotons: float) -> None:
    path = tmp_path / "frames.npz"
    np.savez(path, diffraction=np.ones((1, 4, 4)))
    with pytest.raises(UsageError, match="what float32 can hold"):
        intensity_scale(read_frames(path, 1), nphotons)


@pytest.mark.parametrize("level", [1e-30, 1e35])
def test_amplitudes_whose_squares_leave_float32_are_refused(tmp_path: Path, level: float) -> None:
    path = tmp_path / "frames.npz"
    np.savez(path, diffraction=np.full((1, 4, 4), level))
    with pytest.raises(UsageError, match="their squares leave float32"):
        read_frames(path, 1)


def test_square_brackets_in_a_name_are_not_markup(tmp_path: Path) -> None:
    folder = tmp_path / "x[" / "a]"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("def mae(p, t): return (p - t).abs().mean()\n")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "check", f"{folder}/mine.py:mae", "--loss", "amplitude_mae"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{folder}/mine.py:mae as amplitude_mae" in done.stdout


def test_the_scale_may_be_handed_over_rounded(tmp_path: Path) -> None:
    """A derived scale is irrational: what a plain f(p, t, s) gets is its nearest float, and the tolerance knows."""
    shape = (1, 1, 1, 2)
    question = Question(
        "derived", "poisson_nll", Parameters(scale=Scale(1.5, "dataset", 10.0)), np.ones(shape) * 2, np.ones(shape)
    )
    given = Question("given", "poisson_nll", Parameters(scale=Scale(1.5)), question.prediction, question.target)
    wide, narrow = (bounds(q, np.zeros(()), None, "float32").gradient for q in (question, given))
    assert np.all(wide > narrow)
