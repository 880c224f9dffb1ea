"""Measured scans of the study: one scan from every layout and naming that files have, what is refused, and a run."""

import bz2
import io
import os
import sys
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.exit_codes import UsageError
from conformance.rollout.study.__main__ import main
from conformance.rollout.study.consistency import measures
from conformance.rollout.study.cropping import corners, is_at_corner, neighbours, with_cropped_spectrum
from conformance.rollout.study.measured import Source, read_measured
from conformance.rollout.study.records import append, line_of, read
from conformance.rollout.study.scan import far_field_intensity, simulated
from conformance.rollout.study.settings import Setting
from conformance.rollout.study.work import do

SIMULATED = simulated(Setting("real-like", 1, 1e6, "mae", 3))
COUNT = 52
"""The first four of the thirteen rows of the scan."""
COUNTS = np.round(SIMULATED.targets[:COUNT].astype(float) ** 2 * 1000)
PLACES = SIMULATED.positions[:COUNT] - SIMULATED.positions[:COUNT].min(axis=0)
PROBE = SIMULATED.probe
MEAN = COUNTS.sum(axis=(1, 2)).mean()


def at_corner(array: np.ndarray) -> np.ndarray:
    return np.fft.ifftshift(array, axes=(-2, -1))


TIKE = {
    "data": at_corner(COUNTS)[None].astype("f4"),
    "probe": PROBE[None, None, None],
    "scan": (PLACES + np.array([-40.0, 7.0]))[None].astype("f4"),
}
COORDS = {"ycoords": PLACES[:, 0] + 5, "xcoords": PLACES[:, 1] - 9}
FORMS: dict[str, dict[str, Any]] = {
    "data, zero frequency at the corner": TIKE,
    "data, zero frequency in the middle": {**TIKE, "data": COUNTS.astype("f4")},
    "diff3d, patterns last": {"diff3d": np.moveaxis(COUNTS, 0, 2).astype("u4"), "probeGuess": PROBE, **COORDS},
    "diffraction, probe at the corner": {"diffraction": np.sqrt(COUNTS), "probe": at_corner(PROBE), **COORDS},
}


def written(path: Path, arrays: dict[str, Any]) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(bz2.compress(buffer.getvalue(), 1) if path.suffix == ".bz2" else buffer.getvalue())
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["scan.npz", "scan.npz.bz2"])
def test_every_layout_and_naming_gives_the_same_scan(tmp_path: Path, form: str, name: str) -> None:
    found = read_measured(Source(written(tmp_path / name, FORMS[form]), 32), 1)
    np.testing.assert_array_equal(found.scan.targets, (np.sqrt(COUNTS) * (16 / np.sqrt(MEAN))).astype("f4"))
    np.testing.assert_array_equal(found.scan.positions, PLACES)
    np.testing.assert_array_equal(found.scan.groups, np.arange(COUNT)[:, None])
    np.testing.assert_allclose(found.scan.probe * np.linalg.norm(PROBE), PROBE * 16, rtol=1e-5, atol=1e-6)
    assert found.scan.mask.all() and found.scan.truth is None
    assert found.photons == (1e9 if form.startswith("diffraction") else float(f"{MEAN:.6g}"))
    facts = {"file": name, "size": 32, "orientation": "++", "patterns": COUNT, "rounding_error": 0.0, "masked": 0}
    assert {key: found.facts[key] for key in facts} == facts and len(found.facts["sha256"]) == 64


def test_a_unit_object_is_as_bright_as_the_mean_pattern_after_the_crop(tmp_path: Path) -> None:
    scan = read_measured(Source(written(tmp_path / "scan.npz", TIKE), 16), 4).scan
    assert scan.targets.shape == (COUNT, 16, 16) and scan.groups.shape == (COUNT, 4)
    assert np.mean(np.sum(scan.targets.astype(float) ** 2, axis=(1, 2))) == pytest.approx(64, rel=1e-6)
    assert far_field_intensity(np.ones((1, 16, 16)), scan.probe).sum() == pytest.approx(64, rel=1e-6)


def test_the_cropped_probe_has_the_middle_of_the_far_field() -> None:
    whole, part = (
        far_field_intensity(np.ones((1, size, size)), with_cropped_spectrum(PROBE, size)) for size in (32, 16)
    )
    np.testing.assert_allclose(part[0], whole[0, 8:24, 8:24], rtol=1e-10, atol=1e-12)


