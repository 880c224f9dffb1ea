"""The reader refuses every golden set that is not whole, before any framework is imported."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import IDS, digest_of, manifest_in, resealed, small_files, with_archive, write

from conformance import golden as reader
from conformance.exit_codes import FixtureError
from conformance.golden import DIGEST, MANIFEST, GoldenSet, load
from fixtures.archive import content_sha256, npz_bytes
from fixtures.unpack import unpack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_files())


def _refused(folder: Path, files: dict[str, bytes], match: str) -> None:
    write(folder, files)
    with pytest.raises(FixtureError, match=match):
        load(folder)


def _with_manifest(change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    """Return the small set with its manifest changed, and sealed again."""
    manifest = manifest_in(small_files())
    change(manifest)
    return resealed(small_files(), manifest)


def test_a_whole_set_loads_with_values_of_the_declared_shapes(golden: GoldenSet) -> None:
    assert len(golden.cases) >= 24
    for case in golden.cases:
        assert case.truth.value.shape == case.question.value_shape
        assert case.truth.gradient.shape == case.question.prediction.shape


def test_a_set_with_a_history_loads(folder: Path) -> None:
    entry = {"reason": "why", "previous": "0" * 64, "added": ["a"], "changed": [], "removed": []}
    write(folder, _with_manifest(lambda manifest: manifest.update(history=[entry, {**entry, "previous": None}])))
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
    _refused(folder, _with_manifest(lambda manifest: manifest.update({name: version})), f"{name} .*, wanted [12]: ")


def test_an_empty_case_list_is_refused(folder: Path) -> None:
    _refused(folder, _with_manifest(lambda manifest: manifest.update(cases=[])), "lists no case")


@pytest.mark.parametrize("name", ["never-made.npz", "../nll-typical.npz", "nll-typical.npz", "/etc/passwd", "\0.npz"])
def test_a_file_that_is_not_the_cases_own_is_refused(folder: Path, name: str) -> None:
    files = _with_manifest(lambda manifest: manifest["cases"][0].update(file=name))
    _refused(folder, files, "do not belong together")


def test_a_case_without_its_golden_is_refused(folder: Path) -> None:
    files = _with_manifest(lambda manifest: manifest["cases"][0].update(file="never-made.npz", id="never-made"))
    _refused(folder, files, r"never-made\.npz: listed .* but missing")


@pytest.mark.parametrize("name", sorted(manifest_in(small_files())["cases"][0]))
def test_a_record_without_a_field_is_refused(folder: Path, name: str) -> None:
    _refused(folder, _with_manifest(lambda manifest: manifest["cases"][1].pop(name)), f"record 1: lacks.*{name}")


@pytest.mark.parametrize("name", sorted(manifest_in(small_files())["cases"][0]))
@pytest.mark.parametrize("value", [None, 1.5, []], ids=repr)
def test_a_field_of_another_type_is_refused(folder: Path, name: str, value: object) -> None:
    files = _with_manifest(lambda manifest: manifest["cases"][1].update({name: value}))
    _refused(folder, files, f"record 1: {name} is {type(value).__name__}, wanted")


def test_a_field_that_nobody_knows_is_refused(folder: Path) -> None:
    _refused(folder, _with_manifest(lambda manifest: manifest["cases"][0].update(detector="mask")), "detector")
    _refused(folder, _with_manifest(lambda manifest: manifest.update(detector="mask")), "detector")


def _in_record(case_id: str, *path: str, **change: Any) -> dict[str, bytes]:
    """Return the small set with fields of one record changed, or removed where they are set to None."""

    def apply(manifest: dict[str, Any]) -> None:
        (fields,) = (record for record in manifest["cases"] if record["id"] == case_id)
        for name in path:
            fields = fields[name]
        for name, value in change.items():
            fields[name] = value
            if value is None:
                del fields[name]

    return _with_manifest(apply)


@pytest.mark.parametrize(
    "change",
    [
        {"reduction": "median"},
        {"gain": "double"},
        {"eps": "zz"},
        {"eps": "0x1p9999"},
        {"eps": "nan"},
        {"eps": "inf"},
        {"eps": "0x0.0p+0"},
        {"eps": 1},
        {"scope": "view"},
        {"scope": None},
        {"domain": "field"},
        {"detector": "mask"},
        {"rate_floor": "0x1.0p+0"},
        {"intensity_scale": {"source": "given", "value": "0x1.0p+0"}},
    ],
    ids=str,
)
def test_an_option_that_is_unknown_or_out_of_place_is_refused(folder: Path, change: dict[str, Any]) -> None:
    _refused(folder, _in_record("l2-typical", "parameters", **change), r"l2-typical\.npz: its record lacks or garbles")


@pytest.mark.parametrize(
    "change",
    [
        {"rate_guard": "clamp"},
        {"rate_floor": "0x1.0p+0"},
        {"normaliser": "frozen_mean_intensity"},
        {"intensity_scale": {"source": "given", "value": "nan"}},
        {"intensity_scale": {"source": "given", "value": "0x1.0p+0", "nphotons": "0x1.0p+0"}},
        {"intensity_scale": {"source": "dataset", "value": "0x1.0p+0"}},
        {"intensity_scale": {"source": "guessed", "value": "0x1.0p+0", "nphotons": "0x1.0p+0"}},
        {"intensity_scale": "0x1.0p+0"},
        {"eps": "0x1.0p-40"},
        {"wrt": "prediction"},
    ],
    ids=str,
)
def test_an_option_of_the_other_losses_is_refused_too(folder: Path, change: dict[str, Any]) -> None:
    _refused(
        folder, _in_record("nll-typical", "parameters", **change), r"nll-typical\.npz: its record lacks or garbles"
    )


def test_an_unknown_loss_is_named(folder: Path) -> None:
    _refused(
        folder, _in_record("nll-typical", loss="nll"), "loss 'nll', which is unknown: install the matching version"
    )


@pytest.mark.parametrize(
    ("case_id", "arrays", "said"),
    [
        ("l2-typical", {"gradient": None}, "'gradient'"),
        ("l2-typical", {"target": np.zeros((2, 1, 8, 7), "<f4")}, "array target is <f4 .*, wanted <f4"),
        ("l2-typical", {"prediction": np.zeros((2, 1, 8, 8), "<f8")}, "array prediction is <f8"),
        ("l2-typical", {"prediction": np.zeros((2, 8, 8), "<f4")}, r"wanted \(B, C, H, W\)"),
        ("l2-typical", {"value": np.zeros(2, "<f8")}, "array value is"),
        ("l2-typical", {"sign": np.full((2, 1, 8, 8), 2, "|i1")}, "array sign holds"),
        ("l2-typical", {"mask": np.ones((2, 1, 8), "|u1")}, "array mask is"),
        ("nll-typical", {"mask": np.ones((3, 1, 1, 1), "|u1")}, "array mask is"),
        ("nll-typical", {"mask": np.ones((1, 1, 1, 1, 1), "|u1")}, "array mask is"),
        ("nll-typical", {"mask": np.ones((1, 1, 1, 1), "<f4")}, "array mask is"),
        ("nll-typical", {"view_ids": np.zeros(2, "<i4")}, "view_ids go with scope view"),
        ("nll-typical", {"detector": np.zeros(2, "<i4")}, "array 'detector' is unknown"),
        ("l2-field-mask", {"view_ids": None}, "view_ids go with scope view"),
        ("l2-field-mask", {"view_ids": np.zeros(2, "<i4")}, "array view_ids is"),
        ("l2-field-mask", {"gradient": np.zeros((5, 2, 4, 4), "<f8")}, "array gradient is"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else next(iter(value)),
)
def test_arrays_that_do_not_belong_together_are_refused(
    folder: Path, case_id: str, arrays: dict[str, np.ndarray | None], said: str
) -> None:
    """The archive, its digests and its record agree with one another throughout."""
    whole = {**unpack(small_files()[f"{case_id}.npz"], "here"), **arrays}
    changed = {name: array for name, array in whole.items() if array is not None}
    files = with_archive(small_files(), f"{case_id}.npz", npz_bytes(changed))
    manifest = manifest_in(files)
    (record,) = (record for record in manifest["cases"] if record["id"] == case_id)
    record["arrays"] = {name: {"dtype": a.dtype.str, "shape": list(a.shape)} for name, a in changed.items()}
    record["content_sha256"] = content_sha256(changed)
    _refused(folder, resealed(files, manifest), said)


def test_two_cases_of_one_name_are_refused(folder: Path) -> None:
    _refused(folder, _with_manifest(lambda manifest: manifest["cases"].append(manifest["cases"][0])), "one case twice")


@pytest.mark.parametrize("name", ["bytes", "sha256", "content_sha256"])
def test_what_a_record_says_of_its_archive_must_be_true(folder: Path, name: str) -> None:
    other = {"bytes": 1, "sha256": "0" * 64, "content_sha256": "0" * 64}[name]
    files = _with_manifest(lambda manifest: manifest["cases"][0].update({name: other}))
    _refused(folder, files, "altered" if name != "content_sha256" else "other numbers")


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
    _refused(folder, _with_manifest(lambda manifest: manifest.update(history=history)), "history")


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
    _refused(folder, {MANIFEST: text, DIGEST: digest_of(text)}, said)


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
    _refused(folder, with_archive(small_files(), "l2-typical.npz", npz_bytes(arrays)), said)


@pytest.mark.parametrize("way", ["iterdir", "lstat"])
def test_a_folder_that_may_not_be_read_is_named(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, way, refuse)
    with pytest.raises(FixtureError, match=r"cannot be read \(not yours\)"):
        load(folder)
