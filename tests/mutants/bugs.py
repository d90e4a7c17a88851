"""Deliberate bugs as data: what is written into the code, the promise that it breaks, the test that must see it."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Moved(Exception):
    """The code is not as a bug expects it."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One small replacement in one file of the package."""

    name: str
    file: str
    """Below reconciler/."""
    promise: str
    """What it breaks, as docs/correctness.md and docs/security.md promise it."""
    test: str
    """Whose failure shows it: path and name, as pytest takes them."""
    old: str
    new: str

    @property
    def path(self) -> Path:
        return Path("reconciler", self.file)

    @property
    def test_path(self) -> Path:
        return Path(self.test.partition("::")[0])

    @property
    def test_name(self) -> str:
        return self.test.rpartition("::")[2]

    def written_into(self, text: str) -> str:
        """Return the file's text with the bug in it. Raises Moved where its place is not found exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise Moved(f"{self.name}: its old text is {found} times in {self.path}; the code has moved: mend this bug")
        buggy = text.replace(self.old, self.new)
        try:
            ast.parse(buggy)
        except SyntaxError as error:
            raise Moved(f"{self.name}: {self.path} is no Python with it (line {error.lineno}): mend this bug") from None
        return buggy


def all_bugs() -> list[Bug]:
    """Return the bugs of bugs/*.toml, by file and as they stand there."""
    names = {field.name for field in fields(Bug)}
    bugs: list[Bug] = []
    for path in sorted((HERE / "bugs").glob("*.toml")):
        for row in tomllib.loads(path.read_text())["bug"]:
            if row.keys() != names:
                raise Moved(f"{path.name}: {row.get('name')}: has {sorted(row)}, needs {sorted(names)}")
            bugs.append(Bug(**row))
    return bugs
