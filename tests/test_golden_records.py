"""The reader refuses records that say what no case can be, or what is not true of its archive."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import manifest_in, refused, resealed, small_files, with_archive, with_manifest, write

from fixtures.archive import content_sha256, npz_bytes
from fixtures.unpack import unpack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_files())


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

    return with_manifest(apply)


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
    refused(folder, _in_record("l2-typical", "parameters", **change), r"l2-typical\.npz: its record lacks or garbles")


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
    refused(folder, _in_record("nll-typical", "parameters", **change), r"nll-typical\.npz: its record lacks or garbles")


def test_an_unknown_loss_is_named(folder: Path) -> None:
    refused(folder, _in_record("nll-typical", loss="nll"), "loss 'nll', which is unknown: install the matching version")


@pytest.mark.parametrize(
    ("case_id", "arrays", "said"),
    [
        ("l2-typical", {"gradient": None}, "'gradient'"),
        ("l2-typical", {"target": np.zeros((2, 1, 8, 7), "<f4")}, "array target is <f4 .*, wanted <f4"),
        ("l2-typical", {"prediction": np.zeros((2, 1, 8, 8), "<f8")}, "array target is <f4 .*, wanted <f8"),
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
    refused(folder, resealed(files, manifest), said)
