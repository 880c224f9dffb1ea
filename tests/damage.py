"""Strategies for damaged golden sets: structured, and sealed again, as an attacker who can write every file would."""

import io
import json
import struct
import zipfile
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from small_sets import IDS, manifest_in, resealed, small_files, with_archive

from fixtures.archive import content_sha256, npz_bytes
from fixtures.manifest import MANIFEST
from fixtures.unpack import unpack


class Files(dict[str, bytes]):
    """A golden set that a red example shows by what differs from the whole one."""

    def __repr__(self) -> str:
        whole = small_files()
        differing = {name: content[:200] for name, content in self.items() if whole.get(name) != content}
        return f"Files({differing}, missing={sorted(whole.keys() - self.keys())})"


NAMES = tuple(sorted(small_files()))
ARCHIVES = tuple(name for name in NAMES if name.endswith(".npz"))
WORDS = (
    "", "nan", "inf", "-0x1.0p+0", "0x1p99999", "0x1p-99999", "sample", "view", "field", "none", "target", "clamp",
    "patch", "\x00", "../x", "\ud800", "\x1b[2J", "\u202e", "<f8", "|O", "x" * 300, "0" * 64, *IDS, *NAMES,
)  # fmt: skip
SETTINGS = ("source", "value", "nphotons", "dtype", "shape", "reason", "x")
DTYPES = ("'<f4'", "'<f8'", "'|O'", "'>f8'", "'|S9'", "[('a', '<f8')]", "'<c16'", "'<U9'", "0")
FIELDS = {"<B": 2**8, "<H": 2**16, "<I": 2**32}
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(SETTINGS), inner, max_size=4),
    ),
    max_leaves=6,
)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every node below the root."""
    found: list[tuple[Any, Any]] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            stack.append(node[key])
    return found


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set whose manifest had some of its nodes replaced, removed, renamed, swapped or doubled."""
    manifest = manifest_in(small_files())
    manifest["history"] = [{"reason": "why", "previous": None, "added": ["a"], "changed": [], "removed": []}]
    for _ in range(draw(st.integers(1, 3))):
        places = _places(manifest)
        if not places:
            break
        container, key = places[draw(st.integers(0, len(places) - 1))]
        action = draw(st.sampled_from(["replace", "remove", "rename", "swap", "double"]))
        other, other_key = places[draw(st.integers(0, len(places) - 1))]
        if action == "replace":
            container[key] = draw(junk)
        elif action == "swap":
            container[key] = json.loads(json.dumps(other[other_key]))
        elif action == "remove":
            del container[key]
        elif isinstance(container, dict):
            value = container[key] if action == "double" else container.pop(key)
            container[draw(st.sampled_from(WORDS))] = value
        else:
            container.insert(0, container[key])
    return resealed(small_files(), json.dumps(manifest).encode())


