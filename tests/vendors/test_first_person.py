"""Each vendor's page, followed to the letter: what it says to type is typed, and a first person is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from reconciler import config
from tests.commands.shell import Ran, Shell
from tests.daemon.process import Daemon
from tests.servers.acall import Acall
from tests.servers.alexishr import HOME, AlexisHR
from tests.servers.dialpad import Dialpad
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer
from tests.servers.scim import ScimServer
from tests.servers.sightcall import SightCall
from tests.vendors.app import DOCS

CONTROL = '\n[control]\nsocket = "control.sock"\n'


def typed(vendor: str) -> list[str]:
    """Return what the page says to type, in order, each command once."""
    page = (DOCS / f"{vendor}.md").read_text("utf-8")
    found = re.findall(r"reconciler ((?:init|check|test|plan|provision)\b[^`\n#|]*)", page)
    first: dict[str, str] = {}
    for command in (" ".join(each.split()) for each in found):
        if command == "check" or f" {vendor}" in command:
            first.setdefault(command.split()[0], command)
    return list(first.values())


def fill(path: Path, *gaps: tuple[str, str]) -> None:
    """Do what an editor does: every gap is there, and is filled in."""
    text = path.read_text("utf-8")
    for gap, filled in gaps:
        assert gap in text, gap
        text = text.replace(gap, filled)
    path.write_text(text, "utf-8")


def write_people(directory: Path, vendor: str) -> str:
    """Write the two files that the page shows, and two people more; return the page's own person."""
    shown = re.findall(r"^\{\"id\".*$", (DOCS / f"{vendor}.md").read_text("utf-8"), re.MULTILINE)
    person, group = (orjson.loads(line) for line in shown)
    others = [
        {**person, "id": id_, "userPrincipalName": f"{id_}@example.com", "mail": f"{id_}@example.com"}
        for id_ in ("yves", "zoe")
    ]
    group["members"] += ["yves", "zoe"]
    for name, rows in (("users", [person, *others]), ("groups", [group])):
        (directory / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(person["mail"])


async def type_it(shell: Shell, commands: list[str]) -> dict[str, Ran]:
    """Run the commands one after the other; each must go well."""
    ran = {}
    for command in commands:
        ran[command.split()[0]] = done = await shell(*command.split())
        assert done.code == 0, (command, done.out, done.err)
    return ran


VENDORS: dict[str, tuple[Callable[[], ScimServer], str]] = {
    "dialpad": (Dialpad, "https://dialpad.com/scim"),
    "acall": (Acall, "https://api.acall.jp/scim"),
    "sightcall": (SightCall, "https://api.sightcall.com/api/v3/scim"),
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_who_follows_the_page_has_a_first_person_provisioned(tmp_path: Path, vendor: str) -> None:
    begin, address = VENDORS[vendor]
    async with begin() as server:
        (variable,) = re.findall(r"`export (\w+)=…`", (DOCS / f"{vendor}.md").read_text("utf-8"))
        environment = {variable: server.token}
        shell, path = Shell(tmp_path, **environment), tmp_path / "config.toml"
        init, *others = typed(vendor)
        assert [command.split()[0] for command in (init, *others)] == ["init", "check", "test", "plan", "provision"]
        await type_it(shell, [init])
        first = write_people(tmp_path, vendor)
        fill(path, (address, server.url))
        ran = await type_it(shell, others)
        assert "3 create" in ran["plan"].out + ran["plan"].err
        assert others[-1].split()[-1] == first
        assert [user["userName"] for user in server.users.values()] == [first]
        fill(path, ("enabled = false", "enabled = true"))
        path.write_text(path.read_text("utf-8") + CONTROL, "utf-8")
        async with Daemon(tmp_path, **environment) as daemon:
            await daemon.event("cycle.finished", job=vendor)
            assert len(server.users) == 3
            assert await daemon.stop() == 0


HR_GAPS = (
    ("tenant = ", 'url = "{graph}"\nlogin_url = "{login}"\ntenant = '),
    ("00000000-0000-0000-0000-000000000000", CLIENT_ID),
    ("example.onmicrosoft.com", TENANT),
    ('type = "alexishr"', 'type = "alexishr"\nurl = "{alexis}/v1"'),
)


@pytest.mark.row("D3")
@pytest.mark.row("D18")
@pytest.mark.row("D19")
@pytest.mark.row("D20")
@pytest.mark.row("D21")
@pytest.mark.row("D32")
async def test_who_follows_the_page_has_a_first_employee_in_the_directory(tmp_path: Path) -> None:
    async with AlexisHR() as alexis, GraphServer() as graph:
        alexis.hire("e1", workEmail="ann@example.com", homeStreet="Storgatan 1", homeZip="111 22", homeCity="Malmö")
        alexis.hire("e2", workEmail="bob@example.com")
        environment = {"STAFF_TOKEN": alexis.token, "ENTRA_SECRET": SECRET}
        shell, path = Shell(tmp_path, **environment), tmp_path / "config.toml"
        init, *others = [command.replace("EMPLOYEE-ID", "e1") for command in typed("entra")]
        assert [command.split()[0] for command in (init, *others)] == ["init", "check", "test", "plan", "provision"]
        await type_it(shell, [init])
        places = {"graph": graph.url, "login": graph.origin, "alexis": alexis.url}
        fill(path, *((gap, filled.format_map(places)) for gap, filled in HR_GAPS))
        ran = await type_it(shell, others)
        assert "verified domains: example.com" in ran["test"].out
        assert "2 create" in ran["plan"].out + ran["plan"].err
        ann = graph.tenant.user("ann@example.com")
        assert (ann["accountEnabled"], len(graph.tenant.users)) == (True, 1)

        fields = zip(("streetAddress", "postalCode", "city", "country"), HOME, strict=True)
        fill(path, ("# [sources.staff.attributes]", "[sources.staff.attributes]"))
        for attribute, field in fields:
            fill(
                path,
                (f'# {attribute} = "…"', f'{attribute} = "{field}"'),
                (f'# {{ to = "{attribute}"', f'{{ to = "{attribute}"'),
            )
        assert (await shell("cycle", "entra")).code == 0
        assert (ann["streetAddress"], ann["postalCode"], ann["city"]) == ("Storgatan 1", "111 22", "Malmö")
        assert "country" not in ann

        fill(path, ("enabled = false", "enabled = true"))
        path.write_text(path.read_text("utf-8") + CONTROL, "utf-8")
        async with Daemon(tmp_path, **environment) as daemon:
            await daemon.event("cycle.finished", job="entra")
            shown = (await shell("status", "entra")).out
            assert "active" in shown, shown
            assert await daemon.stop() == 0
        del alexis.rows["employee"]["e2"]
        assert (await shell("cycle", "entra", "--full")).code == 0
        assert graph.tenant.user("bob@example.com")["accountEnabled"] is True, "who is gone is kept"


async def test_the_configuration_on_the_page_is_what_init_writes(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(\[sources.*?)```", (DOCS / "entra.md").read_text("utf-8"), re.DOTALL)
    for name in ("alexishr.token", "entra.secret"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "config.toml").write_text(shown, "utf-8")
    (tmp_path / "written.toml").write_text(
        (await Shell(tmp_path)("init", "--profile", "entra", "-o", "-")).out, "utf-8"
    )
    on_page = config.load(tmp_path / "config.toml").jobs["entra"]
    written = config.load(tmp_path / "written.toml").jobs["entra"]
    assert (on_page.users, on_page.deprovision, on_page.scope) == (written.users, written.deprovision, written.scope)
    assert on_page.interval_seconds == written.interval_seconds
