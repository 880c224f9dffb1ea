"""Real diffraction frames: every form of file that users have, what is refused, and the measured scan where it is."""

import bz2
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.backends import BACKENDS, load_backend
from conformance.exit_codes import UsageError
from conformance.frames import DEFAULT_NPHOTONS, read_frames
from conformance.judge import judge_all
from conformance.measured import intensity_scale, measured_cases, predict

COUNTS = np.random.default_rng(3).poisson(9.0, (8, 16, 16))


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


AMPLITUDE = np.sqrt(COUNTS).astype("f4")
FORMS = {
    "diffraction.npz": _npz(diffraction=AMPLITUDE, probeGuess=np.ones((16, 16), "c8")),
    "diff3d.npz": _npz(diff3d=COUNTS.astype("u2")),
    "last.npz": _npz(diff3d=np.moveaxis(COUNTS, 0, 2).astype("u2")),
    "scan.npz.bz2": bz2.compress(_npz(data=COUNTS.astype("f4")[None])),
    "plain.npy": _npy(AMPLITUDE),
    "plain.npy.bz2": bz2.compress(_npy(AMPLITUDE)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_amplitudes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name])
    frames = read_frames(path, 4)
    assert np.array_equal(frames.amplitudes, AMPLITUDE[::2].astype(float))
    assert frames.amplitudes.shape == (4, 16, 16) and frames.amplitudes.dtype == np.float64


def test_counts_that_overflow_their_square_do_not_overflow_here(tmp_path: Path) -> None:
    path = tmp_path / "bright.npz"
    path.write_bytes(_npz(diff3d=np.full((1, 4, 4), 60000, "u2")))
    assert read_frames(path, 1).amplitudes[0, 0, 0] == float(np.float32(np.sqrt(60000.0)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_npz(diff3d=np.array([[[1, -2], [3, 4]]])), r"array diff3d: negative number -2 .* \(0, 0, 1\)"),
        (_npz(diffraction=np.array([[[1, 2], [np.nan, 4]]])), r"non-finite number nan .* \(0, 1, 0\)"),
        (_npz(diffraction=np.ones((1, 2, 2), "c8")), "dtype complex64, wanted real numbers"),
        (_npz(diffraction=np.zeros((1, 2, 2))), "all dark"),
        (_npz(diffraction=np.ones(5)), r"shape \(5,\), wanted frames"),
        (_npz(diffraction=np.ones((8, 8, 12))), r"8 frames of 8 x 12, or 12 of 8 x 8\? wanted square frames"),
        (_npz(something=np.ones((1, 2, 2))), "none of the arrays diffraction, diff3d, data"),
        (_npz(diffraction=np.array([{}], dtype=object)), "neither an NPZ nor an NPY"),
        (b"PK not an archive", "neither an NPZ nor an NPY"),
        (b"", "neither an NPZ nor an NPY"),
    ],
    ids=["negative", "nan", "complex", "dark", "rank", "either-way", "unknown", "pickle", "garbage", "empty"],
)
def test_unfit_files_are_refused_with_file_array_and_place(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "frames.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_frames(path, 1)


def test_a_broken_bz2_and_too_few_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz.bz2"
    path.write_bytes(FORMS["scan.npz.bz2"][:-20])
    with pytest.raises(UsageError, match="neither an NPZ nor an NPY"):
        read_frames(path, 1)
    path.write_bytes(FORMS["scan.npz.bz2"])
    with pytest.raises(UsageError, match="8 frames, wanted 9"):
        read_frames(path, 9)
    with pytest.raises(UsageError, match="frames: got 0"):
        read_frames(path, 0)


def test_the_scale_follows_nphotons_then_the_file_then_the_default(tmp_path: Path) -> None:
    counted, plain, named = tmp_path / "a.npz", tmp_path / "b.npy", tmp_path / "c.npz"
    counted.write_bytes(FORMS["diff3d.npz"])
    plain.write_bytes(FORMS["plain.npy"])
    named.write_bytes(_npz(diffraction=AMPLITUDE, _metadata=np.array('{"nphotons": 5e4}')))
    mean = float(np.mean(np.sum(np.square(AMPLITUDE.astype(float)), axis=(1, 2))))
    for path, nphotons, expected in (
        (counted, None, 1.0), (counted, 1e6, (1e6 / mean) ** 0.5),
        (plain, None, (DEFAULT_NPHOTONS / mean) ** 0.5), (named, None, (5e4 / mean) ** 0.5),
    ):  # fmt: skip
        scale = intensity_scale(read_frames(path, 8), nphotons).value
        assert abs(scale / expected - 1) < 2.0**-20
        assert scale == float(np.float32(scale))


def test_a_prediction_is_deterministic_and_never_dark_under_counts() -> None:
    target = AMPLITUDE.astype(float)
    prediction = predict(target)
    assert np.array_equal(prediction, predict(target))
    assert np.all(prediction[target > 0] > 0)
    assert np.any(prediction[target == 0] == 0) and np.any(prediction[target == 0] > 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_made_up_frames_are_judged_on_every_backend(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "scan.npz.bz2"
    path.write_bytes(FORMS["scan.npz.bz2"])
    cases = list(measured_cases(read_frames(path, 8), None, load_backend("jax")))
    assert [case.question.loss for case in cases] == ["amplitude_l2_mae", "amplitude_mae", "poisson_nll"]
    loaded = load_backend(backend)
    verdicts = list(
        judge_all(
            loaded, loaded.shipped, cases, dtypes=("float32", "float64"), modes=("eager",), device="cpu", ties="strict"
        )
    )
    assert [verdict.status for verdict in verdicts] == ["pass"] * 6


@pytest.mark.skipif("PTYCHO_REAL_DATA" not in os.environ, reason="PTYCHO_REAL_DATA names no folder of measured data")
def test_the_measured_scan_is_judged_without_a_failure() -> None:
    path = Path(os.environ["PTYCHO_REAL_DATA"]) / "siemens-star-small.npz.bz2"
    frames = read_frames(path, 64)
    assert frames.amplitudes.shape == (64, 128, 128)
    torch = load_backend("torch")
    verdicts = list(
        judge_all(
            torch,
            torch.shipped,
            measured_cases(frames, None, load_backend("jax")),
            dtypes=("float32", "float64"),
            modes=("eager",),
            device="cpu",
            ties="strict",
        )
    )
    assert len(verdicts) == 48 and {verdict.status for verdict in verdicts} == {"pass"}