@st.composite
def manifest_texts(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set whose manifest was edited as text, sealed or not."""
    text = small_files()[MANIFEST]
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.sampled_from([0, 0, 1, 2, 30, 10**6])))
        words = [b"[" * 3000, b"{", b"}", b'"', b"\\u", b"NaN", b"9" * 5000, b"1e999", b"\xff", b"\0", b",", b":", b""]
        text = text[:start] + draw(st.one_of(st.sampled_from(words), st.binary(max_size=8))) + text[stop:]
    return resealed(small_files(), text) if draw(st.booleans()) else {**small_files(), MANIFEST: text}


@st.composite
def _damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw edits of bytes, rather in headers than in numbers."""
    changed = bytearray(content)
    starts = [i for magic in (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x93NUMPY") for i in _all(content, magic)]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.one_of(st.sampled_from(starts), st.integers(0, len(content) - 1))) + draw(st.integers(0, 48))
        form, numbers = draw(st.sampled_from(sorted(FIELDS.items())))
        if place + struct.calcsize(form) <= len(changed):
            struct.pack_into(form, changed, place, draw(st.integers(0, numbers - 1)))
    cut = draw(st.sampled_from([None, None, None, 0, 10, len(content) // 2, -1]))
    return bytes(changed[:cut]) + draw(st.one_of(st.just(b""), st.binary(max_size=4), st.just(content)))


@cache
def _all(content: bytes, magic: bytes) -> list[int]:
    return [i for i in range(len(content)) if content.startswith(magic, i)]


@st.composite
def archives(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set with one archive damaged in its bytes; the manifest names the damaged one."""
    name = draw(st.sampled_from(ARCHIVES))
    return with_archive(small_files(), name, draw(_damaged(small_files()[name])))


@st.composite
def npy_headers(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set with an archive whose first array has another header, in a zip that fits; the manifest agrees."""
    dtype = draw(st.sampled_from(DTYPES))
    lengths = draw(st.lists(st.sampled_from([0, 1, 2, 8, 2**20, 2**31, 2**62, 2**64, -1]), max_size=5))
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {tuple(lengths)!r}, }}\n".encode()
    data = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + draw(st.binary(max_size=64))
    name = draw(st.sampled_from(ARCHIVES))
    files = with_archive(small_files(), name, _stored("value.npy", data))
    manifest = manifest_in(files)
    for record in manifest["cases"]:
        if record["file"] == name:
            record["arrays"] = {"value": {"dtype": dtype.strip("'"), "shape": lengths}}
    return resealed(files, manifest)


def _stored(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o644 << 16
        archive.writestr(info, data)
    return buffer.getvalue()


@st.composite
def other_arrays(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set in which one case has arrays of other names, dtypes, shapes and numbers, consistent throughout."""
    case_id = draw(st.sampled_from(IDS))
    arrays = {key: array.copy() for key, array in unpack(small_files()[f"{case_id}.npz"], "here").items()}
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*arrays, "mask", "view_ids", "sign", "detector"]))
        dtype = draw(st.sampled_from(["<f4", "<f8", "<c8", "<c16", "|i1", "|u1", "<i4"]))
        shapes = [(), (1,), (2,), (2, 1, 8, 8), (1, 1, 1, 1), (5, 2, 4, 4), (2, 8, 8), (3, 1, 8, 8), (1, 2, 3, 4, 5)]
        shape = draw(st.sampled_from([*shapes, *(array.shape for array in arrays.values())]))
        numbers = np.full(shape, draw(st.sampled_from([0, 1, 5])), dtype)
        if numbers.dtype.kind in "fc":
            numbers.flat[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 5e-45]))
        if draw(st.booleans()):
            arrays[name] = numbers
        elif len(arrays) > 1:
            arrays.pop(name, None)
    files = with_archive(small_files(), f"{case_id}.npz", npz_bytes(arrays))
    manifest = manifest_in(files)
    for record in manifest["cases"]:
        if record["id"] == case_id:
            record["arrays"] = {k: {"dtype": a.dtype.str, "shape": list(a.shape)} for k, a in arrays.items()}
            record["content_sha256"] = content_sha256(arrays)
            if draw(st.booleans()):
                record["parameters"]["reduction"] = draw(st.sampled_from(["mean", "sample", "none"]))
    return resealed(files, manifest)


@st.composite
def loose_files(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw a set with files removed, added, exchanged or filled with anything, and not sealed."""
    files = dict(small_files())
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*NAMES, "extra.npz", ".hidden", "manifest.json.bak"]))
        if draw(st.booleans()):
            files.pop(name, None)
        else:
            files[name] = draw(st.one_of(st.binary(max_size=40), st.sampled_from([*small_files().values()])))
    return files


KINDS = {
    "manifest": manifests().map(Files),
    "manifest text": manifest_texts().map(Files),
    "archive": archives().map(Files),
    "npy header": npy_headers().map(Files),
    "arrays": other_arrays().map(Files),
    "files": loose_files().map(Files),
}
