"""ACALL: every row of its guide, against a server that refuses what ACALL would refuse."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.core.model import Direct
from reconciler.net.client import Lanes
from reconciler.runtime.clock import SystemClock, SystemDice
from tests.commands.shell import Shell
from tests.cycles.company import done
from tests.daemon.process import Daemon
from tests.servers.acall import WSOS, Acall
from tests.servers.faults import FOR_EVER, Status
from tests.vendors.app import App, page

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
TARO = "taro@example.com"
SLACK = '{ to = "accounts.^[type==\'slack\'].value", from = "slack" },\n'
GOOGLE = '{ to = "accounts.^[type==\'google\'].value", from = "google" },\n'
OKTA = f"""Display name,External name,External namespace,Source,Apply on
User name,userName,{CORE},user.email,create and update
Family name,name.familyName,{CORE},user.lastName,
Given name,name.givenName,{CORE},user.firstName,
Slack,accounts.^[type=='slack'].value,{CORE},user.email,
Role,roles.^[primary==true].value,{CORE},'general',create
Phonetic,name.familyNamePhonetic,{WSOS},user.phonetic,
"""


@pytest.fixture
async def acall() -> AsyncIterator[Acall]:
    async with Acall() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, acall: Acall) -> App:
    """Taro Yamada and Hanako Sato, both in scope."""
    made = App(tmp_path, acall, "acall")
    made.person("taro", mail=TARO, givenName="太郎", surname="山田")
    made.person("hanako", mail="hanako@example.com", givenName="花子", surname="佐藤")
    return made


def ja(app: App, *lines: str) -> None:
    app.attributes += "\n" + "".join(f"{line},\n" for line in lines)


@pytest.mark.row("B1")
@pytest.mark.row("B28")
async def test_the_sample_organisation_has_its_accounts_and_the_next_cycle_sends_nothing(
    app: App, acall: Acall
) -> None:
    app.users.clear()
    app.employ_everybody()
    ja(app, '{ to = "displayName", from = "displayName" }')
    report = await app.cycle()
    assert report.exit_code == 0, report.failures
    assert len(acall.users) > 400
    names = {user["userName"]: user["displayName"] for user in acall.users.values()}
    assert all(names[row["mail"]] == row["displayName"] for row in app.users.values() if row["mail"] in names)
    assert any(ord(character) > 0x3000 for name in names.values() for character in name)
    acall.clear_requests()
    assert (done(await app.cycle()), acall.requests) == ({}, [])


@pytest.mark.row("B1")
async def test_oktas_mapping_table_becomes_the_jobs_mappings(tmp_path: Path, acall: Acall) -> None:
    (tmp_path / "okta.csv").write_text(OKTA, "utf-8")
    ran = await Shell(tmp_path)("import-okta", "okta.csv")
    (tmp_path / "config.toml").write_text(ran.out, "utf-8")
    rules = config.load(tmp_path / "config.toml").jobs["app"].users
    assert rules is not None
    assert [mapping.to for mapping in rules.mappings[:6]] == [
        "userName",
        "name.familyName",
        "name.givenName",
        'accounts[type eq "slack"].value',
        "roles[primary eq true].value",
        f"{WSOS}:name.familyNamePhonetic",
    ]


@pytest.mark.row("B2")
@pytest.mark.row("B3")
async def test_page_and_first_job_name_what_is_needed_and_a_403_names_the_plan(app: App, acall: Acall) -> None:
    written = (await Shell(app.directory)("init", "--profile", "acall", "-o", "-")).out
    for needed in ("an administrator account of ACALL", "Basic", "contact@i.acall.jp"):
        assert needed in page("acall").replace("**", "")
        assert needed in written
    acall.workplace.plan = "basic"
    app.write()
    ran = await Shell(app.directory)("test", "app")
    assert ran.code == 4
    assert 'the plan may be "Basic"' in ran.out


@pytest.mark.row("B4")
async def test_the_token_is_kept_safe(app: App, acall: Acall) -> None:
    assert "Within a few days they tell you the **Base URL and API token**" in page("acall")
    await app.cycle()
    assert acall.token not in app.configure().read_text("utf-8") + str(await app.log())
    shown = await Shell(app.directory)("status", "app")
    assert "last cycle" in shown.out
    assert acall.token not in shown.out + shown.err
    (app.directory / "token").chmod(0o644)
    ran = await Shell(app.directory)("check")
    assert ran.code == 2
    assert "can be read by others (mode 0644)" in ran.err
    assert acall.token not in ran.err


@pytest.mark.row("B4")
@pytest.mark.parametrize("place", ["env", "credential"])
async def test_the_token_may_come_from_the_environment_or_from_systemd(
    place: str, app: App, acall: Acall, monkeypatch: pytest.MonkeyPatch
) -> None:
    (app.directory / "token").rename(app.directory / "acall")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(app.directory))
    monkeypatch.setenv("ACALL_TOKEN", acall.token)
    name = {"env": "ACALL_TOKEN", "credential": "acall"}[place]
    app.auth = f'{{ type = "bearer", token = {{ {place} = "{name}" }} }}'
    assert done(await app.cycle()) == {"create": 2}
    assert acall.token not in app.configure().read_text("utf-8")


@pytest.mark.row("B5")
async def test_the_integration_is_enabled_last_of_all(tmp_path: Path) -> None:
    assert (await Shell(tmp_path)("init", "--profile", "acall")).code == 0
    path = tmp_path / "config.toml"
    assert config.load(path).jobs["acall"].enabled is False
    path.write_text(path.read_text("utf-8").replace("enabled = false", "enabled = true"), "utf-8")
    assert config.load(path).jobs["acall"].enabled is True


@pytest.mark.row("B6")
async def test_a_slash_at_the_end_of_the_address_is_left_out(app: App, acall: Acall) -> None:
    path = app.write()
    path.write_text(path.read_text("utf-8").replace(f'"{acall.url}"', f'"{acall.url}/"'), "utf-8")
    assert (await Shell(app.directory)("cycle", "app")).code == 0
    assert len(acall.users) == 2
    assert all(seen.raw_path.startswith("/scim/") and "//" not in seen.raw_path for seen in acall.requests)
    assert config.load_profile("acall", app.directory).url == "https://api.acall.jp/scim"


@pytest.mark.row("B7")
async def test_a_job_whose_test_fails_does_not_start(app: App, acall: Acall) -> None:
    app.job = 'scope = "all"\nrequire_test = true'
    acall.workplace.plan = "basic"
    report = await app.cycle()
    assert (report.exit_code, acall.sent("POST")) == (4, [])
    assert "the connection test failed, so the job does not start" in report.problems[0]
    acall.workplace.plan = "standard"
    assert (await Shell(app.directory)("test", "app")).code == 0
    assert done(await app.cycle()) == {"create": 2}
    acall.clear_requests()
    assert (done(await app.cycle()), acall.requests) == ({}, [])


@pytest.mark.row("B8")
async def test_each_operation_can_be_switched_off(app: App, acall: Acall) -> None:
    app.tables = 'actions = ["create"]'
    await app.cycle()
    app.users["taro"]["surname"] = "鈴木"
    app.users["hanako"]["accountEnabled"] = False
    assert done(await app.cycle()) == {}
    app.tables = 'actions = ["create", "update"]\n[jobs.app.deprovision]\ninactive = "keep"'
    assert done(await app.cycle()) == {"update": 1}
    assert acall.user("hanako@example.com")["active"] is True, "updated, and not deactivated"
    app.tables = 'actions = ["create", "update"]'
    assert done(await app.cycle()) == {"disable": 1}
    assert acall.user("hanako@example.com")["active"] is False


@pytest.mark.row("B9")
async def test_mappings_are_judged_with_good_messages(app: App) -> None:
    ja(app, '{ to = "roles[primary eq true].value", constant = "boss" }', '{ to = "accounts[type", from = "x" }')
    app.write()
    ran = await Shell(app.directory)("check")
    assert ran.code == 2
    assert "does not take this value (known: admin, general)" in ran.err
    assert "is no attribute path" in ran.err


@pytest.mark.row("B10")
async def test_saving_says_what_changed_and_that_an_initial_cycle_follows(app: App, acall: Acall) -> None:
    app.source_lines = '\n[control]\nsocket = "control.sock"\n'
    app.write()
    async with Daemon(app.directory) as daemon:
        await daemon.event("cycle.finished", job="app")
        ja(app, '{ to = "displayName", from = "displayName" }')
        app.write()
        daemon.send(signal.SIGHUP)
        reloaded = await daemon.event("config.reloaded")
        assert reloaded["changes"] == ["job app: mappings, scope or other rules changed; an initial cycle follows"]
        await daemon.event("cycle.finished", job="app")
        assert acall.user(TARO)["displayName"] == "Taro"
        assert await daemon.stop() == 0


@pytest.mark.row("B11")
async def test_two_tenants_at_one_address_have_limits_and_links_of_their_own(app: App, acall: Acall) -> None:
    other = acall.another_tenant("other-token")
    second = app.directory / "second"
    second.touch(mode=0o600)
    second.write_text("other-token")
    tenants = f"""
