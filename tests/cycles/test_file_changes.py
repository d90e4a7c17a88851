"""Files that change as the source of whole cycles: applied once, put away when the cycle is safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cycles import pages
from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.scim import ScimServer

HEADER = "operation;kind;id;userPrincipalName;displayName;jobTitle;accountEnabled;members\n"
TABLE = """
type = "file"
changes = "inbox/*.csv"
archive = "done"
active = "accountEnabled"
allow_empty = ["groups"]
"""


def row(id_: str, title: str = "Engineer", enabled: str = "true") -> str:
    return f"upsert;user;{id_};{id_}@example.com;{id_.capitalize()};{title};{enabled};\n"


def gone(id_: str, kind: str = "user") -> str:
    return f"delete;{kind};{id_};;;;;\n"


class Inbox:
    """The directory that the HR system drops its files into."""

    def __init__(self, directory: Path) -> None:
        self.at, self.done = directory / "inbox", directory / "done"
        self.at.mkdir()

    def drop(self, name: str, *rows: str, unfinished: bool = False) -> None:
        text = HEADER + "".join(rows)
        (self.at / name).write_text(text[:-1] if unfinished else text, "utf-8")

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.at.iterdir())

    @property
    def put_away(self) -> list[str]:
        return sorted(path.name for path in self.done.iterdir()) if self.done.exists() else []


@pytest.fixture
def inbox(company: Company) -> Inbox:
    company.source = TABLE
    return Inbox(company.directory)


async def test_a_month_of_files(company: Company, server: ScimServer, inbox: Inbox) -> None:
    inbox.drop("1.csv", *(row(f"p{n}") for n in range(12)))
    first = await company.cycle(write=False)
    assert (first.problems, first.users_read, done(first)) == ([], 12, {"create": 12})
    assert (inbox.names, inbox.put_away) == ([], ["1.csv"])

    quiet = await company.cycle(write=False)
    assert (quiet.users_read, done(quiet), sum(quiet.requests.values())) == (0, {}, 0)

    inbox.drop("2.csv", row("p3", "Lead"), row("p4", enabled="false"), gone("p5"), row("new"))
    second = await company.cycle(write=False)
    assert (second.users_read, done(second)) == (4, {"create": 1, "update": 1, "disable": 2})
    assert server.user("p5@example.com")["active"] is False
    assert inbox.put_away == ["1.csv", "2.csv"]

    full = await company.cycle(write=False, full=True)
    assert (full.problems, full.users_read, done(full)) == ([], 13, {}), "twelve, and the one who is gone"
    inbox.drop("3.csv", row("p5", "Back"))
    back = await company.cycle(write=False)
    assert done(back) == {"enable": 1} or done(back) == {"update": 1, "enable": 1}
    assert server.user("p5@example.com")["active"] is True


async def test_groups_come_and_go_by_files(company: Company, server: ScimServer, inbox: Inbox) -> None:
    company.tables = GROUPS + "hold_deletes = false\n[jobs.app.deprovision]\ngone = 'delete'\n"
    inbox.drop("1.csv", row("ann"), row("bob"), "upsert;group;crew;;Crew;;;ann;bob\n".replace("ann;bob", '"ann;bob"'))
    first = await company.cycle(write=False)
    assert (first.problems, done(first)) == ([], {"create": 3, "members_added": 2})
    inbox.drop("2.csv", "upsert;group;crew;;Crew;;;bob\n")
    assert done(await company.cycle(write=False)) == {"members_removed": 1}
    inbox.drop("3.csv", gone("crew", "group"))
    assert done(await company.cycle(write=False)) == {"delete": 1}
    assert not server.groups


async def test_a_half_written_file_holds_up_the_line_and_takes_nobody_away(
    company: Company, server: ScimServer, inbox: Inbox
) -> None:
    inbox.drop("1.csv", row("ann"), row("bob"))
    await company.cycle(write=False)
    inbox.drop("2.csv", gone("ann"), gone("bob"), unfinished=True)
    inbox.drop("3.csv", row("cleo"))
    report = await company.cycle(write=False)
    assert (report.state, done(report)) == ("incomplete", {})
    assert "2.csv: has a last line without an end: it is not finished" in report.problems[0]
    assert inbox.names == ["2.csv", "3.csv"]
    inbox.drop("2.csv", gone("ann"))
    assert done(await company.cycle(write=False)) == {"create": 1, "disable": 1}
    assert (inbox.names, inbox.put_away) == ([], ["1.csv", "2.csv", "3.csv"])


async def test_a_file_that_comes_late_is_told_and_the_job_goes_on(company: Company, inbox: Inbox) -> None:
    inbox.drop("1.csv", row("ann"), row("bob"))
    inbox.drop("3.csv", gone("bob"))
    await company.cycle(write=False)
    inbox.drop("2.csv", row("bob", "Lead"))
    late = await company.cycle(write=False)
    assert (late.state, late.complete, late.exit_code) == ("active", True, 0)
    assert [problem.partition(":")[0] for problem in late.problems] == ["source staff"]
    assert "2.csv came late" in late.problems[0]
    assert (await company.cycle(write=False)).problems == []


async def test_a_file_stays_until_its_cycle_is_committed(company: Company, server: ScimServer, inbox: Inbox) -> None:
    inbox.drop("1.csv", row("ann"))
    server.script.on("*", "/", then=Unauthorized(), times=FOR_EVER)
    assert (await company.cycle(write=False)).state == "unreachable"
    assert inbox.names == ["1.csv"]
    server.script.clear()
    _, planned = await company.plan()
    assert [operation for operation, *_ in planned] == ["create"]
    assert inbox.names == ["1.csv"], "a plan moves nothing"
    assert done(await company.cycle(write=False)) == {"create": 1}
    assert inbox.put_away == ["1.csv"]


async def test_an_archive_that_cannot_be_written_is_a_problem_and_no_harm(company: Company, inbox: Inbox) -> None:
    inbox.done.write_text("a file in the way")
    inbox.drop("1.csv", row("ann"))
    first = await company.cycle(write=False)
    assert done(first) == {"create": 1}
    assert "1.csv could not be moved to" in first.problems[0]
    inbox.done.unlink()
    second = await company.cycle(write=False)
    assert (second.problems, done(second), inbox.put_away) == ([], {}, ["1.csv"])


async def test_who_failed_is_tried_again_although_the_file_is_put_away(
    company: Company, server: ScimServer, inbox: Inbox
) -> None:
    inbox.drop("1.csv", row("ann"), row("bob"))
    server.script.on("POST", "/Users", then=Status(400), body="bob@")
    assert done(await company.cycle(write=False)) == {"create": 1, "failure": 1}
    company.clock.turn(DAY)
    assert done(await company.cycle(write=False)) == {"create": 1}


async def test_a_snapshot_from_time_to_time_and_changes_between(
    company: Company, server: ScimServer, inbox: Inbox
) -> None:
    company.source = TABLE + 'users = "full/users-*.csv"\ndelimiter = ";"\nencoding = "cp1252"\n'
    full = company.directory / "full"
    full.mkdir()

    def export(name: str, *ids: str) -> None:
        lines = (f"{id_};{id_}@example.com;Åsa {id_};Engineer;true\n" for id_ in ids)
        header = "id;userPrincipalName;displayName;jobTitle;accountEnabled\n"
        (full / name).write_text(header + "".join(lines), "cp1252")

    export("users-9.csv", "ann", "bob", "cleo")
    first = await company.cycle(write=False)
    assert (first.problems, done(first)) == ([], {"create": 3})
    assert server.user("ann@example.com")["displayName"] == "Åsa ann"
    inbox.drop("1.csv", row("dan"), gone("ann"))
    assert done(await company.cycle(write=False)) == {"create": 1, "disable": 1}
    export("users-10.csv", "bob", "dan")
    report = await company.cycle(write=False)
    assert (report.problems, done(report)) == ([], {"update": 1, "disable": 1})
    assert server.user("cleo@example.com")["active"] is False
    assert inbox.put_away == ["1.csv", "users-9.csv"]
    assert [path.name for path in full.iterdir()] == ["users-10.csv"]
    (full / "users-11.csv").write_bytes((full / "users-10.csv").read_bytes()[:-20])
    report = await company.cycle(write=False)
    assert (report.state, done(report)) == ("incomplete", {})
    assert (full / "users-10.csv").exists(), "what replaced it was not read well"


@pytest.mark.parametrize("number", [0, 1])
async def test_the_configurations_of_the_page_are_ones_that_run(
    tmp_path: Path, server: ScimServer, number: int
) -> None:
    page = (pages.SOURCES / "file.md").read_text("utf-8")
    people = '{"id": "e-7", "userPrincipalName": "ann@example.com", "displayName": "Ann", "accountEnabled": true}\n'
    (tmp_path / "users.jsonl").write_text(people)
    (tmp_path / "groups.jsonl").write_text('{"id": "g", "displayName": "G", "members": []}\n')
    for name in ("inbox", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "users-1.csv").write_text("id;userPrincipalName;displayName\ne-9;bob@example.com;Bob\n")
    example = page.split("```\noperation", 1)[1].split("```", 1)[0]
    (tmp_path / "inbox" / "1.csv").write_text(f"operation{example}", "cp1252")
    report = await pages.first_cycle(
        tmp_path, pages.shown("file")[number], {pages.PHONE: server.url}, {"phone-token": server.token}
    )
    assert done(report) == {"create": 1}
    assert server.user("ann@example.com")["displayName"] == ("Ann" if number == 0 else "Ann Ångström")


async def test_whom_a_cycle_could_match_only_at_its_very_end_is_off_in_the_next(
    company: Company, server: ScimServer, inbox: Inbox
) -> None:
    company.attributes = company.attributes.replace('from = "id"', 'from = "id", match = 2')
    inbox.drop("1.csv", row("ann"))
    await company.cycle(write=False)
    old = server.put("user", userName="kim.old@example.com", externalId="k2", active=True)
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER)
    inbox.drop("2.csv", row("k1").replace("k1@", "kim@"), row("k2", enabled="false").replace("k2@", "kim@"))
    assert done(await company.cycle(write=False)) == {"failure": 1}
    assert inbox.put_away == ["1.csv", "2.csv"], "no file says it again"
    assert done(await company.cycle(write=False)) == {"disable": 1, "failure": 1}
    assert server.users[old]["active"] is False
