"""Moves files that were processed into an archive, and never over another one."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

_NAMES_MAX = 10_000


def archived(path: Path, archive: Path) -> list[str]:
    """Move a file into the archive under its own name, or with a number where that name is taken.

    A file is in one of both places at any moment, perhaps in both, and whole in each. Returns what went wrong, as a
    sentence; the file is where it was then.
    """
    try:
        archive.mkdir(parents=True, exist_ok=True)
        try:
            _named(path, archive, path.name)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
                raise
            _copied(path, archive)
        path.unlink()
    except OSError as error:
        return [f"{path.name} could not be moved to {archive}: {error.strerror}"]
    return []


def _named(path: Path, archive: Path, name: str) -> None:
    """Give a file a second name in the archive. Raises OSError where there can be no such name."""
    for number in range(_NAMES_MAX):
        taken = archive / (name if number == 0 else f"{name}.{number}")
        with suppress(FileExistsError):
            os.link(path, taken)
            return
    raise OSError(errno.EEXIST, "the name is taken in all its forms")


def _copied(path: Path, archive: Path) -> None:
    """Copy a file into an archive that is on another disk, or on one without second names."""
    unfinished = archive / f".{path.name}.unfinished"
    try:
        shutil.copy2(path, unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        try:
            _named(unfinished, archive, path.name)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            free = (archive / f"{path.name}.{n}" for n in range(1, _NAMES_MAX))
            taken = archive / path.name
            unfinished.rename(taken if not taken.exists() else next(one for one in free if not one.exists()))
    finally:
        unfinished.unlink(missing_ok=True)
