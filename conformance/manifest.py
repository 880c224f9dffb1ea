"""The manifest of the golden set as the reader takes it: strict JSON, the known fields and nothing else."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

SCHEMA = 2
CONTRACT = 1
MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"
MOST_DIGITS = 20
"""Of an integer: the largest that a manifest needs has seven, and reading a million digits takes minutes."""
_TOP: dict[str, type] = {"schema": int, "contract": int, "generator": str, "history": list, "cases": list}
_RECORD: dict[str, type] = {
    "id": str, "loss": str, "parameters": dict, "why": str, "catches": str, "bit_exact": bool, "file": str,
    "bytes": int, "sha256": str, "content_sha256": str, "arrays": dict, "certificate": dict,
}  # fmt: skip
_CHANGE: dict[str, type] = {"reason": str, "added": list, "changed": list, "removed": list}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def strict_json(text: bytes) -> Any:
    """Return what `text` says: ASCII, no key twice, no NaN, no endless integers, no bottomless nesting.

    Raises
    ------
    ValueError
        It is not that.
    """
    try:
        return json.loads(text.decode("ascii"), object_pairs_hook=_once, parse_int=_integer, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _typed(entry: Any, fields: Mapping[str, type], where: str) -> None:
    if type(entry) is not dict or entry.keys() != fields.keys():
        names = sorted(entry.keys() ^ fields.keys()) if type(entry) is dict else type(entry).__name__
        raise ValueError(f"{where}: lacks, or has beyond what is known: {names}")
    for name, wanted in fields.items():
        if type(entry[name]) is not wanted:
            raise ValueError(f"{where}: {name} is {type(entry[name]).__name__}, wanted {wanted.__name__}")


def _check_record(record: Any, where: str) -> None:
    _typed(record, _RECORD, where)
    if not _ID.fullmatch(record["id"]) or record["file"] != f"{record['id']}.npz":
        raise ValueError(f"{where}: id {record['id'][:80]!r} and file {record['file'][:80]!r} do not belong together")
    if not record["arrays"]:
        raise ValueError(f"{where}: has no arrays")
    for name, entry in record["arrays"].items():
        _typed(entry, {"dtype": str, "shape": list}, f"{where}: array {name[:80]!r}")
        if any(type(length) is not int for length in entry["shape"]):
            raise ValueError(f"{where}: array {name[:80]!r}: shape {entry['shape'][:8]}")


def _check_history(history: list[Any], where: str) -> None:
    for number, entry in enumerate(history):
        here = f"{where}: history entry {number}"
        previous = entry.get("previous") if type(entry) is dict else None
        if previous is not None and not (type(previous) is str and _SHA256.fullmatch(previous)):
            raise ValueError(f"{here}: previous is no sha256")
        _typed(entry, {**_CHANGE, "previous": type(previous)}, here)
        if any(type(case_id) is not str for name in ("added", "changed", "removed") for case_id in entry[name]):
            raise ValueError(f"{here}: wanted ids of cases")


def manifest_of(text: bytes, digest_file: bytes) -> tuple[dict[str, Any], str]:
    """Return the manifest and its digest; the digest file must name it, and every field be known and of its type.

    Raises
    ------
    ValueError
        Anything else; the message starts with what is wrong.
    """
    digest = hashlib.sha256(text).hexdigest()
    if digest_file != f"{digest}  {MANIFEST}\n".encode("ascii"):
        raise ValueError(f"its sha256 is {digest}, which {DIGEST} does not say")
    manifest = strict_json(text)
    if type(manifest) is not dict or "schema" not in manifest:
        raise ValueError("no manifest of golden cases")
    for name, wanted in (("schema", SCHEMA), ("contract", CONTRACT)):
        got = manifest.get(name)
        if type(got) is not int or got != wanted:
            raise ValueError(f"{name} {str(got)[:80]!r}, wanted {wanted}: install the matching version of this package")
    _typed(manifest, _TOP, "the manifest")
    _check_history(manifest["history"], "the manifest")
    for number, record in enumerate(manifest["cases"]):
        _check_record(record, f"record {number}")
    ids = [record["id"] for record in manifest["cases"]]
    if not ids or len(set(ids)) != len(ids):
        raise ValueError("lists no case, or one case twice")
    return manifest, digest
