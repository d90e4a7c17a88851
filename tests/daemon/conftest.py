"""A small company and an honest server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.company import Company
from tests.servers.scim import ScimServer


@pytest.fixture
async def server() -> AsyncIterator[ScimServer]:
    async with ScimServer() as running:
        yield running


@pytest.fixture
def company(tmp_path: Path, server: ScimServer) -> Company:
    """Ann, Bob and Cleo, in scope all."""
    made = Company(tmp_path, server)
    made.people("ann", "bob", "cleo")
    made.write()
    return made
