"""Okta to ACALL as a whole: whom the double of the one assigns to the app has an account at the double of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.commands.shell import Shell
from tests.cycles.company import done
from tests.servers.acall import WSOS, Acall
from tests.servers.okta import Okta
from tests.vendors.app import App, page

APP = "0oa1acall"
TARO, HANAKO = "taro@example.com", "hanako@example.com"


@pytest.fixture
async def okta() -> AsyncIterator[Okta]:
    """Four people, of whom two have the app: one directly, one through a group."""
    async with Okta() as running:
        running.hire("taro", firstName="太郎", lastName="山田", slack="taro@slack.example", kana="ヤマダ")
        running.hire("hanako", firstName="花子", lastName="佐藤", slack=None, kana=None)
        for other in ("jiro", "saburo"):
            running.hire(other, slack=None, kana=None)
        running.found("00g1", "Tokyo", "hanako", "jiro")
        running.apps[APP] = {"taro": "USER", "hanako": "GROUP"}
        yield running


@pytest.fixture
async def acall() -> AsyncIterator[Acall]:
    async with Acall() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, okta: Okta, acall: Acall) -> App:
    token = tmp_path / "okta-token"
    token.touch(mode=0o600)
    token.write_text(okta.token)
    made = App(tmp_path, acall, "acall")
    made.source = f"""
type = "okta"
url = "{okta.url}"
auth = {{ type = "bearer", token = {{ file = "okta-token" }} }}
parameters = {{ app = "{APP}" }}
attributes = {{ slack = "profile.slack", kana = "profile.kana" }}
requests_per_second = 1000
"""
    made.job = f'scope = "assigned"\nassigned = [ {{ group = "app:{APP}" }} ]\ndeletion_share = "100%"'
    made.attributes += f"""
{{ to = "accounts.^[type=='slack'].value", from = "slack", null = "clear" }},
{{ to = "roles[primary eq true].value", constant = "general", apply = "create" }},
{{ to = "{WSOS}:name.familyNamePhonetic", from = "kana" }},
"""
    return made


@pytest.mark.row("B1")
@pytest.mark.row("B15")
async def test_who_is_assigned_in_okta_is_managed_in_acall(app: App, okta: Okta, acall: Acall) -> None:
    app.write()
    assert (await Shell(app.directory)("test", "app")).code == 0
    first = await app.cycle()
    assert (first.problems, first.failures, done(first)) == ([], [], {"create": 2})
    taro = acall.user(TARO)
    assert taro["name"] == {"familyName": "山田", "givenName": "太郎"}
    assert taro["accounts"] == [{"type": "slack", "value": "taro@slack.example"}]
    assert taro["roles"] == [{"primary": True, "value": "general"}]
    assert taro[WSOS] == {"name": {"familyNamePhonetic": "ヤマダ"}}
    assert "accounts" not in acall.user(HANAKO)

    acall.clear_requests()
    assert (done(await app.cycle()), acall.requests) == ({}, [])

    okta.clock += timedelta(hours=1)
    okta.change("taro", lastName="鈴木", slack="suzuki@slack.example")
    assert done(await app.cycle()) == {"update": 1}
    assert taro["id"] == acall.user(TARO)["id"]
    assert acall.user(TARO)["name"]["familyName"] == "鈴木"
    assert acall.user(TARO)["accounts"] == [{"type": "slack", "value": "suzuki@slack.example"}]

    okta.apps[APP]["jiro"] = "GROUP"
    del okta.apps[APP]["hanako"]
    assert done(await app.cycle()) == {"create": 1, "disable": 1}
    assert acall.user(HANAKO)["active"] is False

    okta.apps[APP]["hanako"] = "USER"
    okta.clock += timedelta(hours=1)
    okta.change("taro", status="DEPROVISIONED")
    assert done(await app.cycle()) == {"enable": 1, "disable": 1}
    assert [user["userName"] for user in acall.users.values() if user["active"] is False] == [TARO]
    assert "saburo@example.com" not in [user["userName"] for user in acall.users.values()]
    acall.clear_requests()
    assert (done(await app.cycle()), acall.requests) == ({}, [])


TABLE = """\
External name,External namespace,Source
userName,urn:ietf:params:scim:schemas:core:2.0:User,user.email
name.familyName,urn:ietf:params:scim:schemas:core:2.0:User,user.lastName
name.givenName,urn:ietf:params:scim:schemas:core:2.0:User,user.firstName
accounts.^[type=='slack'].value,urn:ietf:params:scim:schemas:core:2.0:User,user.slack
"""


@pytest.mark.row("B1")
async def test_oktas_mapping_table_works_with_okta_itself(app: App, okta: Okta, acall: Acall) -> None:
    shell, path = Shell(app.directory, OKTA_TOKEN=okta.token, APP_TOKEN=acall.token), app.directory / "config.toml"
    (app.directory / "okta.csv").write_text(TABLE, "utf-8")
    text = (await shell("import-okta", "okta.csv")).out
    source, _, rest = text.partition("\n\n[targets.app]")
    before, _, itself = source.partition("# Or, in place of these lines, the system itself:\n")
    assert before.rstrip().endswith('# active = "accountEnabled"')
    itself = "".join(f"{line.removeprefix('# ')}\n" for line in itself.splitlines())
    text = f"[sources.okta]\n{itself}\n[targets.app]{rest}"
    for gap, filled in (
        ("https://example.okta.com", okta.url),
        ('url = "https://app.example.com/scim/v2"', f'profile = "acall"\nurl = "{acall.url}"'),
    ):
        assert gap in text
        text = text.replace(gap, filled)
    path.write_text(text, "utf-8")
    assert (await shell("check")).code == 0
    assert (await shell("cycle", "app")).code == 0
    taro = acall.user(TARO)
    assert taro["name"] == {"familyName": "山田", "givenName": "太郎"}
    assert taro["accounts"] == [{"type": "slack", "value": "taro@slack.example"}]
    assert len(acall.users) == 4


@pytest.mark.row("B1")
def test_the_page_says_how_people_come_from_okta() -> None:
    assert 'type = "okta"' in page("acall")
    assert "app:0oa1" in page("acall")
