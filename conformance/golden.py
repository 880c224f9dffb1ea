"""Reads the golden set, after proving every file against the manifest and the manifest against its digest."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Array, Case
from conformance.exit_codes import FixtureError
from conformance.forms import require_arrays, require_parameters
from conformance.manifest import DIGEST, MANIFEST, manifest_of
from conformance.npz import arrays, content_sha256
from conformance.record import case_of

LARGEST_FILE = 4 << 20
LARGEST_SET = 32 << 20
MOST_FILES = 4096
REPAIR = "restore the folder from version control or reinstall the package"
_PACKAGED = Path(__file__).resolve().parent / "golden"
_CHECKOUT = Path(__file__).resolve().parent.parent / "fixtures" / "golden"
_NO_DEVICE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""A name that becomes a link or a pipe after it was looked at is refused too, rather than followed or waited for."""


@dataclass(frozen=True)
class GoldenSet:
    """All cases, and the digest that names this version of them."""

    cases: tuple[Case, ...]
    digest: str
    folder: Path


def default_folder() -> Path:
    """Return the golden folder: inside the installed package, or the checkout's fixtures/golden."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def _read_file(path: Path, limit: int) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FixtureError(f"{path}: not a plain file, and nothing else belongs in the golden folder; {REPAIR}")
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_DEVICE), "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(limit + 1) if size <= limit else b""
    if size > limit or len(content) > limit:
        raise FixtureError(f"{path}: {max(size, len(content))} bytes, wanted at most {limit}; {REPAIR}")
    return content


def _read_folder(folder: Path) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    room = LARGEST_SET
    try:
        if not folder.is_dir():
            raise FixtureError(f"{folder}: the golden folder is missing; {REPAIR}")
        paths = sorted(folder.iterdir())
        if len(paths) > MOST_FILES:
            raise FixtureError(f"{folder}: {len(paths)} files, wanted at most {MOST_FILES}; {REPAIR}")
        for path in paths:
            contents[path.name] = _read_file(path, min(LARGEST_FILE, room))
            room -= len(contents[path.name])
    except OSError as error:
        raise FixtureError(f"{folder}: cannot be read ({error}); {REPAIR}") from error
    return contents


def _manifest(folder: Path, contents: dict[str, bytes]) -> tuple[dict[str, Any], str]:
    for name in (MANIFEST, DIGEST):
        if name not in contents:
            raise FixtureError(f"{folder / name}: missing; {REPAIR}")
    try:
        return manifest_of(contents[MANIFEST], contents[DIGEST])
    except ValueError as error:
        raise FixtureError(f"{folder / MANIFEST}: {error}; {REPAIR}") from error


def _check_listing(folder: Path, manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
    listed = {record["file"] for record in manifest["cases"]}
    for name in sorted(listed - contents.keys()):
        raise FixtureError(f"{folder / name}: listed in {MANIFEST} but missing; {REPAIR}")
    for name in sorted(contents.keys() - listed - {MANIFEST, DIGEST}):
        raise FixtureError(f"{folder / name}: not listed in {MANIFEST}; remove it")
    for record in manifest["cases"]:
        content = contents[record["file"]]
        got = hashlib.sha256(content).hexdigest()
        if got != record["sha256"] or len(content) != record["bytes"]:
            wanted = f"{record['bytes']} bytes of sha256 {record['sha256'][:64]}"
            raise FixtureError(
                f"{folder / record['file']}: altered: {len(content)} bytes of sha256 {got}, wanted {wanted}; {REPAIR}"
            )


def _arrays(path: Path, record: dict[str, Any], content: bytes) -> dict[str, Array]:
    try:
        found = arrays(content)
    except ValueError as error:
        raise FixtureError(
            f"{path}: no NPZ archive of plain arrays in the golden set's form: {error}; {REPAIR}"
        ) from error
    declared = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in record["arrays"].items()}
    held = {name: (array.dtype.str, array.shape) for name, array in found.items()}
    if held != declared:
        raise FixtureError(f"{path}: holds {held}, wanted {declared}; {REPAIR}")
    if content_sha256(found) != record["content_sha256"]:
        raise FixtureError(f"{path}: holds other numbers than the content_sha256 of its record says; {REPAIR}")
    return found


def _case(path: Path, record: dict[str, Any], content: bytes) -> Case:
    found = _arrays(path, record, content)
    try:
        require_parameters(record["loss"], record["parameters"])
        require_arrays(record["parameters"], found)
        with np.errstate(all="ignore"):  # NaN and infinity are golden numbers too
            return case_of(record, found)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise FixtureError(f"{path}: its record lacks or garbles {error}; {REPAIR}") from error


def load(folder: Path | None = None) -> GoldenSet:
    """Verify and load the golden set.

    Whatever bytes the folder holds, this returns or raises FixtureError, and allocates in proportion to the files,
    which are at most 32 MiB together; nothing that a file says about its own size is believed.

    Raises
    ------
    FixtureError
        A file is missing, extra, altered, oversized, of an unknown schema, or an archive in any but the one form that
        the golden set is written in. Nothing is loaded then.
    """
    folder = default_folder() if folder is None else folder
    contents = _read_folder(folder)
    manifest, digest = _manifest(folder, contents)
    _check_listing(folder, manifest, contents)
    cases = tuple(_case(folder / record["file"], record, contents[record["file"]]) for record in manifest["cases"])
    return GoldenSet(cases, digest, folder)
