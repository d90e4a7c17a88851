"""A certificate that the tests make themselves, a post office, and a company whose job has people to tell."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cycles.company import Company
from tests.notify.post_office import PostOffice, make_certificate, open_office
from tests.servers.scim import ScimServer


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with open_office() as opened:
        yield opened


@pytest.fixture
async def company(tmp_path: Path, office: PostOffice) -> AsyncIterator[Company]:
    async with ScimServer() as server:
        made = Company(tmp_path, server, job='scope = "all"\nnotify = ["it@example.com"]')
        made.people("ann", "bob")
        made.tables = mail_table(office.port)
        made.write()
        yield made


def mail_table(port: int, more: str = "") -> str:
    return f"""
[mail]
host = "127.0.0.1"
port = {port}
security = "none"
from = "provisioning@example.com"
{more}
"""
