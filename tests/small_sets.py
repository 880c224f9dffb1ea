"""A golden set of five small cases, and what it takes to change one with care: a manifest that names what is there."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from conformance.exit_codes import FixtureError
from conformance.golden import load
from fixtures.case import Case
from fixtures.cases import CASES
from fixtures.golden_set import golden_files
from fixtures.manifest import DIGEST, MANIFEST

IDS = ("l2-typical", "l2-field-mask", "mae-bit-exact", "nll-typical", "nll-infinite-per-element")
"""Between them: every loss and dtype, a mask, view ids, complex numbers, NaN in the inputs, infinity in the answer."""
SMALL = tuple(case for case in CASES if case.id in IDS)
assert len(SMALL) == len(IDS)


def small_cases() -> Sequence[Case]:
    return SMALL


@cache
def small_files() -> dict[str, bytes]:
    return golden_files(SMALL)


def with_other_numbers(case_id: str = "mae-bit-exact") -> Sequence[Case]:
    """Return the small set with the reduction of one case changed, and so its value and gradient."""
    return [replace(case, reduction="sum") if case.id == case_id else case for case in SMALL]


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def digest_of(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def resealed(files: Mapping[str, bytes], manifest: Any) -> dict[str, bytes]:
    """Return the files with this manifest and a digest that matches, as someone who tampers with care would."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return {**files, MANIFEST: text, DIGEST: digest_of(text)}


def manifest_in(files: Mapping[str, bytes]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(files[MANIFEST])
    return manifest


def with_archive(files: Mapping[str, bytes], name: str, content: bytes) -> dict[str, bytes]:
    """Return the files with another archive, sealed: its size and sha256 are in the manifest."""
    manifest = manifest_in(files)
    for record in manifest["cases"]:
        if record["file"] == name:
            record.update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    return resealed({**files, name: content}, manifest)


def refused(folder: Path, files: dict[str, bytes], match: str) -> None:
    """Hold that the reader does not load a set of these files, and says why."""
    write(folder, files)
    with pytest.raises(FixtureError, match=match):
        load(folder)


def with_manifest(change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    """Return the small set with its manifest changed, and sealed again."""
    manifest = manifest_in(small_files())
    change(manifest)
    return resealed(small_files(), manifest)
