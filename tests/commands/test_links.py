"""links, link, unlink, forget, rebind, orphans: what is remembered of accounts, shown and mended."""

from __future__ import annotations

import stat

import orjson
import pytest

from tests.commands.shell import Shell
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer


async def test_links_are_shown_and_found_by_any_name(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    ann = server.user("ann@example.com")["id"]
    rows = (await shell("links", "app", "--json")).lines()
    assert [(row["id"], row["name"], row["origin"]) for row in rows] == [
        ("ann", "ann@example.com", "created"),
        ("bob", "bob@example.com", "created"),
        ("cleo", "cleo@example.com", "created"),
    ]
    assert rows[0]["agreed"]["title"] == "Engineer"
    for name in ("ann", ann, "ann@"):
        (row,) = (await shell("links", "app", name, "--json")).lines()
        assert (row["id"], row["target_id"], row["verdict"]) == ("ann", ann, "in_scope")
    ran = await shell("links", "app", "ann")
    assert ran.out == f"user  ann@example.com (ann) ↔ {ann}  in_scope\n"
    nobody = await shell("links", "app", "zoe")
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "nobody called zoe is linked\n")
    nobody = await shell("links", "app", "zoe", "--json")
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "")


async def test_exported_links_can_be_imported_before_the_first_cycle(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.group("team", ["ann"])
    await company.cycle()
    written = await shell("links", "export", "app", "links.jsonl")
    assert (written.code, written.out) == (0, "")
    path = company.directory / "links.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await shell("links", "export", "app")).out.encode() == path.read_bytes()
    assert (await shell("links", "export", "app", "links.jsonl")).code == 2, "never overwrites"

    for file in company.directory.glob("state.db*"):
        file.unlink()
    server.clear_requests()
    ran = await shell("links", "import", "app", "links.jsonl")
    assert (ran.code, ran.out) == (0, "4 linked, 0 were linked so already, 0 refused; nothing was sent\n")
    assert server.requests == []
    ran = await shell("links", "import", "app", "links.jsonl")
    assert (ran.code, ran.out) == (0, "0 linked, 4 were linked so already, 0 refused; nothing was sent\n")
    report = await company.cycle()
    assert (report.counts.get("create", 0), report.counts.get("adopt", 0), server.sent("POST")) == (0, 0, [])
    assert len(server.users) == 3


async def test_an_import_says_of_each_line_why_it_is_refused(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    await company.cycle()
    ann, bob = (server.user(f"{name}@example.com")["id"] for name in ("ann", "bob"))
    lines = [
        {"kind": "user", "id": "dora", "target_id": "t-dora"},
        {"kind": "user", "id": "emil", "target_id": ann},
        {"kind": "user", "id": "bob", "target_id": "t-bob"},
        {"kind": "user", "id": "fay", "target_id": "t-dora"},
        {"kind": "user", "id": "dora", "target_id": "t-other"},
        {"kind": "robot", "id": "r2", "target_id": "d2"},
        {"kind": "user", "id": "gil"},
        {"id": "cleo", "target_id": server.user("cleo@example.com")["id"]},
    ]
    (company.directory / "some.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n\nnonsense\n")
    ran = await shell("links", "import", "app", "some.jsonl")
    assert ran.code == 1
    assert ran.out == "1 linked, 1 were linked so already, 7 refused; nothing was sent\n"
    *refusals, last = ran.err.splitlines()
    assert refusals == [
        f"some.jsonl line 2: account {ann} belongs to ann of job app already; unlink it first",
        f"some.jsonl line 3: user bob is linked to {bob} already: `reconciler unlink app …` first",
        "some.jsonl line 4: account t-dora stands in line 1 already",
        "some.jsonl line 5: user dora stands in line 1 already",
        'some.jsonl line 6: kind must be "user" or "group"',
        "some.jsonl line 7: target_id must be a text",
    ]
    assert last.startswith("some.jsonl line 10: is not JSON: ")
    assert [row["id"] for row in (await shell("links", "app", "t-dora", "--json")).lines()] == ["dora"]


@pytest.mark.parametrize("words", [("export",), ("import", "app"), ("app", "ann", "bob"), ()])
async def test_wrong_words_are_exit_2(words: tuple[str, ...], company: Company, shell: Shell) -> None:
    await company.cycle()
    ran = await shell("links", *words)
    assert (ran.code, ran.out) == (2, "")


async def test_a_link_by_hand_is_what_the_next_cycle_goes_by(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    account = server.put("user", userName="annie", active=True)
    ran = await shell("link", "app", "ann", account)
    assert ran.code == 0
    assert (await shell("link", "app", "bob", account)).code == 2, "one account, one owner"
    report = await company.cycle()
    assert report.counts["create"] == 2
    assert server.user("ann@example.com")["id"] == account
    other = server.put("user", userName="ann-2", active=True)
    ran = await shell("link", "app", "ann", other)
    assert f"ann was linked to {account}; that account was not touched" in ran.out


async def test_an_unlinked_entry_is_matched_again(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    assert (await shell("unlink", "app", "ann")).code == 0
    ran = await shell("unlink", "app", "ann")
    assert (ran.code, ran.err) == (2, "error: app: ann is not linked (`reconciler links app` lists who is)\n")
    server.clear_requests()
    assert done(await company.cycle()) == {"adopt": 1}
    assert server.sent("POST") == []


async def test_the_accounts_of_a_job_that_left_can_be_let_go(company: Company, shell: Shell) -> None:
    await company.cycle()
    path = company.directory / "config.toml"
    path.write_text(path.read_text().replace("[jobs.app", "[jobs.other"))
    assert (await shell("unlink", "app", "ann")).code == 0
    assert (await shell("forget", "app", "--yes")).code == 0
    assert (await shell("links", "app")).code == 2


async def test_forget_asks_first_and_touches_no_account(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    server.clear_requests()
    ran = await shell("forget", "app")
    assert (ran.code, ran.out) == (2, "")
    assert "say --yes" in ran.err
    assert (await shell("forget", "app", stdin=b"n\n")).code == 1
    assert len((await shell("links", "app", "--json")).lines()) == 3
    assert (await shell("forget", "app", stdin=b"y\n")).code == 0
    assert server.requests == []
    assert (await shell("log", "app", "--json")).lines(), "the log stays"
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {"adopt": 3})


async def test_a_target_that_moved_keeps_its_links(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    await server.stop()
    async with ScimServer(token=server.token) as moved:
        for user in server.users.values():
            moved.users[user["id"]] = user
        path = company.directory / "config.toml"
        path.write_text(path.read_text().replace(server.url, moved.url))
        assert (await shell("cycle", "app")).code == 2
        assert (await shell("rebind", "app")).code == 2, "how must be said"
        assert (await shell("rebind", "app", "--keep-links", "--rematch")).code == 2, "one of both"
        assert (await shell("rebind", "app", "--keep-links")).code == 0
        report = (await shell("cycle", "app", "--json")).json()
        assert (report["state"], report["counts"]["create"], report["counts"]["adopt"]) == ("active", 0, 0)
        assert moved.sent("POST") == []


async def test_another_target_is_matched_anew(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    async with ScimServer(token=server.token) as other:
        path = company.directory / "config.toml"
        path.write_text(path.read_text().replace(server.url, other.url))
        assert (await shell("rebind", "app", "--rematch")).code == 0
        assert (await shell("cycle", "app", "--json")).json()["counts"]["create"] == 3


# --- orphans -----------------------------------------------------------------------------------------------------


async def test_orphans_are_accounts_that_nobody_owns(company: Company, shell: Shell, server: ScimServer) -> None:
    company.tables = GROUPS
    await company.cycle()
    old = server.put("user", userName="old@example.com", active=True)
    group = server.put("group", displayName="Old group")
    server.clear_requests()
    rows = (await shell("orphans", "app", "--json")).lines()
    assert rows == [
        {"kind": "user", "target_id": old, "userName": "old@example.com"},
        {"kind": "group", "target_id": group, "displayName": "Old group"},
    ]
    assert {seen.method for seen in server.requests} == {"GET"}
    ran = await shell("orphans", "app")
    assert ran.out.endswith("2 accounts without an owner\n")


async def test_a_list_that_is_not_whole_is_exit_4(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    server.script.on("GET", "/Users$", then=Status(403), times=FOR_EVER)
    ran = await shell("orphans", "app", "--json")
    assert (ran.code, ran.out) == (4, "")
    assert "the target's list of users is not whole, there may be more: " in ran.err
