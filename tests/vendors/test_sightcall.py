"""SightCall: every row of its guide, against a server that refuses what SightCall would refuse."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler import config
from tests.commands.shell import Shell
from tests.cycles.company import done
from tests.daemon.process import Daemon
from tests.net.sockets import refusing
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.sightcall import SIGHTCALL, SightCall
from tests.vendors.app import App, page

ANN, BOB = "ann@example.com", "bob@example.com"
CREW = 'scope = "assigned"\nassigned = [ { group = "Crew" } ]'
PROFILE = f"{SIGHTCALL}:profile"


@pytest.fixture
async def sightcall() -> AsyncIterator[SightCall]:
    async with SightCall() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, sightcall: SightCall) -> App:
    """Ann, Bob and Cleo; Ann and Bob are in Crew, which is assigned."""
    made = App(tmp_path, sightcall, "sightcall")
    made.employ("ann", "bob", "cleo")
    made.group("g1", ["ann", "bob"], "Crew")
    made.job = CREW
    made.tables = made.groups_table
    return made


@pytest.mark.row("C1")
async def test_the_sample_organisation_and_its_groups_are_there_and_the_next_cycle_sends_nothing(
    app: App, sightcall: SightCall
) -> None:
    app.users.clear()
    app.groups.clear()
    app.employ_everybody()
    app.job = 'scope = "assigned"\nassigned = [ { group = "Sales" }, { group = "Support" } ]'
    report = await app.cycle()
    assert report.exit_code == 0, report.failures
    assert sorted(group["displayName"] for group in sightcall.groups.values()) == ["Sales", "Support"]
    assert sightcall.members("Sales") | sightcall.members("Support") == set(sightcall.users)
    sightcall.clear_requests()
    assert (done(await app.cycle()), sightcall.requests) == ({}, [])


@pytest.mark.row("C2")
@pytest.mark.row("C13")
async def test_access_is_what_the_directory_says(app: App, sightcall: SightCall) -> None:
    assert done(await app.cycle()) == {"create": 3, "members_added": 2}
    assert sorted(user["userName"] for user in sightcall.users.values()) == [ANN, BOB]
    app.groups["g1"]["members"] = ["bob", "cleo"]
    assert done(await app.cycle()) == {"create": 1, "disable": 1, "members_added": 1, "members_removed": 1}
    assert sightcall.user(ANN)["active"] is False


@pytest.mark.row("C3")
async def test_who_may_set_it_up_is_said_by_the_machine(app: App) -> None:
    app.source_lines = '\n[control]\nsocket = "control.sock"\noperators = ["nobody"]\nreaders = []\n'
    app.write()
    control = config.load(app.directory / "config.toml").control
    assert (control.operators, control.readers) == (("nobody",), ())
    async with Daemon(app.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        assert oct((app.directory / "control.sock").stat().st_mode & 0o777) == "0o660"
        assert (app.directory / "control.sock").stat().st_uid == os.getuid()
        assert await daemon.stop() == 0
    assert "[operators](../control.md)" in page("sightcall")


@pytest.mark.row("C4")
async def test_accounts_that_single_sign_on_made_are_taken_over(app: App, sightcall: SightCall) -> None:
    account = sightcall.signs_in("Ann@Example.com")
    assert done(await app.cycle()) == {"adopt": 1, "create": 2, "members_added": 2}
    assert sightcall.users[account]["name"] == {"givenName": "Ann", "familyName": "Example"}
    assert len(sightcall.users) == 2


@pytest.mark.row("C5")
@pytest.mark.row("C21")
async def test_a_generic_job_works_with_an_attribute_that_it_defines_itself(app: App, sightcall: SightCall) -> None:
    app.target_lines = ""
    app.attributes += f'\n{{ to = "{PROFILE}", constant = "recording" }},\n'
    app.tables = f'[jobs.app.users.define]\n"{PROFILE}" = {{ type = "String", allowed = ["recording"] }}\n'
    assert done(await app.cycle()) == {"create": 2}
    assert sightcall.profile(ANN) == "recording"
    (sent, _) = sightcall.sent("POST")
    assert sent.body[SIGHTCALL] == {"profile": "recording"}
    assert SIGHTCALL in sent.body["schemas"]
    app.attributes = app.attributes.replace('"recording"', '"records"')
    app.write()
    assert "does not take this value (known: recording)" in (await Shell(app.directory)("check")).err


@pytest.mark.row("C5")
async def test_an_application_of_ones_own_begins_with_what_init_writes(app: App, sightcall: SightCall) -> None:
    app.write()
    path = app.directory / "config.toml"
    path.unlink()
    shell = Shell(app.directory, APP_TOKEN=sightcall.token)
    assert (await shell("init")).code == 0
    text = path.read_text("utf-8")
    for gap, filled in (("https://app.example.com/scim", sightcall.url), ("APP-App", "Crew")):
        assert gap in text
        text = text.replace(gap, filled)
    path.write_text(text, "utf-8")
    lacking = await shell("cycle", "app")
    assert (lacking.code, sightcall.users) == (4, {})
    assert "'telephoneNumber'; nothing of it is used (add them to the file, or take away what" in lacking.err
    columns = {"id", *app.users["ann"]}
    lines = [line for line in text.splitlines() if set(re.findall(r'from = "(\w+)"', line)) <= columns]
    path.write_text("\n".join(lines), "utf-8")
    assert (await shell("check")).code == 0
    assert (await shell("cycle", "app")).code == 0
    assert sorted(user["userName"] for user in sightcall.users.values()) == [ANN, BOB]


@pytest.mark.row("C6")
async def test_any_name_will_do(app: App, sightcall: SightCall) -> None:
    path = app.write()
    path.write_text(path.read_text("utf-8").replace("[jobs.app", "[jobs.SightCall-Provisioning_2"), "utf-8")
    assert (await Shell(app.directory)("cycle", "SightCall-Provisioning_2")).code == 0
    assert len(sightcall.users) == 2


@pytest.mark.row("C7")
async def test_init_gets_it_started(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert (await shell("init", "--profile", "sightcall")).code == 0
    assert (await shell("check")).code == 0
    job = config.load(tmp_path / "config.toml").jobs["sightcall"]
    assert (job.enabled, job.scope) == (False, "assigned")
    assert PROFILE in (tmp_path / "config.toml").read_text("utf-8")


@pytest.mark.row("C8")
@pytest.mark.row("C17")
async def test_automatic_goes_on_by_itself_and_manual_waits_to_be_asked(app: App, sightcall: SightCall) -> None:
    app.source_lines = '\n[control]\nsocket = "control.sock"\n'
    app.job = f"{CREW}\nenabled = false"
    app.write()
    shell = Shell(app.directory)
    async with Daemon(app.directory) as daemon:
        await daemon.event("job.not_enabled", job="app")
        assert (await shell("provision", "app", ANN)).code == 0
        assert [user["userName"] for user in sightcall.users.values()] == [ANN], "manual: she was asked for"
        app.job = f'{CREW}\ninterval = "1s"'
        app.write()
        daemon.send(signal.SIGHUP)
        assert "job app is enabled" in (await daemon.event("config.reloaded"))["changes"]
        assert (await daemon.event("cycle.finished", job="app"))["kind"] == "initial"
        assert len(sightcall.users) == 2
        app.groups["g1"]["members"].append("cleo")
        app.write()
        await daemon.event("cycle.finished", job="app", create=1)
        assert (await shell("pause", "app")).out.startswith("app is paused")
        assert (await shell("resume", "app")).out.startswith("app goes on")
        assert "an initial cycle has begun" in (await shell("restart", "app")).out
        assert "create" not in await daemon.event("cycle.finished", job="app", kind="initial")
        assert (await shell("trigger", "app", "--wait")).code == 0
        assert (await shell("stop", "app")).code == 0
        assert await daemon.stop() == 0
    assert len(sightcall.users) == 3


@pytest.mark.row("C9")
@pytest.mark.row("C10")
async def test_the_path_of_the_tenant_url_is_kept_and_the_token_goes_along(app: App, sightcall: SightCall) -> None:
    assert config.load_profile("sightcall", app.directory).url == "https://api.sightcall.com/api/v3/scim"
    await app.cycle()
    assert all(seen.raw_path.startswith("/api/v3/scim/") for seen in sightcall.requests)
    assert all(seen.headers["authorization"] == f"Bearer {sightcall.token}" for seen in sightcall.requests)
    assert sightcall.token not in app.configure().read_text("utf-8") + str(await app.log())


@pytest.mark.row("C11")
async def test_the_connection_test_tells_the_url_from_the_token(app: App, sightcall: SightCall) -> None:
    path = app.write()
    right, shell = path.read_text("utf-8"), Shell(app.directory)
    mark = await shell("test", "app")
    assert (mark.code, {line[:3] for line in mark.out.splitlines()}) == (0, {"ok "}), "the page: `ok` on every line"

    async def said(url: str) -> str:
        path.write_text(right.replace(sightcall.url, url), "utf-8")
        ran = await shell("test", "app")
        assert ran.code == 4
        return ran.out + ran.err

    assert "https://api.sightcall.com/api/v3/scim" in await said(sightcall.url.replace("/v3/", "/v2/"))
    with refusing() as port:
        assert "nothing listens there" in await said(f"http://127.0.0.1:{port}/api/v3/scim")
    assert "sightcall.invalid" in await said("http://sightcall.invalid/api/v3/scim")
    assert "TLS" in await said(sightcall.url.replace("http:", "https:"))
    sightcall.script.on("GET", "/Users", then=Status(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"))
    assert "What answers is not SightCall's SCIM" in await said(sightcall.url)
    sightcall.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    assert "copy the SCIM token from the administration tab" in await said(sightcall.url)


@pytest.mark.row("C11")
async def test_a_token_without_rights_is_told_from_a_wrong_one(app: App, sightcall: SightCall) -> None:
    app.write()
    sightcall.script.on("*", "", then=Status(403), times=FOR_EVER)
    assert "SCIM may not be enabled for this tenant" in (await Shell(app.directory)("test", "app")).out


@pytest.mark.row("C12")
async def test_what_cannot_work_is_refused_when_it_is_saved(app: App) -> None:
    app.attributes += f'\n{{ to = "{PROFILE}", constant = "recordings" }},\n'
    app.write()
    ran = await Shell(app.directory)("check")
    assert ran.code == 2
    assert "does not take this value (known: standard, recording, multiparty)" in ran.err


@pytest.mark.row("C14")
async def test_an_empty_list_is_told_and_nobody_is_deprovisioned(app: App, sightcall: SightCall) -> None:
    app.job = 'scope = "assigned"'
    report = await app.cycle()
    assert (done(report), report.exit_code) == ({}, 0)
    assert "nobody at all is assigned" in report.problems[0]
    app.job = CREW
    await app.cycle()
    app.job = 'scope = "assigned"\nassigned = []'
    report = await app.cycle()
    assert (done(report), [user["active"] for user in sightcall.users.values()]) == ({}, [True, True])
    assert "nobody at all is assigned" in report.problems[0]
    app.job += '\nempty_assignment = "deprovision"'
    assert done(await app.cycle())["disable"] == 2


@pytest.mark.row("C15")
async def test_users_and_groups_are_added_to_the_list(app: App, sightcall: SightCall) -> None:
    app.job = 'scope = "assigned"\nassigned = [ { group = "Crew" }, { user = "cleo@example.com" } ]'
    await app.cycle()
    assert (len(sightcall.users), len(sightcall.groups)) == (3, 1)
    app.job = 'scope = "assigned"\nassignments = "assigned.csv"'
    rows = "kind,principal,role\ngroup,Crew,\nuser,cleo@example.com,\n"
    (app.directory / "assigned.csv").write_text(rows, "utf-8")
    assert done(await app.cycle()) == {}, "a file that says the same changes nothing"
    (app.directory / "assigned.csv").write_text(rows.replace("user,cleo@example.com,\n", ""), "utf-8")
    assert done(await app.cycle()) == {"disable": 1}


@pytest.mark.row("C16")
async def test_a_group_is_assigned_whole_and_who_assigns_its_members_one_by_one_is_told(
    app: App, sightcall: SightCall
) -> None:
    app.job = f'scope = "assigned"\nassigned = [ {{ user = "{ANN}" }}, {{ user = "bob" }} ]'
    report = await app.cycle()
    assert (len(sightcall.users), len(sightcall.groups)) == (2, 0)
    assert report.problems == [
        "all 2 members of the group Crew are assigned one by one: assign the entire group, "
        "so that the group itself and whoever joins it come along"
    ]
    app.job = CREW
    report = await app.cycle()
    assert (report.problems, sightcall.members("Crew")) == ([], set(sightcall.users))
    app.job = f'scope = "assigned"\nassigned = [ {{ user = "{ANN}" }}, {{ user = "cleo" }} ]'
    assert not any("one by one" in problem for problem in (await app.cycle()).problems)


@pytest.mark.row("C18")
def test_the_page_says_that_the_notes_are_empty() -> None:
    assert "The guide has a box of this name, and it is empty." in page("sightcall")


@pytest.mark.row("C19")
@pytest.mark.row("C22")
@pytest.mark.parametrize(
    ("source", "ann", "bob"),
    [
        ('constant = "multiparty"', "multiparty", "multiparty"),
        ('expression = \'IIF([department]="Support", "multiparty", "recording")\'', "multiparty", "recording"),
    ],
)
async def test_the_profile_is_a_constant_or_follows_from_the_directory(
    source: str, ann: str, bob: str, app: App, sightcall: SightCall
) -> None:
    app.users["ann"]["department"] = "Support"
    app.attributes += f'\n{{ to = "{PROFILE}", {source} }},\n'
    await app.cycle()
    assert (sightcall.profile(ANN), sightcall.profile(BOB)) == (ann, bob)


@pytest.mark.row("C20")
async def test_users_and_groups_have_mappings_of_their_own(app: App, sightcall: SightCall) -> None:
    app.tables = app.tables.replace('from = "displayName"', "expression = 'Append([displayName], \" (SightCall)\")'", 1)
    await app.cycle()
    assert sightcall.group("Crew (SightCall)")
    app.tables = app.tables.replace("[jobs.app.groups]\n", "[jobs.app.groups]\nactions = []\n")
    app.users["ann"]["jobTitle"] = "Chief"
    app.groups["g1"]["members"] = ["ann", "bob", "cleo"]
    assert done(await app.cycle())["update"] == 1
    assert sightcall.user(ANN)["title"] == "Chief"


@pytest.mark.row("C23")
async def test_standard_is_not_sent_and_a_mapping_that_is_taken_away_clears_nothing(
    app: App, sightcall: SightCall
) -> None:
    plain = app.attributes
    await app.cycle()
    assert not any(SIGHTCALL in seen.body for seen in sightcall.sent("POST"))
    assert sightcall.profile(ANN) == "standard"
    app.attributes = f'{plain}\n{{ to = "{PROFILE}", constant = "recording" }},\n'
    assert done(await app.cycle()) == {"update": 2}
    assert sightcall.profile(ANN) == "recording"
    app.attributes = plain
    assert done(await app.cycle()) == {}
    assert sightcall.profile(ANN) == "recording"
