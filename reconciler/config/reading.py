"""Reads a configuration's TOML files into one document that remembers which file each table came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.errors import Problem

NAMED_TABLES = ("sources", "targets", "roles", "tables", "jobs")
"""Tables of tables: each file may add names to them."""
JOB_TABLES = ("users", "groups", "deprovision")
FILE_BYTES_MAX = 10_000_000

Place = tuple[str | int, ...]
"""A path of keys and list positions from the top of the document."""


@dataclass(slots=True)
class Document:
    """The tables of all files together."""

    label: str
    """The main file as the user named it."""
    directory: Path
    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    """The file of each table, by ("jobs", "phone") or ("mail",)."""
    problems: list[Problem] = field(default_factory=list)
    unmatched: list[int] = field(default_factory=list)
    """The positions in `include` of patterns that no file fits."""

    def where(self, place: Place) -> str:
        """Return a place as people write it: `config.toml: [jobs.phone.users] attributes[3].to`."""
        file = self.origins.get(place[:2]) or self.origins.get(place[:1]) or self.label
        return f"{file}: {spelled(place)}" if place else file

    def file(self, name: str) -> tuple[Path, str]:
        """Return the path of a file that the configuration names, and what to call it in front of the user."""
        return self.directory / name, str(Path(self.label).parent / name)


def spelled(place: Place) -> str:
    """Return a place as a table's heading, and the key within it."""
    depth = _heading_depth(place)
    heading = f"[{'.'.join(_key(part) for part in place[:depth])}]" if depth else ""
    rest = ""
    for part in place[depth:]:
        if isinstance(part, int):
            rest += f"[{part}]"
        else:
            rest += f".{_key(part)}" if rest else _key(part)
    return f"{heading} {rest}".strip()


def read(path: Path) -> Document:
    """Read a file and those that it includes. What cannot be read becomes a problem of the document."""
    directory = path.absolute().parent
    document = Document(str(path), directory)
    main = _tables(path, str(path), document.problems)
    _merge(document, main, str(path), included=False)
    for file in _included(document, main.get("include"), path):
        label = str(path.parent / file.relative_to(directory)) if file.is_relative_to(directory) else str(file)
        _merge(document, _tables(file, label, document.problems), label, included=True)
    return document


def _heading_depth(place: Place) -> int:
    if not place:
        return 0
    if place[0] not in NAMED_TABLES:
        return 1 if place[0] in ("state", "control", "metrics", "mail", "log") else 0
    if place[0] == "jobs" and len(place) > 2 and place[2] in JOB_TABLES:
        return 3
    return min(2, len(place))


def _key(part: str | int) -> str:
    """Return a key as TOML spells it; what is too long for a key may be a secret, and is not shown."""
    text = str(part)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        return text
    if len(text) > 64 or not text.isprintable():
        return f"(a key of {len(text)} characters)"
    return f'"{text}"'


def _tables(path: Path, label: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            held = file.read(FILE_BYTES_MAX + 1)
        if len(held) > FILE_BYTES_MAX:
            problems.append(Problem(label, f"is larger than {FILE_BYTES_MAX:,} bytes"))
            return {}
        return tomllib.loads(held.decode("utf-8-sig"))
    except OSError as error:
        problems.append(Problem(label, f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(Problem(f"{label} line {line}", "is not UTF-8 text"))
    except tomllib.TOMLDecodeError as error:
        problems.append(_syntax_problem(str(error), label))
    except RecursionError:
        problems.append(Problem(label, "is nested too deeply"))
    return {}


def _syntax_problem(text: str, label: str) -> Problem:
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", text, re.DOTALL)
    if found is None:
        return Problem(label, f"is no valid TOML: {text}")
    return Problem(f"{label} line {found[2]}", f"is no valid TOML: {found[1]} at column {found[3]}")


def _included(document: Document, patterns: Any, path: Path) -> list[Path]:
    if not isinstance(patterns, list):
        return []  # the shape of the document is judged elsewhere
    found: dict[Path, None] = {}
    for position, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or not pattern.strip():
            continue
        matches = _matches(document.directory, pattern)
        if isinstance(matches, str):
            document.problems.append(Problem(document.where(("include", position)), matches))
            continue
        if not matches and re.search(r"[*?\[]", pattern):
            document.unmatched.append(position)
        elif not matches:
            document.problems.append(Problem(document.where(("include", position)), "the file is not there"))
        found.update(dict.fromkeys(match for match in matches if match != path.absolute()))
    return list(found)


def _matches(directory: Path, pattern: str) -> Sequence[Path] | str:
    """Return the files that a pattern means, or what is wrong with it."""
    below = Path(pattern)
    if below.is_absolute():
        directory, below = Path(below.anchor), below.relative_to(below.anchor)
    if not below.parts:
        return "is a directory, and no pattern of file names"
    try:
        return sorted(match for match in directory.glob(str(below)) if match.is_file())
    except ValueError:  # such as "**x" before Python 3.13
        return "is no pattern of file names"
    except OSError as error:
        return f"cannot be looked up: {error.strerror}"


def _merge(document: Document, tables: dict[str, Any], label: str, *, included: bool) -> None:
    for key, value in tables.items():
        if included and key == "include":
            document.problems.append(Problem(f"{label}: include", "only the main file includes others"))
        elif key in NAMED_TABLES and isinstance(value, dict):
            held = document.tables.setdefault(key, {})
            if not isinstance(held, dict):
                continue  # the main file's own mistake is reported once
            for name, table in value.items():
                _add(document, held, (key, name), table, label)
        else:
            _add(document, document.tables, (key,), value, label)


def _add(document: Document, holder: dict[str, Any], place: Place, value: Any, label: str) -> None:
    key = str(place[-1])
    if key in holder:
        other = document.origins.get(place, document.label)
        document.problems.append(Problem(f"{label}: {spelled(place)}", f"stands in {other} already"))
        return
    holder[key] = value
    document.origins[place] = label
