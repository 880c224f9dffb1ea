"""Reads the golden set, after proving every file against the manifest and the manifest against its digest."""

import hashlib
import io
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import LOSSES, Array, Case, Float64, Parameters, Question, Scale, Truth
from conformance.exit_codes import FixtureError

SCHEMA = 1
MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"
LARGEST_FILE = 4 << 20
PARAMETERS: dict[str, tuple[str, ...]] = {
    "scope": ("sample",),
    "reduction": ("mean", "sum", "sample", "sample_sum", "none"),
    "gain": ("unit_l2", "unit_rms"),
    "constant": ("none", "lgamma", "stirling"),
    "eps": (),
    "intensity_scale": (),
}
"""What a case may say, and the choices where there are any: an option unknown here must not be ignored."""
REPAIR = "restore the folder from version control or reinstall the package"
_PACKAGED = Path(__file__).resolve().parent / "golden"
_CHECKOUT = Path(__file__).resolve().parent.parent / "fixtures" / "golden"


@dataclass(frozen=True)
class GoldenSet:
    """All cases, and the digest that names this version of them."""

    cases: tuple[Case, ...]
    digest: str
    folder: Path


def default_folder() -> Path:
    """Return the golden folder: inside the installed package, or the checkout's fixtures/golden."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise FixtureError(f"{folder}: the golden folder is missing; {REPAIR}")
    contents = {}
    for path in sorted(folder.iterdir()):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise FixtureError(f"{path}: not a plain file, and nothing else belongs in the golden folder; {REPAIR}")
        if status.st_size > LARGEST_FILE:
            raise FixtureError(f"{path}: {status.st_size} bytes, wanted at most {LARGEST_FILE}; {REPAIR}")
        try:
            contents[path.name] = path.read_bytes()
        except OSError as error:
            raise FixtureError(f"{path}: cannot be read ({error}); {REPAIR}") from error
    return contents


def _manifest(folder: Path, contents: dict[str, bytes]) -> tuple[dict[str, Any], str]:
    for name in (MANIFEST, DIGEST):
        if name not in contents:
            raise FixtureError(f"{folder / name}: missing; {REPAIR}")
    digest = hashlib.sha256(contents[MANIFEST]).hexdigest()
    if contents[DIGEST] != f"{digest}  {MANIFEST}\n".encode("ascii"):
        raise FixtureError(f"{folder / MANIFEST}: its sha256 is {digest}, which {DIGEST} does not say; {REPAIR}")
    try:
        manifest = json.loads(contents[MANIFEST])
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise FixtureError(f"{folder / MANIFEST}: no manifest of golden cases ({error}); {REPAIR}") from error
    if type(schema) is not int or schema != SCHEMA:
        raise FixtureError(f"{folder / MANIFEST}: schema {schema!r}, wanted {SCHEMA}; install the matching version")
    return manifest, digest


def _check_listing(folder: Path, manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
    listed = [record["file"] for record in manifest["cases"]]
    ids = [record["id"] for record in manifest["cases"]]
    if not listed or len(set(listed)) != len(listed) or len(set(ids)) != len(ids):
        raise FixtureError(f"{folder / MANIFEST}: lists no case, or one file or case twice; {REPAIR}")
    for name in sorted(set(listed) - contents.keys()):
        raise FixtureError(f"{folder / name}: listed in {MANIFEST} but missing; {REPAIR}")
    for name in sorted(contents.keys() - set(listed) - {MANIFEST, DIGEST}):
        raise FixtureError(f"{folder / name}: not listed in {MANIFEST}; remove it")
    for record in manifest["cases"]:
        got = hashlib.sha256(contents[record["file"]]).hexdigest()
        if got != record["sha256"]:
            raise FixtureError(f"{folder / record['file']}: altered: sha256 {got}, wanted {record['sha256']}; {REPAIR}")


def _arrays(path: Path, record: dict[str, Any], content: bytes) -> dict[str, Array]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            names = list(archive.files)
            arrays = {name: archive[name] for name in names}
    except Exception as error:  # a damaged archive may raise anything
        raise FixtureError(f"{path}: no NPZ archive of plain arrays ({error}); {REPAIR}") from error
    declared = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in record["arrays"].items()}
    found = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    if found != declared or len(names) != len(found):
        raise FixtureError(f"{path}: holds {found}, wanted {declared}; {REPAIR}")
    return arrays


def _parameters(record: dict[str, Any]) -> Parameters:
    given = record["parameters"]
    for name, value in given.items():
        if name not in PARAMETERS or (PARAMETERS[name] and value not in PARAMETERS[name]):
            raise ValueError(f"parameter {name} = {value!r} of case {record['id']}")
    options: dict[str, Any] = {name: given[name] for name in ("gain", "constant") if name in given}
    options["reduction"] = given["reduction"]
    if "eps" in given:
        options["eps"] = float.fromhex(given["eps"])
    if "intensity_scale" in given:
        scale = given["intensity_scale"]
        nphotons = float.fromhex(scale["nphotons"]) if "nphotons" in scale else None
        options["scale"] = Scale(float.fromhex(scale["value"]), scale["source"], nphotons)
    return Parameters(**options)


def rounding_error(truth: Float64) -> Float64:
    """Half an ulp of binary64 at least: how far a correctly rounded number can be from the exact one."""
    return np.abs(truth) * 2.0**-53 + 2.0**-1075


def _case(path: Path, record: dict[str, Any], content: bytes) -> Case:
    if record["loss"] not in LOSSES:
        raise FixtureError(f"{path}: loss {record['loss']!r} is unknown; install the matching version")
    arrays = _arrays(path, record, content)
    question = Question(
        case_id=record["id"],
        loss=record["loss"],
        parameters=_parameters(record),
        prediction=arrays["prediction"].astype(np.float64),
        target=arrays["target"].astype(np.float64),
    )
    value, gradient, sign = arrays["value"], arrays["gradient"], arrays.get("sign")
    truth = Truth(
        value=value,
        gradient=gradient,
        sign=sign,
        value_error=rounding_error(value),
        gradient_error=rounding_error(gradient),
    )
    ties = sign is not None and bool(np.any(sign == 0))
    return Case(question, truth, record["why"], record["catches"], bool(record["bit_exact"]), ties)


def load(folder: Path | None = None) -> GoldenSet:
    """Verify and load the golden set.

    Raises
    ------
    FixtureError
        A file is missing, extra, altered, oversized, or of an unknown schema. Nothing is loaded then.
    """
    folder = default_folder() if folder is None else folder
    contents = _read_folder(folder)
    manifest, digest = _manifest(folder, contents)
    try:
        _check_listing(folder, manifest, contents)
        cases = tuple(_case(folder / record["file"], record, contents[record["file"]]) for record in manifest["cases"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FixtureError(f"{folder / MANIFEST}: a record lacks or garbles {error}; {REPAIR}") from error
    return GoldenSet(cases, digest, folder)
