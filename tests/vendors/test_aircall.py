"""Aircall: every row of the guide, against a double that refuses what Aircall's API would refuse."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.runtime.cycle import run_cycle
from tests.commands.shell import Shell
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import done
from tests.cycles.entra import Tenant
from tests.daemon.process import Daemon
from tests.servers.aircall import Aircall
from tests.servers.graph import GraphServer
from tests.servers.slapd import BASE, READER, READER_PASSWORD, Slapd, group, person, running_slapd, user, why_no_slapd
from tests.vendors.app import DOCS, page
from tests.vendors.calls import ANN, BOB, CLEO, CONFIRM, ENGINEER, Office, emails, staffed


@pytest.fixture
async def aircall() -> AsyncIterator[Aircall]:
    async with Aircall() as running:
        yield running


@pytest.fixture
async def office(tmp_path: Path, aircall: Aircall) -> AsyncIterator[Office]:
    made = staffed(tmp_path, aircall)
    async with made.staying_open():
        yield made


@pytest.mark.row("A1")
async def test_the_sample_organisation_comes_and_goes_with_its_teams(office: Office, aircall: Aircall) -> None:
    office.users.clear()
    office.groups.clear()
    office.employ_everybody()
    office.job = (
        'scope = "assigned"\nassigned = [ { group = "Sales" }, { group = "Support" } ]\n'
        "creation_threshold = 1000\ndeletion_threshold = 1000\n"
    )
    office.teams = office.groups_table
    report = await office.cycle()
    assert report.exit_code == 0, report.failures
    assert len(aircall.users) == report.counts["create"] - 2 > 50
    assert aircall.members_of("Sales") | aircall.members_of("Support") == set(emails(aircall))
    assert sorted(aircall.invited) == emails(aircall)
    aircall.clear()
    assert (done(await office.cycle()), aircall.asked) == ({}, [])
    assert (done(await office.cycle(full=True)), aircall.sent) == ({}, [])
    sales = next(group for group in office.groups.values() if group["displayName"] == "Sales")
    leavers = sales["members"][:3]
    for id_ in leavers:
        office.users[id_]["accountEnabled"] = False
    assert done(await office.cycle())["delete"] == 3
    assert not {office.users[id_]["mail"] for id_ in leavers} & set(emails(aircall))


@pytest.mark.row("A2")
async def test_the_vendors_own_pages_are_linked(tmp_path: Path) -> None:
    assert "https://developer.aircall.io/api-references/" in (await Shell(tmp_path)("profiles", "aircall")).out
    assert "https://developer.aircall.io/api-references/" in page("aircall")


def test_the_page_says_what_is_needed_how_the_key_is_made_and_whom_to_ask() -> None:
    said = page("aircall")
    for words in (
        "somebody who is **Admin**",
        "A free licence for each person",
        "mails an invitation",
        "**Integrations & API**, tab **API Keys**",
        "**API ID**",
        "the token is shown once",
        "Whom to ask for more",
        "Aircall's support",
        "a deleted user is gone for good",
        CONFIRM,
    ):
        assert words in said, words


@pytest.mark.row("A3")
async def test_one_role_is_defined_once_and_used_by_two_jobs(tmp_path: Path, aircall: Aircall) -> None:
    office = staffed(tmp_path, aircall)
    office.users["cleo"]["jobTitle"] = "Chef"
    office.target_lines += "requests_per_second = 100\n"
    await office.cycle()
    assert emails(aircall) == [ANN, BOB]
    async with Aircall(token=aircall.token) as other:
        path = office.write()
        target, _, job = path.read_text("utf-8").partition("[targets.app]")[2].partition("[jobs.app]")
        job, _, roles = job.partition("[roles.")
        second = f"[targets.second]{target.replace(aircall.url, other.url)}[jobs.second]{job}"
        second = second.replace('target = "app"', 'target = "second"').replace("[jobs.app.", "[jobs.second.")
        both = f"{path.read_text('utf-8')}\n{second}".replace("state.db", "another.db")
        path.write_text(both, "utf-8")
        assert path.read_text("utf-8").count("[roles.") == 1, roles
        async with wiring.open_house(config.load(path), write=True) as house, house.world("second") as world:
            assert (await run_cycle(house.plan("second"), world, full=False)).exit_code == 0
        assert emails(other) == [ANN, BOB]


@pytest.mark.row("A4")
async def test_conditions_nest_and_the_log_says_which_clause_failed(office: Office, aircall: Aircall) -> None:
    office.users["bob"] |= {"jobTitle": "Lead", "department": "Sales"}
    office.users["cleo"] |= {"jobTitle": "Lead", "department": "Support"}
    office.roles["engineer"] = (
        f'{{ any = [ {ENGINEER}, {{ all = [ {{ attribute = "jobTitle", operator = "EQUALS", value = "Lead" }}, '
        '{ not = { attribute = "department", operator = "EQUALS", value = "Support" } } ] } ] }'
    )
    await office.cycle()
    assert emails(aircall) == [ANN, BOB]
    (skipped,) = await office.log(user="cleo")
    assert "has no role: role engineer: " in str(skipped)
    assert "department EQUALS Support" in str(skipped)


@pytest.mark.row("A5")
@pytest.mark.parametrize("named", ["Callers", "g1"])
@pytest.mark.parametrize(("nested", "expected"), [("false", [ANN]), ("true", [ANN, BOB])])
async def test_members_of_a_group_have_the_role_directly_or_through_groups_in_it(
    nested: str, expected: list[str], named: str, office: Office, aircall: Aircall
) -> None:
    office.groups.clear()
    office.group("g1", ["ann", "g2"], "Callers")
    office.group("g2", ["bob"], "Callers in Spain")
    office.roles["engineer"] = f'{{ member_of = "{named}", nested = {nested} }}'
    await office.cycle()
    assert emails(aircall) == expected


@pytest.mark.row("A6")
async def test_the_pages_example_gives_an_account_to_developers_who_are_managers(
    tmp_path: Path, aircall: Aircall
) -> None:
    office = staffed(tmp_path, aircall)
    (written,) = re.findall(r"```toml\n(\[sources.*?)```", (DOCS / "aircall.md").read_text("utf-8"), re.S)
    office.users["ann"] |= {"department": "Developer", "jobTitle": "Manager"}
    office.users["bob"] |= {"department": "Developer", "jobTitle": "Engineer"}
    office.users["cleo"] |= {"department": "Sales", "jobTitle": "Manager"}
    path = office.write()
    example = written.replace('profile = "aircall"', f'profile = "aircall"\nurl = "{aircall.url}"')
    path.write_text(example, "utf-8")
    shell = Shell(office.directory)
    assert (await shell("check")).code == 0
    assert (await shell("cycle", "aircall")).code == 0
    assert emails(aircall) == [ANN]


@pytest.mark.row("A7")
@pytest.mark.parametrize(("choice", "ann"), [("first", ["supervisor"]), ("all", ["supervisor", "agent"])])
async def test_of_several_roles_the_first_counts_or_all_and_the_app_has_words_of_its_own(
    choice: str, ann: list[str], office: Office, aircall: Aircall
) -> None:
    office.users["ann"]["department"] = "Leads"
    office.roles = {"lead": '{ attribute = "department", operator = "EQUALS", value = "Leads" }', "engineer": ENGINEER}
    office.job = (
        f'scope = "roles"\nroles = ["lead", "engineer"]\nrole_choice = "{choice}"\n'
        'role_values = { lead = "supervisor", engineer = "agent" }'
    )
    office.attributes += '\n{ to = "role_ids", from = "roles" },'
    await office.cycle()
    assert aircall.roles[aircall.id_of(ANN)] == ann
    assert aircall.roles[aircall.id_of(BOB)] == ["agent"]
    aircall.clear()
    assert (done(await office.cycle(full=True)), aircall.sent) == ({}, [])
    office.users["bob"]["department"] = "Leads"
    await office.cycle()
    assert aircall.roles[aircall.id_of(BOB)][0] == "supervisor"


async def test_a_role_that_aircall_does_not_have_is_refused_before_it_is_sent(office: Office) -> None:
    office.attributes += '\n{ to = "role_ids", constant = ["boss"] },'
    office.write()
    assert "does not take this value (known: agent, supervisor, admin)" in (await Shell(office.directory)("check")).err
    office.attributes = office.attributes.replace('constant = ["boss"]', 'from = "roles"')
    office.job += '\nrole_values = { enginer = "agent" }'
    office.write()
    ran = await Shell(office.directory)("check")
    assert "the job gives no such role (did you mean 'engineer'?)" in ran.err


@pytest.mark.row("A8")
async def test_only_who_has_a_role_is_provisioned(office: Office, aircall: Aircall) -> None:
    office.users["bob"]["jobTitle"] = "Chef"
    assert done(await office.cycle()) == {"create": 2}
    assert emails(aircall) == [ANN, CLEO]


@pytest.mark.row("A9")
async def test_who_loses_the_role_is_deprovisioned_with_that_reason(office: Office, aircall: Aircall) -> None:
    await office.cycle()
    office.users["bob"]["jobTitle"] = "Chef"
    assert done(await office.cycle()) == {"delete": 1}
    assert emails(aircall) == [ANN, CLEO]
    *_, last = await office.log(user="bob")
    assert (last["action"], last["status"]) == ("delete", "success")
    assert "has no role: role engineer: jobTitle EQUALS Engineer" in str(last)


@pytest.mark.row("A10")
async def test_a_change_of_role_deprovisions_nobody_where_that_is_wished_and_status_counts_whom_it_keeps(
    office: Office, aircall: Aircall
) -> None:
    office.leavers["role_lost"] = "keep"
    await office.cycle()
    office.users["bob"] |= {"jobTitle": "Chef", "givenName": "Robert"}
    office.users["cleo"]["jobTitle"] = "Chef"
    aircall.clear()
    assert (done(await office.cycle()), aircall.sent) == ({}, [])
    assert "accounts of leavers that are kept: 2 (role_lost 2)" in await office.status()
    assert "the account is kept by the rules" in str(await office.log(user="bob"))
    links = (await Shell(office.directory)("links", "app")).out
    assert links.count("role_lost") == 2
    office.users["bob"]["accountEnabled"] = False
    del office.users["cleo"]
    assert done(await office.cycle()) == {"delete": 2}
    assert emails(aircall) == [ANN]
    assert "kept" not in await office.status()


async def test_the_daemon_tells_of_accounts_that_are_kept(tmp_path: Path, aircall: Aircall) -> None:
    office = staffed(tmp_path, aircall)
    office.leavers["role_lost"] = "keep"
    office.source_lines = '\n[control]\nsocket = "control.sock"\n'
    office.target_lines += "requests_per_second = 100\n"
    await office.cycle()
    office.users["bob"]["jobTitle"] = "Chef"
    office.write()
    aircall.keep_time(None)
    async with Daemon(office.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        shell = Shell(office.directory)
        assert (await shell("status", "app", "--json")).json()["jobs"][0]["kept"] == {
            "count": 1,
            "because": {"role_lost": 1},
        }
        assert "accounts of leavers that are kept: 1 (role_lost 1)" in (await shell("status")).out
        assert await daemon.stop() == 0


@pytest.mark.row("A11")
async def test_everybody_is_processed_and_a_filter_still_chooses(office: Office, aircall: Aircall) -> None:
    office.job = 'scope = "all"'
    office.users["bob"]["jobTitle"] = "Chef"
    await office.cycle()
    assert emails(aircall) == [ANN, BOB, CLEO]
    office.more = f"filter = {ENGINEER}"
    assert done(await office.cycle()) == {"delete": 1}
    assert emails(aircall) == [ANN, CLEO]


@pytest.mark.row("A12")
@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (["create"], {"create": 1}),
        (["update"], {"update": 1}),
        (["delete"], {"delete": 1}),
        (["create", "update"], {"create": 1, "update": 1}),
        (["create", "update", "delete"], {"create": 1, "update": 1, "delete": 1}),
    ],
)
async def test_provisioning_deprovisioning_or_both(
    actions: list[str], expected: dict[str, int], office: Office, aircall: Aircall
) -> None:
    await office.cycle()
    office.employ("dan")
    office.users["ann"]["givenName"] = "Anna"
    office.users["bob"]["jobTitle"] = "Chef"
    office.more = f"actions = {actions}"
    assert done(await office.cycle()) == expected


@pytest.mark.row("A13")
async def test_a_named_list_is_provisioned_on_demand_and_a_dry_run_changes_nothing(
    office: Office, aircall: Aircall
) -> None:
    assert (await office.provision(ANN, BOB, dry_run=True)).exit_code == 0
    assert (aircall.users, aircall.sent) == ({}, [])
    assert (await office.provision(ANN, BOB)).exit_code == 0
    assert emails(aircall) == [ANN, BOB]
    assert done(await office.cycle()) == {"create": 1}


@pytest.mark.row("A14")
async def test_users_are_created_updated_and_reactivated_with_a_new_account(office: Office, aircall: Aircall) -> None:
    assert done(await office.cycle()) == {"create": 3}
    office.users["ann"]["givenName"] = "Anna"
    assert done(await office.cycle()) == {"update": 1}
    assert aircall.user(ANN)["name"] == "Anna Example"
    before = aircall.id_of(BOB)
    office.users["bob"]["accountEnabled"] = False
    assert done(await office.cycle()) == {"delete": 1}
    office.users["bob"]["accountEnabled"] = True
    assert done(await office.cycle()) == {"create": 1}
    assert aircall.id_of(BOB) != before
    office.users["bob"]["givenName"] = "Robert"
    assert done(await office.cycle()) == {"update": 1}
    assert aircall.sent[-1][:2] == ("PUT", f"/v2/users/{aircall.id_of(BOB)}")


@pytest.mark.row("A14")
async def test_whom_somebody_invited_again_by_hand_is_found_by_e_mail_and_taken_over(
    office: Office, aircall: Aircall
) -> None:
    await office.cycle()
    office.users["bob"]["accountEnabled"] = False
    await office.cycle()
    by_hand = aircall.put("Bob@Example.com", "Bobby", "Tables")
    office.users["bob"]["accountEnabled"] = True
    assert done(await office.cycle()) == {"adopt": 1}
    assert aircall.users[by_hand]["name"] == "Bob Example"
    assert len(aircall.users) == 3


async def test_whom_somebody_deleted_by_hand_is_noticed_and_created_anew(office: Office, aircall: Aircall) -> None:
    await office.cycle()
    before = aircall.id_of(BOB)
    del aircall.users[before]
    office.clock.turn(HOUR)  # what was made a moment ago would be believed to be there
    assert done(await office.cycle(full=True)) == {"create": 1}
    assert aircall.id_of(BOB) != before


@pytest.mark.row("A15")
async def test_nobody_is_deleted_before_somebody_has_said_that_it_cannot_be_undone(
    office: Office, aircall: Aircall
) -> None:
    await office.cycle()
    office.users["bob"]["accountEnabled"] = False
    office.confirm = ""
    office.write()
    ran = await Shell(office.directory)("check")
    assert ran.code == 2
    assert "[jobs.app.deprovision] confirm_delete: is missing: nobody is deleted without it" in ran.err
    assert f'confirm_delete = "{CONFIRM}"' in ran.err
    office.confirm = 'confirm_delete = "yes"'
    office.write()
    assert "is not what the profile wants to be repeated" in (await Shell(office.directory)("check")).err
    office.confirm = ""
    office.job += "\nenabled = false"
    assert done(await office.cycle()) == {}
    assert emails(aircall) == [ANN, BOB, CLEO]
    office.confirm = f'confirm_delete = "{CONFIRM}"'
    assert done(await office.cycle()) == {"delete": 1}
    assert (emails(aircall), len(aircall.deleted)) == ([ANN, CLEO], 1)


@pytest.mark.row("A15")
async def test_too_many_deletes_wait_for_a_persons_word(office: Office, aircall: Aircall) -> None:
    office.job += "\ndeletion_threshold = 1"
    await office.cycle()
    for row in office.users.values():
        row["jobTitle"] = "Chef"
    report = await office.cycle()
    assert (report.counts["held"], report.exit_code, len(aircall.users)) == (3, 3, 3)
    assert await office.approve() == 3
    assert done(await office.cycle())["delete"] == 3
    assert aircall.users == {}


@pytest.mark.row("A15")
async def test_a_delete_can_wait_and_who_comes_back_meanwhile_has_never_left(office: Office, aircall: Aircall) -> None:
    office.confirm += '\ndisable_after = "7d"'
    await office.cycle()
    office.users["bob"]["accountEnabled"] = False
    office.users["cleo"]["accountEnabled"] = False
    assert done(await office.cycle()) == {}
    office.clock.turn(3 * DAY)
    office.users["cleo"]["accountEnabled"] = True
    assert done(await office.cycle()) == {}
    office.clock.turn(4 * DAY)
    assert done(await office.cycle()) == {"delete": 1}
    assert emails(aircall) == [ANN, CLEO]


@pytest.mark.row("A16")
async def test_every_lifecycle_operation_is_in_one_section_and_shown_by_the_plan(
    office: Office, aircall: Aircall
) -> None:
    written = (await Shell(office.directory)("init", "--profile", "aircall", "-o", "-")).out
    section = tomllib.loads(written)["jobs"]["aircall"]["deprovision"]
    assert set(section) >= {"gone", "inactive", "role_lost", "out_of_scope", "disable_after"}
    assert f'# confirm_delete = "{CONFIRM}"' in written
    await office.cycle()
    office.employ("dan")
    office.users["ann"]["givenName"] = "Anna"
    office.users["bob"]["accountEnabled"] = False
    aircall.clear()
    _, planned = await office.plan()
    assert sorted(planned) == [("create", "dan", ""), ("delete", "bob", ""), ("update", "ann", "")]
    assert aircall.sent == []


@pytest.mark.row("A17")
async def test_attributes_are_selected_and_what_is_not_mapped_is_never_touched(
    office: Office, aircall: Aircall
) -> None:
    shown = (await Shell(office.directory)("profiles", "aircall")).out
    for attribute in ("email", "first_name", "last_name", "time_zone", "language", "wrap_up_time", "role_ids"):
        assert attribute in shown
    number = aircall.put(ANN, "Ann", "Example", time_zone="Europe/Paris", wrap_up_time=30)
    await office.cycle()
    assert (aircall.users[number]["time_zone"], aircall.users[number]["wrap_up_time"]) == ("Europe/Paris", 30)
    office.attributes += '\n{ to = "wrap_up_time", constant = 15 },'
    assert done(await office.cycle()) == {"update": 3}
    assert (aircall.users[number]["time_zone"], aircall.users[number]["wrap_up_time"]) == ("Europe/Paris", 15)
    assert {frozenset(body) for method, _, body in aircall.sent if method == "PUT"} >= {frozenset({"wrap_up_time"})}


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    people = [user(one, givenName=one.capitalize()) for one in ("ann", "bob", "cleo")]
    with running_slapd(tmp_path, [*people, group("callers", [person("ann"), person("bob")])]) as running:
        yield running


def directory_source(folder: Path, slapd: Slapd) -> str:
    """Return the table of a source that reads the directory."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(READER_PASSWORD)
    return f"""
type = "ldap"
url = "{slapd.tls_url}"
ca_file = "{slapd.ca_file}"
bind = {{ type = "simple", dn = "{READER}", password = {{ file = "password" }} }}
base = "{BASE}"
active = {{ from = "employeeType", is = ["active"] }}
"""