def test_the_layout_is_told_where_the_centre_of_mass_is_the_same() -> None:
    ring = np.zeros((8, 8))
    ring[3:6, 3:6] = 1.0
    assert not is_at_corner(ring) and is_at_corner(np.fft.ifftshift(ring))


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [("++", [[0, 0], [2, 4]]), ("+-", [[0, 4], [2, 0]]), ("t++", [[0, 0], [4, 2]]), ("t-+", [[4, 0], [0, 2]])],
)
def test_positions_are_turned_halved_and_rounded(orientation: str, wanted: list[list[int]]) -> None:
    places, rounding = corners(np.array([[-3.0, 10.0], [1.5, 18.0]]), orientation, 0.5)
    assert places.tolist() == wanted and rounding == 0.25  # 4.5 / 2 = 2.25, 8 / 2 = 4


def test_neighbours_start_with_the_pattern_itself_and_break_ties_by_index() -> None:
    places = np.array([[0, 0], [0, 3], [3, 0], [0, 0], [9, 9]])
    assert neighbours(places, 4).tolist() == [[0, 3, 1, 2], [1, 0, 3, 2], [2, 0, 3, 1], [3, 0, 1, 2], [4, 1, 2, 0]]


@pytest.mark.parametrize(("dtype", "bad"), [("u2", 65535), ("f4", np.nan)], ids=["saturated", "no number"])
def test_a_bad_pixel_of_one_pattern_is_masked_in_all(tmp_path: Path, dtype: str, bad: float) -> None:
    counts = COUNTS.astype(dtype)
    counts[7, 3, 5] = bad
    found = read_measured(Source(written(tmp_path / "scan.npz", {**TIKE, "data": counts}), 32), 1)
    assert np.argwhere(~found.scan.mask).tolist() == [[3, 5]] and found.facts["masked"] == 1
    assert np.all(found.scan.targets[:, 3, 5] == 0)


def without(name: str) -> dict[str, Any]:
    return {key: array for key, array in TIKE.items() if key != name}


NEGATIVE = COUNTS.copy()
NEGATIVE[1, 2, 3] = -1
DARK = COUNTS.copy()
DARK[4] = 0
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no patterns": (without("data"), "holds none of the arrays diffraction, diff3d, data; a scan needs patterns"),
    "no probe": (without("probe"), "holds none of the arrays probe, probeGuess; a scan needs the probe"),
    "no positions": (without("scan"), "no array ycoords and no array scan; a scan needs its positions"),
    "half of the positions": (
        {**without("scan"), "ycoords": PLACES[:, 0]},
        "no array xcoords and no array scan; a scan needs its positions",
    ),
    "uneven coordinates": (
        {**without("scan"), "ycoords": PLACES[:, 0], "xcoords": PLACES[:5, 1]},
        "52 ycoords and 5 xcoords, wanted as many of each",
    ),
    "positions of others": (
        {**TIKE, "scan": PLACES[:9]},
        "array scan: shape (9, 2), wanted (52, 2), a place for each pattern",
    ),
    "a position that is nowhere": ({**TIKE, "scan": PLACES * np.nan}, "array scan: wanted finite numbers of pixels"),
    "probe of another size": (
        {**TIKE, "probe": PROBE[:, :16, :16]},
        "array probe: shape (2, 16, 16), wanted (..., modes, 32, 32) as the patterns have",
    ),
    "probe for each pattern": (
        {**TIKE, "probe": np.ones((3, 2, 32, 32), "c8")},
        "array probe: shape (3, 2, 32, 32), wanted (..., modes, 32, 32) as the patterns have",
    ),
    "dark probe": ({**TIKE, "probe": 0 * PROBE}, "array probe: dark, wanted the probe that lit the object"),
    "patterns that are not square": (
        {**TIKE, "data": COUNTS[:, :16]},
        "patterns of shape (16, 32), wanted square ones",
    ),
    "negative counts": ({**TIKE, "data": NEGATIVE}, "array data: negative number -1.0 at frame, row, column (1, 2, 3)"),
    "dark pattern": ({**TIKE, "data": DARK}, "array data: pattern 4 is dark in the central 32 x 32; leave it out"),
    "no light at all": ({**TIKE, "data": 0 * COUNTS}, "array data: all patterns are dark"),
    "no sound pixel": ({**TIKE, "data": np.nan * COUNTS}, "array data: all patterns are dark"),
    "few patterns": ({**TIKE, "data": COUNTS[:3]}, "array data: 3 patterns, wanted at least 8, one batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unfit_files_are_refused_with_file_and_array(tmp_path: Path, case: str) -> None:
    arrays, said = REFUSED[case]
    path = written(tmp_path / "scan.npz", arrays)
    with pytest.raises(UsageError) as refusal:
        read_measured(Source(path, 32), 1)
    assert str(refusal.value).startswith(f"{path}: ") and said in str(refusal.value)


def test_unfit_sizes_and_orientations_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "scan.npz", TIKE)
    with pytest.raises(UsageError, match="patterns of 32 pixels a side, wanted 64; pass a --size"):
        read_measured(Source(path), 1)
    with pytest.raises(UsageError, match="size: got 30, wanted a multiple of 4 from 16"):
        Source(path, 30)
    with pytest.raises(UsageError, match=r"orientation: got 'xy', wanted one of \+\+, \+-"):
        Source(path, 32, "xy")


