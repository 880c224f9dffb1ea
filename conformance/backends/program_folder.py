"""A folder of exported programs: what each is called, and the manifest that binds all to one suite and one code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conformance.backends.answer import keyword_operands, operand_dtype, takes_scale
from conformance.case import Question
from conformance.exit_codes import BackendError

SCHEMA = 1
MANIFEST = "programs.json"
SUFFIX = ".program"
EXPORT = "export again with `ptycho-oracle export-program`"
VARIABLE = "PTYCHO_PROGRAMS"
SOURCES = (
    "codepaths/config.py",
    "codepaths/tensorflow_*.py",
    "backends/answer.py",
    "backends/program_*.py",
    "backends/tensorflow_*.py",
)
_PACKAGE = Path(__file__).resolve().parent.parent


def program_name(question: Question, dtype: str) -> str:
    """Return the file name of the program that answers a question in `dtype`.

    Questions that differ in their numbers alone share one: it depends on loss, options, shapes and dtypes.
    """
    scale = question.parameters.scale
    options = {name: value for name, value in asdict(question.parameters).items() if name != "scale"}
    keywords = {name: [str(array.dtype), array.shape] for name, array in keyword_operands(question).items()}
    described = {
        "loss": question.loss,
        "options": {name: value.hex() if isinstance(value, float) else value for name, value in options.items()},
        "scale": [takes_scale(question), scale and scale.source, scale and scale.nphotons and scale.nphotons.hex()],
        "operands": [operand_dtype(question, dtype), question.prediction.shape, keywords],
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return f"{question.loss}-{dtype}-{digest[:16]}{SUFFIX}"


def code_digest() -> str:
    """Return a digest of the sources that programs are made from, so that those of other sources are refused."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class ProgramFolder:
    """A folder whose manifest was checked; programs are checked one by one as they are read."""

    folder: Path
    records: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    products: int
    """How many matrix products the programs hold: only those could be run in reduced precision."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a program.

        Raises
        ------
        BackendError
            It is not in the manifest, missing, or not as it was exported.
        """
        path = self.folder / name
        if name not in self.records:
            raise BackendError(f"{path}: no such program was exported; {EXPORT}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BackendError(f"{path}: cannot be read ({error}); {EXPORT}") from error
        if hashlib.sha256(content).hexdigest() != self.records[name]["sha256"]:
            raise BackendError(f"{path}: altered since it was exported; {EXPORT}")
        return content


def write_manifest(
    folder: Path, suite: str, versions: Mapping[str, str], programs: Mapping[str, bytes], products: int
) -> None:
    """Write the manifest of programs that are in the folder already: without it they are nothing."""
    records = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(programs.items())
    }
    manifest = {
        "schema": SCHEMA, "suite": suite, "code": code_digest(), "versions": dict(versions),
        "matrix_products": products, "programs": records,
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def open_folder(folder: Path | None, suite: str) -> ProgramFolder:
    """Return the programs of a folder, refusing those that were exported for another suite or from other sources.

    Raises
    ------
    BackendError
        No folder, no manifest, an unreadable one, or one of another suite, code or schema.
    """
    if folder is None:
        raise BackendError(
            f"backend tensorflow-program: no folder of programs; give --programs FOLDER or {VARIABLE}, after {EXPORT}"
        )
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise ValueError(f"schema {found['schema']!r}")
        records, versions, products = dict(found["programs"]), dict(found["versions"]), int(found["matrix_products"])
        bound = {"suite": (found["suite"], suite), "sources": (found["code"], code_digest())}
        if not records or not all(isinstance(record["sha256"], str) for record in records.values()):
            raise ValueError("no programs, or programs without a digest")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendError(f"{path}: no manifest of exported programs ({error}); {EXPORT}") from error
    for what, (got, wanted) in bound.items():
        if got != wanted:
            raise BackendError(f"{path}: programs of other {what}: got {got!s:.12}, wanted {wanted:.12}; {EXPORT}")
    return ProgramFolder(folder, records, versions, products)