@pytest.mark.row("A18")
@pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")
async def test_people_come_from_a_directory_by_attribute_and_group(
    office: Office, aircall: Aircall, slapd: Slapd
) -> None:
    office.source = directory_source(office.directory, slapd)
    office.roles["engineer"] = (
        '{ all = [ { attribute = "title", operator = "EQUALS", value = "Engineer" }, { member_of = "callers" } ] }'
    )
    office.attributes = office.attributes.replace('"surname"', '"sn"')
    report = await office.cycle()
    assert report.exit_code == 0, report.failures
    assert emails(aircall) == ["ann@example.test", "bob@example.test"]
    assert aircall.user("ann@example.test")["name"] == "Ann Ann"


@pytest.mark.row("A18")
async def test_people_come_from_entra_by_attribute_and_group(office: Office, aircall: Aircall) -> None:
    async with GraphServer() as graph:
        entra = Tenant(office.directory, graph, aircall)
        for who in ("ann", "bob", "cleo"):
            await entra.hire(who)
            graph.tenant.users[entra.ids[who]].update(
                {
                    "jobTitle": "Engineer",
                    "givenName": who.capitalize(),
                    "surname": "Example",
                    "mail": f"{who}@example.com",
                }
            )
        await entra.found("callers", "ann", "bob")
        office.source = entra.company.source
        office.roles["engineer"] = f'{{ all = [ {ENGINEER}, {{ member_of = "callers" }} ] }}'
        report = await office.cycle()
        assert report.exit_code == 0, report.failures
        assert emails(aircall) == [ANN, BOB]
        await entra.quit("callers", "bob")
        assert done(await office.cycle()) == {"delete": 1}
        assert emails(aircall) == [ANN]