def told(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    for name in ("XLA_FLAGS", "OMP_NUM_THREADS"):  # what the run sets for its processes is undone with the test
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(sys, "argv", ["study", "run", *map(str, words)])
    return main()


def test_arguments_that_do_not_go_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "scan.npz", TIKE)
    for words, said in (
        (("--size", 32, "--arm", "mae"), "--size, --arm: of a measured scan only; pass --data"),
        (("--data", path), "--data: wanted --to, a file for the records of this scan alone, and no --part"),
        (("--data", path, "--to", tmp_path / "r", "--part", "core"), "this scan alone, and no --part"),
        (("--data", path, "--to", tmp_path / "r", "--steps", 0), "--steps: got 0, wanted at least 1"),
        (("--data", path, "--to", tmp_path / "r", "--size", 0), "size: got 0, wanted a multiple of 4 from 16"),
    ):
        assert told(monkeypatch, *words) == 2
        assert said in capsys.readouterr().err


def test_a_measured_scan_is_run_once_and_recorded_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, runs = written(tmp_path / "scan.npz", TIKE), tmp_path / "runs.jsonl"
    words = ("--data", path, "--to", runs, "--size", 16, "--arm", "l2_sample", "--steps", 2, "--processes", 1)
    assert told(monkeypatch, *words) == 0 and told(monkeypatch, *words) == 0
    (record,) = read(runs).values()
    assert record["setting"]["data"] == "measured" and record["setting"]["steps"] == 2
    metrics = record["metrics"]
    assert metrics["file"] == "scan.npz" and metrics["finite"] is True and metrics["patterns"] == COUNT
    assert isfinite(metrics["r_factor"]) and isfinite(metrics["overlap_modulus"])


def test_a_record_of_another_file_or_reading_is_not_taken_for_this_one(tmp_path: Path) -> None:
    source, runs = Source(written(tmp_path / "scan.npz", TIKE), 32), tmp_path / "runs.jsonl"
    facts = read_measured(source, 1).facts
    setting = Setting("measured", 1, 1e6, "mae", 0)
    append(runs, line_of(setting, facts, 1.0, {}))
    for name, other in (("sha256", "0" * 64), ("size", 16), ("orientation", "+-")):
        with pytest.raises(UsageError, match=rf"is on record with {name} .*, wanted .*; pass another --to"):
            do([setting], runs, 1, source, {**facts, name: other})


@pytest.mark.skipif("PTYCHO_REAL_DATA" not in os.environ, reason="PTYCHO_REAL_DATA names no folder of measured data")
def test_the_measured_scan_is_read_and_brighter_where_its_probe_is() -> None:
    found = read_measured(Source(Path(os.environ["PTYCHO_REAL_DATA"]) / "siemens-star-small.npz.bz2"), 1)
    assert found.scan.targets.shape == (516, 64, 64) and found.scan.probe.shape == (1, 64, 64)
    assert found.facts["rounding_error"] <= 0.5 and found.facts["masked"] == 0
    few = replace(found.scan, groups=found.scan.groups[::8])
    flat = measures(np.ones((65, 1, 64, 64), "c8"), few)
    # The file's own probe explains 3/5 of the light without any object, and flat patches agree with each other.
    assert 0.3 < flat["r_factor_constant"] < 0.45 and flat["raw_ratio"] == pytest.approx(1, abs=0.02)
    assert flat["overlap_modulus"] < 1e-6 and flat["overlap_complex"] < 1e-6
