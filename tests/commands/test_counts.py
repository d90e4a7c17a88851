"""What commands say of how many there are, of one as of many."""

from __future__ import annotations

import pytest

from reconciler.commands.reporting import several
from tests.commands.shell import Shell
from tests.cycles.company import GROUPS, Company
from tests.servers.scim import ScimServer


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (0, ("operation",), "0 operations"),
        (1, ("operation",), "1 operation"),
        (2, ("operation",), "2 operations"),
        (1, ("entry is", "entries are"), "1 entry is"),
        (2, ("entry is", "entries are"), "2 entries are"),
    ],
)
def test_what_is_one_is_said_as_one(n: int, words: tuple[str, ...], said: str) -> None:
    assert several(n, *words) == said


async def test_one_group_that_is_held_is_one_operation(company: Company, shell: Shell, server: ScimServer) -> None:
    company.tables = GROUPS
    company.group("g1", ["ann"], "Crew")
    company.group("g2", ["ann"], "Night")
    await company.cycle()
    del company.groups["g2"]
    await company.cycle()
    assert (await shell("holds")).out.startswith("hold 1 of app, 1 operation since ")
    status = (await shell("status")).out
    assert status.startswith("app: held"), "no line stands empty above the first job where no daemon is told of"
    assert "\n  held: 1 operation for " in status
    assert (await shell("approve", "app")).out.startswith("hold 1 of app: 1 operation approved; ")
    server.put("user", userName="old@example.com", active=True)
    assert (await shell("orphans", "app")).out.endswith("\n1 account without an owner\n")