@pytest.mark.row("A18")
@pytest.mark.skipif(why_no_slapd() is not None, reason=why_no_slapd() or "")
async def test_people_of_a_hybrid_come_from_the_directory_and_from_entra_joined(
    office: Office, aircall: Aircall, slapd: Slapd
) -> None:
    async with GraphServer() as graph:
        entra = Tenant(office.directory, graph, aircall)
        for who in ("ann", "bob"):
            await entra.hire(who, text="Lead" if who == "ann" else "Chef")
            graph.tenant.users[entra.ids[who]].update({"mail": f"{who}@example.test", "surname": f"{who} of Entra"})
        office.source = """
type = "joined"
of = ["ad", "entra"]
key = { ad = "mail", entra = "mail" }
[sources.staff.attributes]
jobTitle = ["entra"]
surname = ["entra", "ad.sn"]
"""
        office.parts = f"[sources.ad]{directory_source(office.directory, slapd)}[sources.entra]{entra.company.source}"
        office.roles["engineer"] = (
            '{ any = [ { attribute = "jobTitle", operator = "EQUALS", value = "Lead" }, '
            '{ all = [ { member_of = "callers" }, { attribute = "title", operator = "EQUALS", value = "Boss" } ] } ] }'
        )
        report = await office.cycle()
        assert report.exit_code == 0, (report.failures, report.problems)
        assert emails(aircall) == ["ann@example.test"]
        assert aircall.user("ann@example.test")["name"] == "Ann ann of Entra"
        await entra.change("bob", text="Lead")
        assert done(await office.cycle()) == {"create": 1}
        await entra.change("ann", text="Chef")
        assert done(await office.cycle()) == {"delete": 1}
        assert emails(aircall) == ["bob@example.test"]


@pytest.mark.row("A19")
async def test_values_are_transformed_with_excel_style_functions(office: Office, aircall: Aircall) -> None:
    office.users["ann"] |= {"givenName": "  anna maria ", "surname": "o'neill", "city": "Köln"}
    office.attributes = """
  { to = "email", expression = '=LOWER([mail])', match = 1 },
  { to = "first_name", expression = '=PROPER(TRIM([givenName]))' },
  { to = "last_name", expression = '=UPPER([surname]) & " (" & LEFT([department], 3) & ")"' },
  { to = "time_zone", expression = '=IF([city]="Köln", "Europe/Berlin", "Etc/UTC")' },
"""
    office.users["bob"]["city"] = office.users["cleo"]["city"] = "London"
    report = await office.cycle()
    assert report.exit_code == 0, report.failures
    ann = aircall.user(ANN)
    assert (ann["name"], ann["time_zone"]) == ("Anna Maria O'NEILL (Dev)", "Europe/Berlin")
    assert "Excel Style functions" in page("aircall")
