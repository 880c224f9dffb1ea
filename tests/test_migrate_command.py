"""`ptycho-oracle migrate`: its table by hand, and everything that it refuses, with the words."""

import io
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from conformance import cli
from conformance.exit_codes import ConformanceError, ExitCode

BY_SAMPLE = ("--normalization", "l2_sample")


def _migrate(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["migrate", *arguments])
    if isinstance(result.exception, ConformanceError):
        return int(result.exception.exit_code), str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _rows(said: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if line.startswith("│")]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Five frames, the norms 2, 4, 6, 8, 10 and the mean amplitudes half of them; each of four photons on average."""
    path, buffer = tmp_path / "scan.npz", io.BytesIO()
    frames = np.arange(1.0, 6.0)[:, None, None] * np.ones((5, 2, 2))
    np.savez(buffer, diffraction=frames.astype("f4"))
    path.write_bytes(buffer.getvalue())
    return path


def test_the_table_of_photons() -> None:
    """1 / sqrt(4 x 2^20) = 2^-11; 4 x 64 x 64 elements, whose root is 2^7."""
    code, said = _migrate("--mae-weight", "3", "--n", "64", "--channels", "4", "--nphotons", "1048576", *BY_SAMPLE)
    rows = _rows(said)
    assert code == ExitCode.CONFORMANT and "one norm over 4 x 64 x 64 = 16384 elements, one sample" in said
    assert rows["value of the loss, legacy = 1"] == ["1", "0.0004883", "0.0625"]
    assert rows["either: weight"] == ["3", "6144", "48"] and rows["or: weight as it is"] == ["3", "3", "3"]
    assert rows["learning rate, adam"] == ["0.001"] * 3 and rows["Adam's epsilon"] == ["1e-08", "4.883e-12", "6.25e-10"]
    assert rows["absolute min_delta"] == ["0.0001", "4.883e-08", "6.25e-06"]
    assert "clip norm" not in rows and "least factor of what shares a norm" not in rows


def test_the_table_of_sgd_and_of_patterns_that_are_not_square() -> None:
    arguments = [
        "--height",
        "16",
        "--width",
        "4",
        "--nphotons",
        "65536",
        "--optimizer",
        "sgd",
        "--clip-norm",
        "2",
        *BY_SAMPLE,
    ]
    rows = _rows(_migrate(*arguments, "--learning-rate", "0.5", "--min-delta", "1")[1])
    assert rows["learning rate, sgd"] == ["0.5", "128", "16"] and rows["clip norm"] == ["2", "0.007812", "0.0625"]
    assert rows["absolute min_delta"] == ["1", "0.003906", "0.03125"] and "Adam's epsilon" not in rows


def test_the_table_of_data(scan: Path) -> None:
    code, said = _migrate("--data", str(scan), "--intensity-scale", "0.5", *BY_SAMPLE)
    rows = _rows(said)
    assert code == ExitCode.CONFORMANT and "scan.npz: diffraction (amplitudes), 5 of 5 frames (2, 2), 5 samples" in said
    assert rows["value of the loss, legacy = 1"] == ["1", "0.3333", "0.6667"]
    rms = sqrt(np.mean(np.arange(1.0, 6.0) ** -2))
    assert rows["norm of its gradient where ||p|| = ||t||, at most"] == ["1", f"{rms:.4g}", f"{2 * rms:.4g}"]
    assert rows["least factor of what shares a norm"] == ["1", "0.2", "0.4"]
    assert rows["largest factor of what shares a norm"] == ["1", "1", "2"]
    by_sample = ["--data", str(scan), "--intensity-scale", "0.5", *BY_SAMPLE]
    divided = _rows(_migrate(*by_sample, "--divisor", "batch_mean_amplitude")[1])
    assert divided["value of the loss, legacy = 1"] == ["1", "1", "2"]
    pairs = _migrate(*by_sample, "--channels", "2")[1]
    assert "2 samples" in pairs and "2 x 2 x 2 = 8 elements" in pairs


def test_one_norm_for_a_batch_is_what_is_shown_unless_told_otherwise(scan: Path) -> None:
    """1 / sqrt(16 x 4 x 2^20) = 2^-13; 16 x 4 x 64 x 64 elements, whose root is 2^9."""
    said = _migrate("--n", "64", "--channels", "4", "--nphotons", "1048576")[1]
    assert _rows(said)["value of the loss, legacy = 1"] == ["1", "0.0001221", "0.0625"]
    assert "one norm over 16 x 4 x 64 x 64 = 262144 elements, 16 samples of one batch" in said
    assert "elements, 16 samples of one view" in _migrate("--n", "4", "--normalization", "l2_view")[1]
    rows = _rows(_migrate("--data", str(scan), "--intensity-scale", "0.5", "--batch-size", "11")[1])
    assert rows["value of the loss, legacy = 1"] == ["1", "0.09091", "0.603"]  # 2 / sqrt(11 x 44), 2 / sqrt(44 / 4)
    assert "least factor of what shares a norm" not in rows
    patches = _migrate("--n", "4", "--channels", "4", "--nphotons", "64", "--normalization", "l2_patch")[1]
    assert _rows(patches)["value of the loss, legacy = 1"] == ["1", "0.125", "0.5"]
    assert "1 x 4 x 4 = 16 elements, one patch" in patches


def test_samples_are_made_of_consecutive_frames(tmp_path: Path) -> None:
    """Of 800 frames in pairs of one brightness, 64 are read: mixed pairs would have other norms."""
    path = tmp_path / "pairs.npy"
    np.save(path, np.repeat(np.arange(1.0, 401.0), 2)[:, None, None].astype("f4") * np.ones((2, 2), "f4"))
    said = _migrate("--data", str(path), "--intensity-scale", "1", "--channels", "2", *BY_SAMPLE)[1]
    first, last = 1 + 0, 1 + 31 * 400 // 32
    assert _rows(said)["largest factor of what shares a norm"][1] == f"{1 / (first * sqrt(8)):.4g}"
    assert _rows(said)["least factor of what shares a norm"][1] == f"{1 / (last * sqrt(8)):.4g}"
    assert "64 of 800 frames (2, 2), 32 samples" in said


def test_photons_set_the_scale_of_data(scan: Path) -> None:
    """Frames of the mean energy 44: the scale is sqrt(nphotons / 44)."""
    assert "scale 2;" in _migrate("--data", str(scan), "--nphotons", "176")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "--n: got none, wanted the side of the patterns in pixels, or --height and --width, or --data"),
        ("--height 4", "--n: got none, wanted the side"),
        ("--width 4", "--n: got none, wanted the side"),
        ("--n 8 --width 4", "--n, --height, --width: wanted --n for square patterns, or the two others"),
        ("--n 8 --nphotons 0", "--nphotons: got 0.0, wanted a finite number above 0"),
        ("--data DATA --intensity-scale -1", "--intensity-scale: got -1.0, wanted a finite number above 0"),
        ("--n 8 --adam-epsilon 0", "--adam-epsilon: got 0.0, wanted a finite number above 0"),
        ("--n 8 --clip-norm nan", "--clip-norm: got nan, wanted a finite number above 0"),
        ("--n 8 --intensity-scale 2", "say something about --data only"),
        ("--data DATA --height 3", "--height: got 3, but the frames of DATA are 2 x 2; leave it out"),
        ("--n 8 --height 4", "--n, --height, --width: wanted --n for square patterns, or the two others"),
        ("--n -8", "--n: got -8, wanted a finite number above 0"),
        ("--n 8 --channels 0", "--channels: got 0, wanted a finite number above 0"),
        ("--n 8 --mae-weight nan", "--mae-weight: got nan, wanted a finite number above 0"),
        ("--n 8 --learning-rate inf", "--learning-rate: got inf, wanted a finite number above 0"),
        ("--n 8 --min-delta 0", "--min-delta: got 0.0, wanted a finite number above 0"),
        ("--n 8 --optimizer lion", "optimizer: got 'lion', wanted one of adam, sgd"),
        ("--n 8 --divisor mean", "divisor: got 'mean', wanted one of none, batch_mean_amplitude"),
        ("--n 8 --optimizer sgd --adam-epsilon 1e-8", "--adam-epsilon: got one with --optimizer sgd, which has none"),
        ("--n 8 --frames 2", "--frames, --intensity-scale, --divisor: say something about --data only; give a file"),
        ("--n 8 --divisor batch_mean_amplitude", "say something about --data only"),
        ("--n 8 --intensity-scale 2 --nphotons 2", "--intensity-scale, --nphotons: each says what the other does"),
        ("--data DATA --n 8", "--n: got 8, but the frames of DATA are 2 x 2; leave it out"),
        ("--data DATA --width 3", "--width: got 3, but the frames of DATA are 2 x 2; leave it out"),
        ("--data DATA --channels 6", "5 of 5 frames asked for, wanted at least 6 in a row"),
        ("--data DATA --channels 4 --frames 3", "3 of 5 frames asked for, wanted at least 4 in a row"),
        ("--n 8 --batch-size 0", "--batch-size: got 0, wanted a finite number above 0"),
        (
            "--n 8 --normalization l2_sample --batch-size 16",
            "--batch-size: got 16, but with l2_sample samples share no",
        ),
        (
            "--n 8 --normalization none",
            "normalization: got 'none', wanted one of l2_batch, l2_view, l2_sample, l2_patch",
        ),
        ("--data nowhere.npz", "nowhere.npz: no such file"),
    ],
)
def test_what_the_command_refuses(scan: Path, arguments: str, said: str) -> None:
    code, text = _migrate(*arguments.replace("DATA", str(scan)).split())
    assert code == ExitCode.USAGE and said.replace("DATA", str(scan)) in text


def test_a_dark_frame_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dark.npy"
    np.save(path, np.stack([np.ones((2, 2)), np.zeros((2, 2))]).astype("f4"))
    code, said = _migrate("--data", str(path))
    assert code == ExitCode.USAGE and said.endswith("sample 1 has norm 0.0, wanted finite and above 0; leave it out")
