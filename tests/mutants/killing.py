"""Writes each deliberate bug into a copy of the package and runs the test that must see it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.mutants.bugs import ROOT, Bug

TEST_SECONDS_MAX = 60
"""A test that runs longer with a bug than so sees it: some bugs never end."""
COPIED = ("reconciler", "tests")
_NOT_COPIED = shutil.ignore_patterns(".*", "*.egg-info")
_TESTS_FAILED = 1

Fate = Literal["killed", "survived", "not run"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one bug."""

    bug: Bug
    fate: Fate
    said: str
    """What the test run printed."""


def copy_of_the_project(place: Path) -> None:
    """Make a place where tests find everything as in the checkout, and the package is another one."""
    for path in ROOT.iterdir():
        if path.name in COPIED:
            shutil.copytree(path, place / path.name, ignore=_NOT_COPIED)
        elif not path.name.startswith("."):
            (place / path.name).symlink_to(path)


def passes_without(bugs: Sequence[Bug], place: Path) -> tuple[bool, str]:
    """Whether every test passes while there is no bug, none skipped: only then does a failure say something."""
    done = _run([*dict.fromkeys(bug.test for bug in bugs)], place, "-p", "tests.no_skips", writes_bytecode=True)
    return done.returncode == 0, done.stdout


def try_one(bug: Bug, place: Path) -> Trial:
    """Run the bug's test with it; only a failed test kills, not one that could not be run."""
    with written(bug, place):
        try:
            done = _run([bug.test], place, "-x")
        except subprocess.TimeoutExpired:
            return Trial(bug, "killed", f"no end after {3 * TEST_SECONDS_MAX} s")
    if done.returncode == _TESTS_FAILED:
        return Trial(bug, "killed", done.stdout)
    return Trial(bug, "survived" if done.returncode == 0 else "not run", done.stdout + done.stderr)


@contextmanager
def written(bug: Bug, place: Path) -> Iterator[None]:
    """Have the bug in the copy for so long."""
    original, copy = ROOT / bug.path, place / bug.path
    copy.write_text(bug.written_into(original.read_text()))
    try:
        yield
    finally:
        shutil.copy2(original, copy)


def _run(tests: Sequence[str], place: Path, *options: str, writes_bytecode: bool = False) -> _Done:
    # what a bug compiles to is not kept: the file is as long, and as old, when it is back as it was
    environment = {**os.environ, "PYTHONPATH": str(place)}
    if not writes_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS_MAX}"]
    return subprocess.run(
        [*command, *options, *tests],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=None if writes_bytecode else 3 * TEST_SECONDS_MAX,
    )


_Done = subprocess.CompletedProcess[str]
