"""The server that the companies of these tests provision."""

from __future__ import annotations

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
    return Company(tmp_path, server)
