"""One sentence of the contract with what holds it, and the rule that cuts a docstring into its sentences."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

_FORMULA_INDENT = "    "
_UNDERLINE = re.compile(r"-{3,}")
_END = re.compile(r"(?<=[.!?])\s+")
_ENTRIES = ("Parameters", "Returns", "Raises")
"""Sections of entries: a line at the margin names one, the lines indented below it are about it."""


@dataclass(frozen=True)
class Clause:
    """A sentence, and what no longer passes when it stops being true.

    Parameters
    ----------
    sentence : str
        Literally as in the docstring, white space normalised; in our own words where no docstring says it.
    cases : str
        Golden cases that freeze it: ids or shell patterns, separated by white space.
    tests : str
        Tests that hold it, alone where no golden case can: `test_file.py::test_name` under `tests/`, separated by
        white space.
    remark : str
        Why there is neither: what the sentence says cannot be true or false of a number or an error.
    """

    sentence: str
    cases: str = ""
    tests: str = ""
    remark: str = ""


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _prose(lines: list[str]) -> list[str]:
    """Cut at a full stop, question or exclamation mark before white space; a colon or semicolon ends no sentence."""
    return [sentence for sentence in _END.split(_joined(lines)) if sentence]


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def _text(lines: list[str]) -> list[str]:
    """Cut a summary or notes: every line of an indented paragraph is a formula, other paragraphs are prose."""
    found: list[str] = []
    for paragraph in _paragraphs(lines):
        formula = paragraph[0].startswith(_FORMULA_INDENT)
        found += [_joined([line]) for line in paragraph] if formula else _prose(paragraph)
    return found


def _entries(section: str, lines: list[str]) -> list[str]:
    """Cut entries: what names one is a sentence, then those about it; each refusal is one, led by its exception."""
    found: list[str] = []
    about: list[str] = []
    name = ""

    def close() -> None:
        if section == "Raises":
            found.extend(f"{name}: {part.rstrip('.')}" for part in _joined(about).split("; ") if part)
        else:
            found.extend([*([name] if name else []), *_prose(about)])
        about.clear()

    for line in lines:
        if line.startswith(_FORMULA_INDENT) or not line.strip():
            about.append(line)
        else:
            close()
            name = _joined([line])
    close()
    return found


def sentences(docstring: str) -> list[str]:
    """Return the sentences of a numpydoc docstring, in order, white space normalised.

    A heading is none. In the summary and the notes, each line of an indented paragraph is a formula and one sentence;
    the rest is prose, cut after `.`, `!` or `?` before white space. In the sections of entries the line that names an
    entry is a sentence, and what is said of it is prose; under `Raises` it is cut at semicolons instead, and the name
    of the exception leads each part.
    """
    lines = cleandoc(docstring).splitlines()
    heads = [at for at, line in enumerate(lines) if at and _UNDERLINE.fullmatch(line)]
    starts = [0, *(at - 1 for at in heads), len(lines)]
    found = _text(lines[: starts[1]])
    for start, end in pairwise(starts[1:]):
        section, body = lines[start], lines[start + 2 : end]
        found += _entries(section, body) if section in _ENTRIES else _text(body)
    return found


def _documented(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        docstring = ast.get_docstring(node)
        if docstring:
            yield f"{prefix}{node.name}", docstring
        if isinstance(node, ast.ClassDef):
            yield from _documented(node.body, f"{node.name}.")


def docstrings(package: Path) -> dict[str, str]:
    """Return the docstring of each name that a package offers, methods too, read from the source: nothing is imported.

    Raises
    ------
    ValueError
        A name that the package imports has no docstring.
    """
    found: dict[str, str] = {}
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            path = package.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            documented = dict(_documented(ast.parse(path.read_text(encoding="utf-8")).body))
            for alias in node.names:
                if alias.name not in documented:
                    raise ValueError(f"{path}: {alias.name} has no docstring, wanted one: it is the contract")
                own = {k: v for k, v in documented.items() if k.split(".")[0] == alias.name}
                found.update(own)
    return found
