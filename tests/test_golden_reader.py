"""The reader refuses every golden set that is not whole, before any framework is imported."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from small_sets import IDS, digest_of, manifest_in, refused, resealed, small_files, with_archive, with_manifest, write

from conformance import golden as reader
from conformance.exit_codes import FixtureError
from conformance.golden import DIGEST, MANIFEST, GoldenSet, load
from fixtures.archive import npz_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_files())


def test_a_whole_set_loads_with_values_of_the_declared_shapes(golden: GoldenSet) -> None:
    assert len(golden.cases) >= 24
    for case in golden.cases:
        assert case.truth.value.shape == case.question.value_shape
        assert case.truth.gradient.shape == case.question.prediction.shape


def test_a_set_with_a_history_loads(folder: Path) -> None:
    entry = {"reason": "why", "previous": "0" * 64, "added": ["a"], "changed": [], "removed": []}
    write(folder, with_manifest(lambda manifest: manifest.update(history=[entry, {**entry, "previous": None}])))
    assert {case.question.case_id for case in load(folder).cases} == set(IDS)


def test_every_bit_matters_in_every_file(folder: Path) -> None:
    """Flipped bits throughout each file, at places that differ from file to file, and each bit of the digest file."""
    for number, path in enumerate(sorted(folder.iterdir())):
        whole = path.read_bytes()
        step = 1 if path.name == DIGEST else 8 * len(whole) // 50
        for bit in range(number, 8 * len(whole), step):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
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


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_a_pipe_is_neither_followed_nor_waited_for(folder: Path, kind: str) -> None:
    path = folder / "l2-typical.npz"
    path.rename(folder.parent / "elsewhere.npz")
    if kind == "link":
        path.symlink_to(folder.parent / "elsewhere.npz")
    else:
        os.mkfifo(path)
    with pytest.raises(FixtureError, match=r"l2-typical\.npz: not a plain file"):
        load(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="golden folder is missing"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("limit", ["LARGEST_FILE", "LARGEST_SET", "MOST_FILES"])
def test_a_set_larger_than_golden_sets_are_is_not_read(
    folder: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, limit, 4 if limit == "MOST_FILES" else 3000)
    with pytest.raises(FixtureError, match="wanted at most"):
        load(folder)


def test_a_sparse_file_is_refused_by_its_size(folder: Path) -> None:
    with (folder / "l2-typical.npz").open("r+b") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(FixtureError, match=f"{1 << 40} bytes, wanted at most"):
        load(folder)


@pytest.mark.parametrize("name", ["schema", "contract"])
@pytest.mark.parametrize("version", [1000, True, 1.0, "1", None, [], 10**19], ids=repr)
def test_another_schema_or_contract_is_refused(folder: Path, name: str, version: object) -> None:
    refused(folder, with_manifest(lambda manifest: manifest.update({name: version})), f"{name} .*, wanted [12]: ")


def test_an_empty_case_list_is_refused(folder: Path) -> None:
    refused(folder, with_manifest(lambda manifest: manifest.update(cases=[])), "lists no case")


@pytest.mark.parametrize("name", ["never-made.npz", "../nll-typical.npz", "nll-typical.npz", "/etc/passwd", "\0.npz"])
def test_a_file_that_is_not_the_cases_own_is_refused(folder: Path, name: str) -> None:
    files = with_manifest(lambda manifest: manifest["cases"][0].update(file=name))
    refused(folder, files, "do not belong together")


def test_a_case_without_its_golden_is_refused(folder: Path) -> None:
    files = with_manifest(lambda manifest: manifest["cases"][0].update(file="never-made.npz", id="never-made"))
    refused(folder, files, r"never-made\.npz: listed .* but missing")


@pytest.mark.parametrize("name", sorted(manifest_in(small_files())["cases"][0]))
def test_a_record_without_a_field_is_refused(folder: Path, name: str) -> None:
    refused(folder, with_manifest(lambda manifest: manifest["cases"][1].pop(name)), f"record 1: lacks.*{name}")


@pytest.mark.parametrize("name", sorted(manifest_in(small_files())["cases"][0]))
@pytest.mark.parametrize("value", [None, 1.5, []], ids=repr)
def test_a_field_of_another_type_is_refused(folder: Path, name: str, value: object) -> None:
    files = with_manifest(lambda manifest: manifest["cases"][1].update({name: value}))
    refused(folder, files, f"record 1: {name} is {type(value).__name__}, wanted")


def test_a_field_that_nobody_knows_is_refused(folder: Path) -> None:
    refused(folder, with_manifest(lambda manifest: manifest["cases"][0].update(detector="mask")), "detector")
    refused(folder, with_manifest(lambda manifest: manifest.update(detector="mask")), "detector")


def test_two_cases_of_one_name_are_refused(folder: Path) -> None:
    refused(folder, with_manifest(lambda manifest: manifest["cases"].append(manifest["cases"][0])), "one case twice")


@pytest.mark.parametrize("name", ["bytes", "sha256", "content_sha256"])
def test_what_a_record_says_of_its_archive_must_be_true(folder: Path, name: str) -> None:
    other = {"bytes": 1, "sha256": "0" * 64, "content_sha256": "0" * 64}[name]
    files = with_manifest(lambda manifest: manifest["cases"][0].update({name: other}))
    refused(folder, files, "altered" if name != "content_sha256" else "other numbers")


@pytest.mark.parametrize(
    "history",
    [
        {},
        [1],
        [{}],
        [{"reason": "", "previous": 1, "added": [], "changed": [], "removed": []}],
        [{"reason": "", "previous": None, "added": [1], "changed": [], "removed": []}],
        [{"reason": "", "previous": "0" * 63, "added": [], "changed": [], "removed": []}],
    ],
    ids=["object", "number", "empty", "previous", "ids", "short-digest"],
)
def test_a_garbled_history_is_refused(folder: Path, history: object) -> None:
    refused(folder, with_manifest(lambda manifest: manifest.update(history=history)), "history")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "Expecting value"),
        (b"[]", "no manifest"),
        (b"7", "no manifest"),
        (b'{"schema": 2, "schema": 2}', "a key is there twice"),
        (b'{"schema": NaN}', "NaN is no JSON"),
        (b'{"schema": ' + b"9" * 2_000_000 + b"}", "an integer of 2000000 digits"),
        (b'{"schema": -' + b"9" * 21 + b"}", "an integer of 22 digits"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 500_000, "nested too deeply"),
        (b"\xff\xfe{\x00}\x00", "ascii"),
        (b'{"schema": 2}\0', "Extra data"),
    ],
    ids=["empty", "list", "number", "twice", "nan", "digits", "minus", "brackets", "braces", "utf16", "trailing"],
)
def test_a_manifest_that_is_no_strict_json_is_refused(folder: Path, text: bytes, said: str) -> None:
    refused(folder, {MANIFEST: text, DIGEST: digest_of(text)}, said)


def test_the_same_manifest_in_another_layout_is_fine(folder: Path) -> None:
    write(folder, resealed(small_files(), json.dumps(manifest_in(small_files()), separators=(",", ":")).encode()))
    assert load(folder).cases


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"prediction": np.zeros(3, "<f4")}, "wanted"),
        ({"prediction": np.zeros((2, 1, 8, 8), "<f8")}, "wanted"),
        ({}, "it holds no array"),
    ],
    ids=["shape", "dtype", "none"],
)
def test_other_arrays_than_declared_are_refused(folder: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    refused(folder, with_archive(small_files(), "l2-typical.npz", npz_bytes(arrays)), said)


@pytest.mark.parametrize("way", ["iterdir", "lstat"])
def test_a_folder_that_may_not_be_read_is_named(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, way, refuse)
    with pytest.raises(FixtureError, match=r"cannot be read \(not yours\)"):
        load(folder)
