"""Dialpad: every row of its tutorial, against a server that refuses what Dialpad would refuse."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler import config
from reconciler.core.notices import NoticeKind
from tests.commands.shell import Hanging, Shell
from tests.cycles.company import done
from tests.daemon.process import DEADLINE_SECONDS, Daemon
from tests.notify.conftest import mail_table
from tests.notify.post_office import open_office
from tests.servers.dialpad import Dialpad, Tenant
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.vendors.app import App, page

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CREW = 'scope = "assigned"\nassigned = [ { group = "Crew" } ]'
ANN = "ann@example.com"


@pytest.fixture
async def dialpad() -> AsyncIterator[Dialpad]:
    async with Dialpad() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, dialpad: Dialpad) -> App:
    """Ann, Bob and Cleo; Ann and Bob are in Crew, which is assigned."""
    made = App(tmp_path, dialpad, "dialpad")
    made.employ("ann", "bob", "cleo")
    made.group("g1", ["ann", "bob"], "Crew")
    made.job = CREW
    return made


@pytest.mark.row("E1")
async def test_users_and_groups_come_and_go_and_each_can_be_switched_off(app: App, dialpad: Dialpad) -> None:
    assert done(await app.cycle()) == {"create": 2}
    assert dialpad.groups == {}
    app.tables = app.groups_table
    assert done(await app.cycle()) == {"create": 1, "members_added": 2}
    assert dialpad.members("Crew") == set(dialpad.users)
    app.groups["g1"]["members"] = ["ann"]
    assert done(await app.cycle()) == {"disable": 1, "members_removed": 1}
    assert dialpad.user("bob@example.com")["active"] is False
    app.tables = app.groups_table.replace("[jobs.app.groups]\n", '[jobs.app.groups]\nactions = ["update"]\n')
    app.group("g2", ["cleo"], "Pilots")
    app.job = 'scope = "all"'
    assert done(await app.cycle()) == {"create": 1, "enable": 1}
    assert {group["displayName"] for group in dialpad.groups.values()} == {"Crew"}


@pytest.mark.row("E1")
@pytest.mark.row("E10")
async def test_the_sample_organisation_has_its_phones_and_the_next_cycle_sends_nothing(
    tmp_path: Path,
) -> None:
    async with Dialpad(Tenant(licences=1000)) as server:
        app = App(tmp_path, server, "dialpad")
        app.employ_everybody()
        app.job = 'scope = "assigned"\nassigned = [ { group = "APP-Phone" } ]\ncreation_threshold = 1000'
        app.tables = app.groups_table
        report = await app.cycle()
        assert report.exit_code == 0, report.failures
        assert len(server.users) == report.counts["create"] - 1 > 300
        assert len(server.members("APP-Phone")) == len(server.users)
        server.clear_requests()
        assert (done(await app.cycle()), server.requests) == ({}, [])


@pytest.mark.row("E2")
async def test_the_profile_says_that_the_connector_is_a_preview(tmp_path: Path) -> None:
    ran = await Shell(tmp_path)("profiles", "dialpad")
    assert ran.code == 0
    assert ran.out.startswith("Dialpad (dialpad), preview")
    assert "dialpad      Dialpad (preview), https://dialpad.com/scim" in (await Shell(tmp_path)("profiles")).out
    assert "Preview" in page("dialpad")


@pytest.mark.row("E3")
async def test_page_and_first_job_name_what_is_needed(tmp_path: Path) -> None:
    written = (await Shell(tmp_path)("init", "--profile", "dialpad", "-o", "-")).out
    for needed in ("a Dialpad tenant", "a user account in Dialpad with Admin permissions", "Authentication > API Keys"):
        assert needed.lower() in page("dialpad").lower()
        assert needed in written


@pytest.mark.row("E4")
async def test_only_who_is_assigned_is_synchronised(app: App, dialpad: Dialpad) -> None:
    await app.cycle()
    assert sorted(user["userName"] for user in dialpad.users.values()) == [ANN, "bob@example.com"]
    (skipped,) = await app.log(user="cleo")
    assert "not assigned: neither directly nor through Crew" in str(skipped)


@pytest.mark.row("E5")
async def test_the_plan_shows_the_scope_before_anything_is_turned_on(app: App, dialpad: Dialpad) -> None:
    app.job += "\nenabled = false"
    _, planned = await app.plan()
    assert sorted(planned) == [("create", "ann", ""), ("create", "bob", "")]
    assert (dialpad.users, dialpad.sent("POST")) == ({}, [])


@pytest.mark.row("E6")
async def test_it_begins_with_a_single_test_user(app: App, dialpad: Dialpad) -> None:
    result = await app.provision(ANN)
    assert (result.exit_code, len(dialpad.users)) == (0, 1)
    app.job = f'{CREW}\nonly = ["{ANN}"]'
    await app.cycle()
    assert len(dialpad.users) == 1
    app.job = CREW
    await app.cycle()
    assert len(dialpad.users) == 2
    assert "Begin with one test user" in page("dialpad")


@pytest.mark.row("E7")
async def test_default_access_is_excluded_with_the_reason_and_included_by_a_setting(app: App, dialpad: Dialpad) -> None:
    app.job = (
        'scope = "assigned"\nassigned = [ { user = "ann@example.com", role = "User" }, '
        '{ user = "bob", role = "default access" }, '
        '{ group = "Pilots", role = "00000000-0000-0000-0000-000000000000" } ]'
    )
    app.group("g2", ["cleo"], "Pilots")
    assert done(await app.cycle()) == {"create": 1}
    assert dialpad.user(ANN)["active"]
    (bob,), (cleo,) = await app.log(user="bob"), await app.log(user="cleo")
    assert "assigned directly with the role default access only, which entitles nobody here" in str(bob)
    assert "assigned through Pilots with the role 00000000-0000-0000-0000-000000000000 only" in str(cleo)
    app.job += "\ndefault_access = true"
    assert done(await app.cycle()) == {"create": 2}


@pytest.mark.row("E8")
async def test_the_key_is_kept_out_of_everything_and_its_end_is_told_in_time(app: App, dialpad: Dialpad) -> None:
    last_day = datetime.fromtimestamp(app.clock.now(), UTC).date() + timedelta(days=5)
    app.target_lines += f"credential_expires = {last_day}\n"
    app.job += '\nnotify = ["it@example.com"]'
    await app.cycle()
    (notice,) = [one for one in await app.notices() if one.kind is NoticeKind.CREDENTIAL_EXPIRING]
    assert notice.facts["days_left"] == 5
    assert all(seen.headers["authorization"] == f"Bearer {dialpad.token}" for seen in dialpad.requests)
    assert dialpad.token not in app.configure().read_text("utf-8")
    assert dialpad.token not in str(await app.log())
    assert "credential_expires" in page("dialpad")


@pytest.mark.row("E9")
@pytest.mark.row("E15")
async def test_init_takes_it_from_the_gallery_and_the_job_passes_check(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert (await shell("init", "--profile", "dialpad")).code == 0
    assert (await shell("check")).code == 0
    written = (tmp_path / "config.toml").read_text("utf-8")
    assert "# <-- " in written
    job = config.load(tmp_path / "config.toml").jobs["dialpad"]
    assert job.users is not None
    assert (job.enabled, job.users.mappings) == (False, config.load_profile("dialpad", tmp_path).user_mappings)
    assert "officeName" in written
    assert '"Dialpad_Ai Voice"' in written


@pytest.mark.row("E10")
async def test_who_is_unassigned_is_suspended_and_the_licence_is_free(app: App, dialpad: Dialpad) -> None:
    app.attributes += (
        f'{{ to = "{ENTERPRISE}:licenseType", constant = "Dialpad_Ai Sales", apply = "create" }},'
        f'{{ to = "{ENTERPRISE}:officeName", from = "city" }},'
    )
    app.users["ann"]["city"] = "Lyon"
    await app.cycle()
    assert dialpad.tenant.in_use == {ANN: "Dialpad_Ai Sales", "bob@example.com": "Dialpad_Ai Sales"}
    assert dialpad.user(ANN)[ENTERPRISE]["officeName"] == "Lyon"
    app.users["ann"]["surname"] = "Married"
    app.groups["g1"]["members"] = ["ann"]
    assert done(await app.cycle()) == {"update": 1, "disable": 1}
    assert list(dialpad.tenant.in_use) == [ANN]
    assert dialpad.user(ANN)["name"]["familyName"] == "Married"
    app.groups["g1"]["members"] = ["ann", "bob"]
    assert done(await app.cycle()) == {"enable": 1}


@pytest.mark.row("E10")
async def test_creates_that_would_buy_many_licences_wait_for_a_person(app: App, dialpad: Dialpad) -> None:
    app.employ(*(f"p{number}" for number in range(40)))
    app.job = 'scope = "all"'
    report = await app.cycle()
    assert (report.state, len(dialpad.users)) == ("held", 0)
    assert dialpad.tenant.bought == 0
    assert await app.approve() == 43
    await app.cycle()
    assert len(dialpad.users) == 43


@pytest.mark.row("E11")
@pytest.mark.row("E18")
@pytest.mark.row("E20")
@pytest.mark.row("E22")
async def test_the_daemon_begins_at_once_and_goes_on_by_itself_until_it_is_switched_off(
    app: App, dialpad: Dialpad
) -> None:
    app.source_lines = '\n[control]\nsocket = "control.sock"\n'
    app.write()
    shell = Shell(app.directory)
    async with Daemon(app.directory) as daemon:
        assert (await daemon.event("cycle.finished", job="app"))["kind"] == "initial"
        await daemon.event("job.scheduled", job="app")
        assert len(dialpad.users) == 2
        shown = (await shell("status", "app")).out
        assert "next cycle in" in shown
        assert "2 create" in shown
        assert (await shell("pause", "app")).code == 0
        assert "app: paused" in (await shell("status", "app")).out
        assert await daemon.stop() == 0
    app.job += '\ninterval = "1s"'
    app.groups["g1"]["members"].append("cleo")
    app.write()
    async with Daemon(app.directory) as daemon:
        await daemon.event("job.rests", job="app", paused=True)
        assert "app: paused" in (await shell("status", "app")).out, "off is off, also after a restart"
        assert len(dialpad.users) == 2
        assert (await shell("resume", "app")).code == 0
        await daemon.event("cycle.finished", job="app", create=1)
        await daemon.event("cycle.finished", job="app", state="active")
        assert await daemon.stop() == 0


@pytest.mark.row("E12")
async def test_the_connection_test_says_what_to_ensure(app: App, dialpad: Dialpad) -> None:
    app.write()
    shell = Shell(app.directory)
    assert (await shell("test", "app")).code == 0
    dialpad.tenant.admin = False
    ran = await shell("test", "app")
    assert ran.code == 4
    assert "Admin permissions, then try again" in ran.out
    dialpad.tenant.admin, dialpad.tenant.key_has_expired = True, True
    assert "Has it expired?" in (await shell("test", "app")).out
    assert config.load_profile("dialpad", app.directory).url == "https://dialpad.com/scim"


@pytest.mark.row("E13")
async def test_people_are_told_by_mail_when_it_fails_and_nobody_where_nobody_is_named(
    app: App, dialpad: Dialpad
) -> None:
    app.source_lines = '\n[mail]\nhost = "127.0.0.1"\nfrom = "reconciler@example.com"\n'
    app.job += '\nnotify = ["it@example.com", "phones@example.com"]'
    dialpad.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    assert (await app.cycle()).exit_code in (3, 4)
    assert NoticeKind.QUARANTINE_ENTERED in [notice.kind for notice in await app.notices()]
    assert config.load(app.configure()).jobs["app"].notify == ("it@example.com", "phones@example.com")
    app.job = CREW
    warnings = [warning.problem for warning in config.load(app.configure()).warnings]
    assert "nobody gets a mail when the job needs a person" in warnings


@pytest.mark.row("E13")
async def test_the_mail_comes_to_the_addresses_that_the_job_names(app: App, dialpad: Dialpad) -> None:
    async with open_office() as office:
        app.source_lines = mail_table(office.port)
        app.job += '\nnotify = ["it@example.com", "phones@example.com"]'
        app.write()
        dialpad.tenant.key_has_expired = True
        async with Daemon(app.directory) as daemon:
            await asyncio.wait_for(office.text_came.wait(), DEADLINE_SECONDS)
            assert await daemon.stop() == 0
    told = {address for _, addresses in office.envelopes for address in addresses}
    assert told == {"it@example.com", "phones@example.com"}
    assert "app" in str(office.mails[0]["Subject"])
    plain = office.mails[0].get_body(("plain",))
    assert plain is not None
    said = " ".join(plain.get_content().split())
    assert "Has it expired?" in said, said
    assert dialpad.token.encode() not in b"".join(office.raw)


@pytest.mark.row("E13")
async def test_failures_are_told_in_one_mail_and_not_in_each_cycle(app: App, dialpad: Dialpad) -> None:
    app.job += '\nnotify = ["it@example.com"]'
    dialpad.script.on("POST", "/Users", then=Status(400), times=FOR_EVER)
    for _ in range(4):
        assert (await app.cycle()).exit_code in (0, 1)
    (digest,) = [notice for notice in await app.notices() if notice.kind is NoticeKind.FAILURES]
    assert "UnprocessableEntity" in str(digest.facts)


@pytest.mark.row("E14")
async def test_a_job_that_cannot_work_is_refused_when_it_is_saved(app: App) -> None:
    app.attributes += f'{{ to = "{ENTERPRISE}:licenseType", constant = "Dialpad_Voice" }},'
    app.write()
    ran = await Shell(app.directory)("check")
    assert ran.code == 2
    assert "does not take this value (known: Dialpad_Ai Voice, Dialpad_Support, Dialpad_Ai Sales)" in ran.err


@pytest.mark.row("E16")
async def test_who_is_there_already_is_matched_and_updated(app: App, dialpad: Dialpad) -> None:
    dialpad.put("user", userName="ANN@example.com", name={"givenName": "Ann", "familyName": "Old"}, active=True)
    assert done(await app.cycle()) == {"adopt": 1, "create": 1}
    assert dialpad.user(ANN)["name"]["familyName"] == "Example"
    app.attributes = app.attributes.replace('from = "id" }', 'from = "id", match = 2 }')
    assert '{ to = "externalId", from = "id", match = 2 }' in app.attributes
    assert done(await app.cycle()) == {}


@pytest.mark.row("E16")
async def test_matching_properties_have_an_order_and_two_accounts_that_match_are_left_alone(
    app: App, dialpad: Dialpad
) -> None:
    app.job = 'scope = "all"'
    app.attributes = app.attributes.replace('from = "mail", match = 1', 'from = "mail", match = 2')
    app.attributes = app.attributes.replace('from = "id" }', 'from = "id", match = 1 }')
    old = {"name": {"givenName": "Old", "familyName": "Old"}, "active": True}
    by_id = dialpad.put("user", userName="ann.old@example.com", externalId="ann", **old)
    by_name = dialpad.put("user", userName="BOB@example.com", **old)
    doubled = [dialpad.put("user", userName=f"cleo{n}@example.com", externalId="cleo", **old) for n in range(2)]
    report = await app.cycle()
    assert done(report) == {"adopt": 2, "failure": 1}
    assert (dialpad.users[by_id]["userName"], dialpad.users[by_id]["name"]["givenName"]) == (ANN, "Ann")
    assert dialpad.users[by_name]["externalId"] == "bob"
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("cleo", "DuplicateTargetEntries")]
    assert all(dialpad.users[one]["name"]["givenName"] == "Old" for one in doubled)
    assert len(dialpad.users) == 4


@pytest.mark.row("E22")
async def test_the_progress_of_a_cycle_is_seen_while_it_runs(app: App, dialpad: Dialpad) -> None:
    ids = [f"p{number:02}" for number in range(20)]
    app.employ(*ids)
    app.group("g1", ids, "Crew")
    app.source_lines = '\n[control]\nsocket = "control.sock"\n'
    app.concurrency = 1
    app.write()
    shell, hanging = Shell(app.directory), Hanging(dialpad, "POST", "/Users", body="p15@")
    async with Daemon(app.directory):
        await hanging.arrived()
        shown = await shell("status", "app")
        assert "running for" in shown.out
        sending = re.search(r"sending: (\d+) of (\d+)", shown.out)
        assert sending, shown.out
        assert int(sending[1]) < int(sending[2]) <= 20
        assert re.search(r"so far: .*\b15 create", shown.out)


@pytest.mark.row("E17")
async def test_a_scoping_filter_narrows_who_takes_part(app: App, dialpad: Dialpad) -> None:
    app.users["bob"]["department"] = "Board"
    app.tables = 'filter = { attribute = "department", operator = "NOT EQUALS", value = "Board" }'
    await app.cycle()
    assert [user["userName"] for user in dialpad.users.values()] == [ANN]
    assert "department NOT EQUALS Board" in str(await app.log(user="bob"))


@pytest.mark.row("E19")
async def test_the_scope_is_everybody_or_who_is_assigned(app: App, dialpad: Dialpad) -> None:
    await app.cycle()
    assert len(dialpad.users) == 2
    app.job = 'scope = "all"'
    await app.cycle()
    assert len(dialpad.users) == 3


@pytest.mark.row("E21")
async def test_the_initial_cycle_looks_at_everybody_and_later_ones_send_what_changed(
    app: App, dialpad: Dialpad
) -> None:
    assert (await app.cycle()).kind == "initial"
    dialpad.clear_requests()
    app.users["ann"]["surname"] = "New"
    report = await app.cycle()
    assert (report.kind, [seen.method for seen in dialpad.requests if seen.method != "GET"]) == (
        "incremental",
        ["PATCH"],
    )
    assert config.load(app.configure()).jobs["app"].interval_seconds == 40 * 60


@pytest.mark.row("E23")
async def test_every_action_is_in_the_activity_report(app: App, dialpad: Dialpad) -> None:
    await app.cycle()
    app.users["ann"]["surname"] = "New"
    await app.cycle()
    created, update = (await Shell(app.directory)("log", "app", "--user", "ann", "--json")).lines()
    assert [row["provisioningAction"] for row in (created, update)] == ["create", "update"]
    (changed,) = update["modifiedProperties"]
    assert changed == {"displayName": "name.familyName", "oldValue": "Example", "newValue": "New"}
    steps = [step["provisioningStepType"] for step in update["provisioningSteps"]]
    assert steps == ["import", "scoping", "matching", "export"]
    assert "in scope through group Crew" in str(update["provisioningSteps"])
    assert (update["sourceIdentity"]["id"], update["targetIdentity"]["id"]) == ("ann", dialpad.user(ANN)["id"])
    assert update["provisioningStatusInfo"]["status"] == "success"
    assert "activity report of all actions" in page("dialpad")


@pytest.mark.row("E24")
def test_the_page_leads_to_how_the_logs_are_read() -> None:
    assert "[the provisioning log](../provisioning-log.md)" in page("dialpad")
    assert (Path(__file__).parents[2] / "docs" / "provisioning-log.md").exists()


@pytest.mark.row("E25")
async def test_a_renamed_group_keeps_its_name_there_and_that_is_said_once(app: App, dialpad: Dialpad) -> None:
    app.tables = app.groups_table
    app.job = 'scope = "assigned"\nassigned = [ { group = "g1" } ]'
    await app.cycle()
    app.groups["g1"]["displayName"] = "Cabin crew"
    dialpad.clear_requests()
    assert done(await app.cycle()) == {}
    await app.cycle()
    await app.cycle(full=True)
    assert [seen for seen in dialpad.requests if seen.method != "GET"] == []
    assert dialpad.group("Crew")
    said = [row for row in await app.log() if "does not rename groups" in str(row)]
    assert len(said) == 1
    app.groups["g1"]["members"].append("cleo")
    assert done(await app.cycle()) == {"create": 1, "members_added": 1}


@pytest.mark.row("E10")
async def test_twenty_requests_a_second_are_not_passed(tmp_path: Path) -> None:
    async with Dialpad() as server:
        app = App(tmp_path, server, "dialpad")
        app.employ(*(f"p{number}" for number in range(60)))
        app.job = 'scope = "all"\ncreation_threshold = 100'
        server.tenant.clock = app.clock.now
        app.concurrency = 1  # this clock jumps for everybody when one of several sleeps
        await app.cycle()
        assert (len(server.users), server.tenant.throttled) == (60, 0)
