"""`reconciler overdue`: who should be off and is not."""

from __future__ import annotations

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer


async def test_everybody_who_is_still_on_is_listed_with_what_stands_against_it(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    await company.cycle()
    assert (await shell("overdue")).out == "app  nobody\n"
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    del company.users["ann"]
    await company.cycle()
    ran = await shell("overdue", "app")
    assert ran.code == 0
    assert ran.out.startswith("app  escrow for 0 min: user ann@example.com (ann): failed 1 times: ")
    [told] = (await shell("overdue", "--json")).lines()
    assert (told["job"], told["total"], told["blind"]) == ("app", 1, None)
    [ann] = told["people"]
    assert (ann["kind"], ann["id"], ann["hindrance"], ann["since"]) == ("user", "ann", "escrow", told["oldest"])


async def test_an_unknown_job_is_named_with_the_nearest(shell: Shell, company: Company) -> None:
    company.write()
    await company.cycle()
    ran = await shell("overdue", "apq")
    assert ran.code == 2
    assert "did you mean app?" in ran.err
