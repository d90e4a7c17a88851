"""Answers that leave a doubt whether something was done, or of whom they speak: a look at the target settles it."""

from __future__ import annotations

from tests.cycles.company import MANAGER, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


# --- a 404 that speaks of something else than the account ---------------------------------------------------------


async def test_a_rename_that_meets_a_404_makes_no_second_account(company: Company, server: ScimServer) -> None:
    company.attributes += MANAGER
    company.people("ann", "bob", "boss")
    await company.cycle()
    company.person("ann", userPrincipalName="ann.married@example.com", manager="boss")
    server.script.on("PATCH", "/Users", then=Status(404), body="manager", times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    assert (len(server.users), server.sent("POST")[3:]) == (3, [])
    server.script.clear()
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("ann.married@example.com")["externalId"] == "ann"
    assert len(server.users) == 3


async def test_a_disable_that_meets_a_404_for_another_attribute_is_sent_alone(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.person("ann", accountEnabled=False, jobTitle="Former engineer")
    server.script.on("PATCH", "/Users", then=Status(404), body="title", times=FOR_EVER)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