[targets.second]
type = "scim"
profile = "acall"
url = "{acall.url}"
tenant = "second"
auth = {{ type = "bearer", token = {{ file = "second" }} }}
[jobs.second]
source = "staff"
target = "second"
scope = "all"
"""
    app.tables = tenants.replace('tenant = "second"\n', "")
    app.write()
    ran = await Shell(app.directory)("check")
    assert ran.code == 2
    assert "has the address of app and another token" in ran.err
    app.tables = tenants
    await app.cycle()
    assert (len(acall.users), len(other.users)) == (2, 0)
    assert (await Shell(app.directory)("cycle", "second")).code == 0
    assert (len(acall.users), len(other.users)) == (2, 2)
    loaded, lanes = config.load(app.configure()), Lanes()
    clients = [
        wiring.build_target(loaded, job, SystemClock(), SystemDice(), lanes, None)._client for job in ("app", "second")
    ]
    assert clients[0]._lane is not clients[1]._lane
    for client in clients:
        await client.aclose()


@pytest.mark.row("B12")
async def test_a_name_that_is_not_what_single_sign_on_sends_is_told(app: App, acall: Acall) -> None:
    app.tables = 'sign_in = "userPrincipalName"'
    app.users["taro"]["userPrincipalName"] = "t.yamada@example.com"
    loaded = config.load(app.write())
    assert any("userName does not come from userPrincipalName" in warning.problem for warning in loaded.warnings)
    assert done(await app.cycle()) == {"create": 2}
    doubted = [row["name"] for row in await app.log() if "by which single sign-on looks for the account" in str(row)]
    assert len(doubted) == 1
    app.tables = 'sign_in = "mail"'
    loaded = config.load(app.configure())
    assert not any("single sign-on" in warning.problem for warning in loaded.warnings)
    assert Direct("mail") in [mapping.source for mapping in loaded.jobs["app"].users.mappings if mapping.match]  # type: ignore[union-attr]  # because the job has users


@pytest.mark.row("B13")
@pytest.mark.row("B14")
async def test_slack_and_google_are_off_until_they_are_wanted(app: App, acall: Acall) -> None:
    written = (await Shell(app.directory)("init", "--profile", "acall", "-o", "-")).out
    assert "it has no effect before ACALL is connected to Slack" in written
    assert "it has no effect before ACALL is connected to Google" in written
    assert "first connect your ACALL tenant and these services" in page("acall")
    await app.cycle()
    assert not any("accounts" in user for user in acall.users.values())


@pytest.mark.row("B15")
async def test_users_and_groups_are_assigned(app: App, acall: Acall) -> None:
    app.person("jiro", mail="jiro@example.com", givenName="次郎", surname="鈴木")
    app.group("g1", ["hanako"], "Tokyo")
    app.job = f'scope = "assigned"\nassigned = [ {{ user = "{TARO}" }}, {{ group = "Tokyo" }} ]'
    await app.cycle()
    assert sorted(user["userName"] for user in acall.users.values()) == ["hanako@example.com", TARO]


@pytest.mark.row("B16")
async def test_a_report_for_support_has_ids_and_nothing_of_anybody(app: App, acall: Acall) -> None:
    refused = Status(400, {"X-Request-Id": "req-4711"}, {"detail": f"bad {TARO}"})
    acall.script.on("POST", "/Users$", body="taro@", then=refused, times=FOR_EVER)
    await app.cycle()
    ran = await Shell(app.directory)("support", "app", "-o", "-")
    assert ran.code == 0
    (failure,) = ran.json()["failures"]
    assert failure["operation"] == "create"
    assert failure["change_id"]
    assert (failure["request"], failure["request_id"]) == ("POST /Users", "req-4711")
    assert ran.json()["cycles"][0]["cycle_id"] == failure["cycle_id"]
    for kept_out in (TARO, "山田", acall.token, "taro@"):
        assert kept_out not in ran.out
    assert "`reconciler support acall`" in page("acall")


@pytest.mark.row("B17")
@pytest.mark.row("B18")
@pytest.mark.row("B19")
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("mail", "no matching attribute has a value: userName"),
        ("surname", "name.familyName: the target requires it"),
        ("givenName", "name.givenName: the target requires it"),
    ],
)
async def test_who_lacks_what_is_mandatory_is_not_sent_and_the_log_says_what(
    source: str, reason: str, app: App, acall: Acall
) -> None:
    app.users["taro"][source] = None
    await app.cycle()
    assert [user["userName"] for user in acall.users.values()] == ["hanako@example.com"]
    assert all("taro" not in str(seen.body) for seen in acall.sent("POST"))
    assert reason in str(await app.log(user="taro"))


@pytest.mark.row("B20")
@pytest.mark.row("B21")
async def test_two_accounts_go_in_one_request_and_the_other_elements_stay(app: App, acall: Acall) -> None:
    app.attributes += SLACK + GOOGLE
    app.users["taro"] |= {"slack": "taro@slack.example", "google": "taro@google.example"}
    app.users["hanako"] |= {"slack": "hanako@slack.example", "google": None}
    await app.cycle()
    assert len(acall.sent("POST")) == 2
    assert acall.user(TARO)["accounts"] == [
        {"type": "slack", "value": "taro@slack.example"},
        {"type": "google", "value": "taro@google.example"},
    ]
    app.users["hanako"]["google"] = "hanako@google.example"
    app.users["taro"]["slack"] = "yamada@slack.example"
    acall.clear_requests()
    assert done(await app.cycle()) == {"update": 2}
    assert {each["type"]: each["value"] for each in acall.user(TARO)["accounts"]} == {
        "slack": "yamada@slack.example",
        "google": "taro@google.example",
    }
    assert len(acall.user("hanako@example.com")["accounts"]) == 2


@pytest.mark.row("B20")
async def test_an_element_that_is_not_mapped_stays_beside_the_one_that_is(app: App, acall: Acall) -> None:
    by_hand = {"type": "google", "value": "taro@google.example"}
    names = {"familyName": "山田", "givenName": "太郎"}
    acall.put("user", userName=TARO, name=names, active=True, accounts=[by_hand])
    app.attributes += SLACK
    app.users["taro"]["slack"] = "taro@slack.example"
    assert done(await app.cycle()) == {"adopt": 1, "create": 1}
    accounts = {each["type"]: each["value"] for each in acall.user(TARO)["accounts"]}
    assert accounts == {"google": "taro@google.example", "slack": "taro@slack.example"}


@pytest.mark.row("B22")
async def test_an_attribute_that_no_schema_knows_stands_among_the_core_ones(app: App, acall: Acall) -> None:
    app.attributes += SLACK.replace("accounts.^", f"{CORE}:accounts.^")
    app.users["taro"]["slack"] = "taro@slack.example"
    await app.cycle()
    (sent,) = [seen.body for seen in acall.sent("POST") if seen.body["userName"] == TARO]
    assert sent["accounts"] == [{"type": "slack", "value": "taro@slack.example"}]
    assert sent["schemas"] == [CORE]


@pytest.mark.row("B23")
@pytest.mark.parametrize("literal", ["true", '"true"'])
async def test_the_role_is_admin_or_general_whether_true_is_a_boolean_or_a_text(literal: str, tmp_path: Path) -> None:
    async with Acall(primary_is_text=literal != "true") as server:
        app = App(tmp_path, server, "acall")
        app.employ("ann", "bob", "cleo")
        ja(app, f"{{ to = 'roles[primary eq {literal}].value', from = \"acallRole\" }}")
        for id_, role in (("ann", "admin"), ("bob", "general"), ("cleo", "boss")):
            app.users[id_]["acallRole"] = role
        report = await app.cycle()
        assert done(report) == {"create": 2, "failure": 1}
        assert report.failures[0]["id"] == "cleo"
        primary = True if literal == "true" else "true"
        assert server.user("ann@example.com")["roles"] == [{"primary": primary, "value": "admin"}]
        app.users["ann"]["acallRole"] = "general"
        assert done(await app.cycle())["update"] == 1
        assert server.user("ann@example.com")["roles"] == [{"primary": primary, "value": "general"}]


@pytest.mark.row("B24")
async def test_the_display_name_is_optional(app: App, acall: Acall) -> None:
    await app.cycle()
    assert "displayName" not in acall.user(TARO)
    ja(app, '{ to = "displayName", from = "displayName" }')
    app.users["taro"]["displayName"] = "山田 太郎"
    await app.cycle()
    assert acall.user(TARO)["displayName"] == "山田 太郎"


@pytest.mark.row("B25")
@pytest.mark.row("B26")
@pytest.mark.row("B27")
@pytest.mark.row("B28")
async def test_phonetic_names_stand_below_their_urn_unharmed(app: App, acall: Acall) -> None:
    ja(
        app,
        f'{{ to = "{WSOS}:name.familyNamePhonetic", from = "kanaFamily" }}',
        f'{{ to = "{WSOS}:name.givenNamePhonetic", from = "kanaGiven" }}',
        f'{{ to = "{WSOS}:name.additionalInformation", from = "note" }}',
    )
    app.users["taro"] |= {"kanaFamily": "ヤマダ", "kanaGiven": "タロウ", "note": "受付・第二ビル①"}
    await app.cycle()
    (sent,) = [seen.body for seen in acall.sent("POST") if seen.body["userName"] == TARO]
    assert sent["schemas"] == [CORE, WSOS]
    assert sent["name"] == {"familyName": "山田", "givenName": "太郎"}
    expected = {
        "familyNamePhonetic": "ヤマダ",
        "givenNamePhonetic": "タロウ",
        "additionalInformation": "受付・第二ビル①",
    }
    assert acall.user(TARO)[WSOS] == {"name": expected}
    app.users["taro"]["kanaGiven"] = "ﾀﾛｳ"
    await app.cycle()
    assert acall.user(TARO)[WSOS] == {"name": expected | {"givenNamePhonetic": "ﾀﾛｳ"}}


async def test_a_group_that_was_there_is_not_taken_over_and_none_is_deleted_unasked(app: App, acall: Acall) -> None:
    app.tables = app.groups_table
    acall.put("group", displayName="Tokyo")
    app.group("g1", ["taro"], "Tokyo")
    app.group("g2", ["hanako"], "Osaka")
    app.group("g3", ["hanako"], "Umeda")
    report = await app.cycle()
    assert [one["error_code"] for one in report.failures] == ["EntryConflict"]
    assert sorted(group["displayName"] for group in acall.groups.values()) == ["Osaka", "Tokyo", "Umeda"]
    acall.workplace.below[acall.group("Umeda")["id"]] = acall.group("Osaka")["id"]
    del app.groups["g2"]
    assert (await app.cycle()).state == "held"
    assert acall.workplace.groups_lost == []
    assert acall.group("Osaka")
