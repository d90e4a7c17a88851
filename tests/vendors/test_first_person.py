"""Each vendor's page, followed to the letter: what it says to type is typed, and a first person is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import orjson
import pytest

from reconciler import cli, config
from tests.commands.shell import Ran, Shell
from tests.daemon.process import Daemon
from tests.servers.acall import Acall
from tests.servers.aircall import Aircall
from tests.servers.alexishr import HOME, AlexisHR
from tests.servers.dialpad import Dialpad
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer
from tests.servers.scim import ScimServer
from tests.servers.sightcall import SightCall
from tests.vendors.app import DOCS

PAGES = ("aircall", "dialpad", "acall", "sightcall", "entra")


def said(vendor: str) -> list[str]:
    """Return what the page says to type, word for word, in order, each command once."""
    page = (DOCS / f"{vendor}.md").read_text("utf-8")
    found = re.findall(r"(?:^|`)reconciler ([a-z][^`\n#|]*)", page, re.MULTILINE)
    return list(dict.fromkeys(" ".join(each.split()) for each in found))


def typed(vendor: str) -> list[str]:
    """Return what is typed up to a first person; what is said by the way names no job."""
    order = ["init", "check", "test", "plan", "provision"]
    first = [command for command in said(vendor) if command.split()[0] in order]
    first = [command for command in first if command == "check" or f" {vendor}" in command]
    assert list(dict.fromkeys(command.split()[0] for command in first)) == order
    return first


def fill(path: Path, *gaps: tuple[str, str]) -> None:
    """Do what an editor does: every gap is there, and is filled in."""
    text = path.read_text("utf-8")
    for gap, filled in gaps:
        assert gap in text, gap
        text = text.replace(gap, filled)
    path.write_text(text, "utf-8")


def write_people(directory: Path, vendor: str, *more: str) -> str:
    """Write the two files that the page shows, and more people like hers; return the page's own person."""
    shown = re.findall(r"^\{\"id\".*$", (DOCS / f"{vendor}.md").read_text("utf-8"), re.MULTILINE)
    person, group = (orjson.loads(line) for line in shown)
    others = [
        {**person, "id": id_, "userPrincipalName": f"{id_}@example.com", "mail": f"{id_}@example.com"} for id_ in more
    ]
    group["members"] += more
    for name, rows in (("users", [person, *others]), ("groups", [group])):
        (directory / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(person["mail"])


async def type_it(shell: Shell, commands: list[str]) -> dict[str, Ran]:
    """Run the commands one after the other; each must go well."""
    ran = {}
    for command in commands:
        ran[command.split()[0]] = done = await shell(*shlex.split(command))
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
        await type_it(shell, [init])
        first = write_people(tmp_path, vendor, "yves", "zoe")
        fill(path, (address, server.url))
        ran = await type_it(shell, others)
        assert "3 create" in ran["plan"].out + ran["plan"].err
        assert others[-1].split()[-1] == first
        assert [user["userName"] for user in server.users.values()] == [first]
        fill(path, ("enabled = false", "enabled = true"))
        async with Daemon(tmp_path, **environment) as daemon:
            await daemon.event("cycle.finished", job=vendor)
            assert len(server.users) == 3
            assert await daemon.stop() == 0


@pytest.mark.row("A13")
async def test_who_follows_the_page_has_a_list_of_people_in_aircall(tmp_path: Path) -> None:
    async with Aircall() as aircall:
        environment = {"AIRCALL_TOKEN": aircall.token}
        shell, path = Shell(tmp_path, **environment), tmp_path / "config.toml"
        assert "`export AIRCALL_TOKEN=…`" in (DOCS / "aircall.md").read_text("utf-8")
        init, *others, rehearsed, provisioned = typed("aircall")
        await type_it(shell, [init])
        write_people(tmp_path, "aircall", "bob", "zoe")
        fill(
            path, ('"https://api.aircall.io"', f'"{aircall.url}"'), ('username = "…"', f'username = "{aircall.api_id}"')
        )
        fill(path, ('profile = "aircall"', 'profile = "aircall"\nrequests_per_second = 100'))
        ran = await type_it(shell, [*others, rehearsed])
        assert "3 create" in ran["plan"].out + ran["plan"].err
        assert (rehearsed.split()[-1], aircall.users) == ("--dry-run", {})
        await type_it(shell, [provisioned])
        assert aircall.invited == provisioned.split()[-2:] == ["ann@example.com", "bob@example.com"]
        fill(path, ("enabled = false", "enabled = true"), ("# confirm_delete", "confirm_delete"))
        async with Daemon(tmp_path, **environment) as daemon:
            await daemon.event("cycle.finished", job="aircall")
            assert sorted(aircall.invited) == ["ann@example.com", "bob@example.com", "zoe@example.com"]
            assert "active" in (await shell("status", "aircall")).out
            assert await daemon.stop() == 0


@pytest.mark.parametrize("vendor", PAGES)
def test_every_command_on_a_page_is_one(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for named in ("TABLE.csv", "config.toml"):
        Path(named).touch()
    group = cli.cli
    for words in said(vendor):
        name, *arguments = shlex.split(words)
        command = group.get_command(click.Context(group), name)
        assert command is not None, words
        if arguments or not any(one.required for one in command.params):  # otherwise it is only spoken of
            with command.make_context(name, arguments):
                pass


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
        async with Daemon(tmp_path, **environment) as daemon:
            await daemon.event("cycle.finished", job="entra")
            shown = (await shell("status", "entra")).out
            assert "active" in shown, shown
            assert await daemon.stop() == 0
        del alexis.rows["employee"]["e2"]
        assert (await shell("cycle", "entra", "--full")).code == 0
        assert graph.tenant.user("bob@example.com")["accountEnabled"] is True, "who is gone is kept"


@pytest.mark.parametrize("vendor", ["aircall", "entra"])
async def test_the_configuration_on_the_page_is_what_init_writes(vendor: str, tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(\[sources.*?)```", (DOCS / f"{vendor}.md").read_text("utf-8"), re.DOTALL)
    for name in ("token", "alexishr.token", "entra.secret"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "config.toml").write_text(shown, "utf-8")
    written = (await Shell(tmp_path)("init", "--profile", vendor, "-o", "-")).out
    (tmp_path / "written.toml").write_text(written.replace("# confirm_delete", "confirm_delete"), "utf-8")
    on_page = config.load(tmp_path / "config.toml").jobs[vendor]
    first = config.load(tmp_path / "written.toml").jobs[vendor]
    assert replace(on_page, enabled=False, require_test=True) == first
