"""What a source sets aside on disk while it reads, and what it says where there is no room for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import IO

_IN_MEMORY_BYTES_MAX = 4 * 1024 * 1024


@contextmanager
def room(refusal: Callable[[str], Exception]) -> Iterator[None]:
    """Raise a refusal, which is given its reason, where what is done in here finds no room, or no disk."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        said = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        raise refusal(f"cannot be kept ({said}): is there room in the temporary directory?") from error


@contextmanager
def temporary_file(refusal: Callable[[str], Exception]) -> Iterator[IO[bytes]]:
    """Give a file that nobody else sees, in memory while it is small. It goes with the context."""
    with room(refusal):
        file = SpooledTemporaryFile(_IN_MEMORY_BYTES_MAX)  # noqa: SIM115  # closed below, whatever it has to write then
    try:
        yield file
    finally:
        with suppress(OSError):  # what was not written any more is not missed
            file.close()
