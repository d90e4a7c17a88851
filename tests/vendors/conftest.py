"""AlexisHR's employees in a file, and the tenant that gets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers.graph import GraphServer
from tests.vendors.hr import HumanResources


@pytest.fixture
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer() as server:
        yield server


@pytest.fixture
def hr(tmp_path: Path, graph: GraphServer) -> HumanResources:
    return HumanResources(tmp_path, graph)
