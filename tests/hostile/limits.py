"""Commands that may use so much memory and no more."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

from tests.commands.shell import DEADLINE_SECONDS, Ran, Shell

ADDRESS_SPACE_BYTES = 1536 * 1024 * 1024
"""What the interpreter, its libraries and its threads' stacks reserve is about half of it; a bomb is far more."""


async def bounded(directory: Path, *arguments: str | Path) -> Ran:
    """Run a command that dies of more memory than it should need, and fails the test where it does not end."""
    process = await Shell(directory).start(*arguments)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())
