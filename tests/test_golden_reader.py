"""The reader refuses every golden set that is not whole, before any framework is imported."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.exit_codes import FixtureError
from conformance.golden import DIGEST, MANIFEST, GoldenSet, default_folder, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "golden"
    shutil.copytree(default_folder(), target)
    return target


def _reseal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with a matching digest, as someone who tampers with care would."""
    text = json.dumps(manifest).encode()
    (folder / MANIFEST).write_bytes(text)
    (folder / DIGEST).write_bytes(f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode())


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return manifest


def test_a_whole_set_loads_with_values_of_the_declared_shapes(golden: GoldenSet) -> None:
    assert len(golden.cases) >= 24
    for case in golden.cases:
        assert case.truth.value.shape == case.question.value_shape
        assert case.truth.gradient.shape == case.question.prediction.shape
        assert np.all(np.isfinite(case.truth.gradient))


def test_every_bit_matters_in_every_file(folder: Path) -> None:
    """One flipped bit in each file, at a place that differs from file to file, and each bit of the digest file."""
    places = [(path, 97 * number) for number, path in enumerate(sorted(folder.iterdir()))]
    places += [(folder / DIGEST, bit) for bit in range(8 * (folder / DIGEST).stat().st_size)]
    for path, bit in places:
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[bit // 8 % len(whole)] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(FixtureError):
            load(folder)
        path.write_bytes(whole)
    assert load(folder).cases


@pytest.mark.parametrize("name", [MANIFEST, DIGEST, "l2-typical.npz"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FixtureError, match=f"{name}.*missing"):
        load(folder)


def test_an_extra_file_and_an_extra_folder_are_named(folder: Path) -> None:
    (folder / "extra.txt").write_text("hello")
    with pytest.raises(FixtureError, match=r"extra\.txt: not listed"):
        load(folder)
    (folder / "extra.txt").unlink()
    (folder / "deeper").mkdir()
    with pytest.raises(FixtureError, match="deeper: not a plain file"):
        load(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="golden folder is missing"):
        load(tmp_path / "nowhere")


def test_an_unknown_schema_is_refused(folder: Path) -> None:
    for schema in (2, True, 1.0, "1"):
        _reseal(folder, {**_manifest(folder), "schema": schema})
        with pytest.raises(FixtureError, match=f"schema {schema!r}, wanted 1"):
            load(folder)


def test_an_empty_case_list_is_refused(folder: Path) -> None:
    _reseal(folder, {**_manifest(folder), "cases": []})
    with pytest.raises(FixtureError, match="lists no case"):
        load(folder)


def test_a_case_without_its_golden_is_refused(folder: Path) -> None:
    manifest = _manifest(folder)
    manifest["cases"][0]["file"] = "never-made.npz"
    _reseal(folder, manifest)
    with pytest.raises(FixtureError, match=r"never-made\.npz: listed .* but missing"):
        load(folder)


def test_a_record_without_a_field_is_refused(folder: Path) -> None:
    manifest = _manifest(folder)
    del manifest["cases"][0]["parameters"]["reduction"]
    del manifest["cases"][1]["loss"]
    _reseal(folder, manifest)
    with pytest.raises(FixtureError, match="lacks or garbles"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [{"reduction": "median"}, {"gain": "double"}, {"eps": "zz"}, {"detector": "mask"}],
    ids=lambda change: next(iter(change)),
)
def test_an_option_that_this_version_does_not_know_is_refused(folder: Path, change: dict[str, str]) -> None:
    manifest = _manifest(folder)
    manifest["cases"][0]["parameters"].update(change)
    _reseal(folder, manifest)
    with pytest.raises(FixtureError, match="lacks or garbles"):
        load(folder)


def test_two_cases_of_one_name_are_refused(folder: Path) -> None:
    manifest = _manifest(folder)
    manifest["cases"][1]["id"] = manifest["cases"][0]["id"]
    _reseal(folder, manifest)
    with pytest.raises(FixtureError, match="one file or case twice"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut"], ids=["empty", "cut"])
def test_a_truncated_archive_is_refused(folder: Path, content: bytes) -> None:
    (folder / "l2-typical.npz").write_bytes(content)
    _replace_archive(folder, "l2-typical.npz")
    with pytest.raises(FixtureError, match="no NPZ archive of plain arrays"):
        load(folder)


def _replace_archive(folder: Path, name: str) -> None:
    manifest = _manifest(folder)
    record = next(record for record in manifest["cases"] if record["file"] == name)
    record["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    _reseal(folder, manifest)


def test_pickled_arrays_are_refused(folder: Path) -> None:
    np.savez(folder / "l2-typical.npz", prediction=np.array([{"a": 1}], dtype=object))
    _replace_archive(folder, "l2-typical.npz")
    with pytest.raises(FixtureError, match="no NPZ archive of plain arrays"):
        load(folder)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_member_never_wins(folder: Path) -> None:
    import zipfile

    path = folder / "l2-typical.npz"
    with zipfile.ZipFile(path) as archive:
        gradient = archive.read("gradient.npy")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("gradient.npy", gradient[:-8] + b"\0" * 8)
    _replace_archive(folder, "l2-typical.npz")
    with pytest.raises(FixtureError, match="holds"):
        load(folder)


def test_arrays_of_other_shapes_than_declared_are_refused(folder: Path) -> None:
    np.savez(folder / "l2-typical.npz", prediction=np.zeros(3, "<f4"))
    _replace_archive(folder, "l2-typical.npz")
    with pytest.raises(FixtureError, match="wanted"):
        load(folder)
