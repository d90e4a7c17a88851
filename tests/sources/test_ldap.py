"""The LDAP source against a real slapd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.model import SourceId
from reconciler.core.outcomes import Fault
from reconciler.ports import Wanted
from reconciler.runtime.clock import SystemClock
from tests.hostile.directories import Directory
from tests.net.sockets import serving
from tests.servers.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, group, person, running_slapd, team, user
from tests.sources.contract import Seen, SourceContract, look, opened, read
from tests.sources.slapd_scene import (
    ALL,
    LAYOUT,
    Address,
    Anonymous,
    Bind,
    Changes,
    Layout,
    LdapSource,
    Place,
    SaslBind,
    SimpleBind,
    SlapdScene,
    Token,
)


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with running_slapd(tmp_path / "slapd") as server:
        yield server


@pytest.fixture
def scene(slapd: Slapd) -> SlapdScene:
    return SlapdScene(slapd)


class TestSlapd(SourceContract):
    pass


class TestSearching(SourceContract):
    """A directory that does not tell what changed: it is searched for by when entries were modified."""

    @pytest.fixture
    def scene(self, slapd: Slapd) -> SlapdScene:
        scene = SlapdScene(slapd)
        scene.changes, scene.repeats = "search", True
        scene.layout = replace(LAYOUT, allow_empty=frozenset({"groups"}))  # its only team is disbanded
        return scene


# --- the way there -----------------------------------------------------------------------------------------------


def source(address: Address, bind: Bind | None = None, layout: Layout = LAYOUT) -> LdapSource:
    return LdapSource(
        "staff", address, bind or SimpleBind(READER, lambda: READER_PASSWORD), layout, clock=SystemClock()
    )


async def seen_by(one: LdapSource, wanted: Wanted = ALL, since: str | None = None) -> Seen:
    try:
        return await read(one, wanted, since)
    finally:
        await one.close()


@pytest.mark.parametrize("way", ["ldaps", "StartTLS", "Unix socket", "client certificate"])
async def test_each_way_that_is_protected_shows_everybody(scene: SlapdScene, way: str) -> None:
    await scene.hire("ann", text="Ann")
    await scene.found("crew", "ann")
    slapd = scene.slapd
    ca_file, here = slapd.ca_file, slapd.directory
    secured = Address(slapd.tls_url, ca_file=ca_file, client_cert=here / "client.pem", client_key=here / "client.key")
    ways = {
        "ldaps": source(Address(slapd.tls_url, ca_file=ca_file)),
        "StartTLS": source(Address(slapd.url, start_tls=True, ca_file=ca_file)),
        "Unix socket": source(Address(slapd.socket_url), SaslBind("EXTERNAL")),
        "client certificate": source(secured, SaslBind("EXTERNAL")),
    }
    seen = await seen_by(ways[way])
    assert seen.complete, seen.ends
    assert seen.users.keys() == {scene.id_of("ann")}


def _unreachable(slapd: Slapd, case: str) -> tuple[Address, Bind, str]:
    reader = SimpleBind(READER, lambda: READER_PASSWORD)
    sound = Address(slapd.tls_url, ca_file=slapd.ca_file)
    cases: dict[str, tuple[Address, Bind, str]] = {
        "an authority that is not ours": (Address(slapd.tls_url), reader, "certificate"),
        "StartTLS and an authority that is not ours": (Address(slapd.url, start_tls=True), reader, "certificate"),
        "another name than the certificate's": (replace(sound, url=slapd.named_tls_url), reader, "certificate"),
        "a wrong password": (sound, SimpleBind(READER, lambda: "wrong"), "Invalid credentials"),
        "an empty password": (sound, SimpleBind(READER, lambda: ""), "empty"),
        "nobody in particular": (sound, Anonymous(), "No such object"),
        "no certificate to be known by": (sound, SaslBind("EXTERNAL"), "bind"),
        "nobody listens": (Address("ldap://127.0.0.1:9"), reader, "Can't contact"),
    }
    return cases[case]


_FAULTS = {
    "a wrong password": Fault.UNAUTHORIZED,
    "an empty password": Fault.UNAUTHORIZED,
    "no certificate to be known by": Fault.UNAUTHORIZED,
    "nobody in particular": None,
}
"""What stands against the directory as a whole: out of reach, where nothing else is said."""


@pytest.mark.parametrize(
    "case",
    [
        "an authority that is not ours",
        "StartTLS and an authority that is not ours",
        "another name than the certificate's",
        "a wrong password",
        "an empty password",
        "nobody in particular",
        "no certificate to be known by",
        "nobody listens",
    ],
)
async def test_who_is_not_let_in_says_so_and_takes_nobody_for_gone(scene: SlapdScene, case: str) -> None:
    await scene.hire("ann", text="Ann")
    address, bind, said = _unreachable(scene.slapd, case)
    seen = await seen_by(source(address, bind))
    assert [end.complete for end in seen.ends.values()] == [False] * 3
    assert not seen.users and seen.token is None
    assert all(said in end.problems[0] for end in seen.ends.values()), seen.ends
    found = {end.fault.fault if end.fault is not None else None for end in seen.ends.values()}
    assert found == {_FAULTS.get(case, Fault.UNREACHABLE)}
    one = source(address, bind)
    try:
        lines = await one.test(ALL)
        assert not lines[-1].ok
        assert said in f"{lines[-1].text} {lines[-1].hint}"
        assert {line.fault.fault if line.fault is not None else None for line in lines if not line.ok} == found
        assert await one.fetch("user", [scene.id_of("ann")], ALL) == {}
    finally:
        await one.close()


# --- pages -------------------------------------------------------------------------------------------------------


async def test_pages_are_read_to_the_last(tmp_path: Path) -> None:
    people = [user(f"u{n}") for n in range(2345)]
    everybody = group("all", [dn for dn, _ in people])
    with running_slapd(tmp_path / "slapd", [*people, everybody]) as slapd:
        one = SlapdScene(slapd)
        one.layout = replace(LAYOUT, page_size=100)
        seen = await look(one)
    assert (len(seen.users), seen.complete) == (2345, True)
    [members] = seen.members.values()
    assert set(members.members) == seen.users.keys()


async def test_a_limit_in_the_middle_of_the_pages_is_an_incomplete_reading(scene: SlapdScene) -> None:
    for n in range(30):
        await scene.hire(f"u{n}", text="x")
    scene.layout = replace(LAYOUT, page_size=10)
    scene.slapd.limit_reader("size=100 size.prtotal=20")
    wanted = Wanted(frozenset({"displayName"}), frozenset())
    async with opened(scene) as one:
        seen = await read(one, wanted)
    assert not seen.complete
    assert len(seen.users) == 20, "what was shown counts"


async def test_a_referral_of_a_real_server_is_not_followed(scene: SlapdScene, tmp_path: Path) -> None:
    """Neither one for a part of what is searched for, nor one for all of it, nor by who listens to the directory."""
    before = await begun(scene)
    elsewhere = Directory()
    async with serving(elsewhere.talk) as port:
        url = f"ldap://127.0.0.1:{port}/ou=away,{PEOPLE}"
        scene.slapd.add((f"ou=away,{PEOPLE}", {"objectClass": ["referral", "extensibleObject"], "ref": [url]}))
        for token in (None, before.token):
            seen = await look(scene, token)
            assert not seen.ends["user"].complete
            assert f"refers to {url}" in " ".join(seen.ends["user"].problems)
        other = Place("dc=elsewhere", "(objectClass=*)")
        scene.slapd.reconfigure("sizelimit 500", f"sizelimit 500\nreferral ldap://127.0.0.1:{port}")
        scene.layout = replace(LAYOUT, users=other)
        seen = await look(scene)
        assert not seen.ends["user"].complete and not seen.users
        assert "Referral" in " ".join(seen.ends["user"].problems)
    assert elsewhere.said == []


async def test_an_anchor_that_may_not_be_read_is_an_incomplete_reading(scene: SlapdScene) -> None:
    await scene.hire("ann", text="x")
    scene.layout = replace(LAYOUT, anchor="employeeNumber")
    seen = await look(scene)
    assert not seen.ends["user"].complete
    assert "employeeNumber" in seen.ends["user"].problems[0]
    async with opened(scene) as one:
        assert not (await one.test(ALL))[1].ok


@pytest.mark.parametrize("changes", ["auto", "search"])
async def test_a_directory_that_shows_nobody_any_more_is_not_believed(scene: SlapdScene, changes: Changes) -> None:
    """A right that was taken away is no refusal in LDAP: what may not be read is not there, and nothing says so."""
    scene.changes = changes
    before = await begun(scene)
    hidden = f'access to filter="(|(objectClass=inetOrgPerson)(objectClass=groupOfNames))" by dn="{READER}" none\n'
    scene.slapd.reconfigure("access to * by users read", f"{hidden}access to * by users read")
    for token in (None, before.token) if changes == "search" else (None,):
        seen = await look(scene, token)
        assert not seen.users and not seen.present
        assert {part for part, end in seen.ends.items() if not end.complete} >= {"user", "group"}
        assert not seen.left("user", before) and not seen.left("group", before)
        assert 'allow_empty = ["users"]' in seen.ends["user"].problems[0]
    assert not (await look(scene)).ends["memberships"].complete
    async with opened(scene) as source:
        assert await source.fetch("user", [scene.id_of("ann"), SourceId("nobody")], ALL) == {}
    scene.layout = replace(LAYOUT, allow_empty=frozenset({"users", "groups"}))
    assert (await look(scene)).complete, "where it is said that there may be none"


@pytest.mark.parametrize("changes", ["auto", "search"])
async def test_members_that_may_not_be_read_any_more_are_not_taken_for_none(
    scene: SlapdScene, changes: Changes
) -> None:
    scene.changes = changes
    before = await begun(scene)
    hidden = f'access to attrs=member by dn="{READER}" none by users read\n'
    scene.slapd.reconfigure("access to * by users read", f"{hidden}access to * by users read")
    scene.slapd.set(team("crew"), description="Still of two")
    for token in (None, before.token):
        end = (await look(scene, token)).ends["memberships"]
        assert not end.complete
        assert 'allow_empty = ["members"]' in end.problems[0]
    scene.layout = replace(LAYOUT, allow_empty=frozenset({"members"}))
    for token in (None, before.token):
        assert (await look(scene, token)).complete, "where it is said that there may be none"


async def test_the_last_member_of_one_group_leaves_while_others_show_theirs(scene: SlapdScene) -> None:
    await begun(scene)
    await scene.found("staff", "ann", "cleo")
    before = await look(scene)
    scene.slapd.set(team("crew"), member=READER)  # this class of groups names somebody always
    for token in (None, before.token):
        seen = await look(scene, token)
        assert seen.complete
        assert seen.members[scene.id_of("crew")].members == []


# --- what changed: the traps -------------------------------------------------------------------------------------


async def begun(scene: SlapdScene) -> Seen:
    for who in ("ann", "bob", "cleo"):
        await scene.hire(who, text="x")
    await scene.found("crew", "ann", "bob")
    return await look(scene)


async def test_a_token_outlives_the_server_s_restart(scene: SlapdScene) -> None:
    before = await begun(scene)
    scene.slapd.stop()
    scene.slapd.start()
    await scene.change("ann", text="Ann")
    seen = await look(scene, before.token)
    assert seen.users.keys() == {scene.id_of("ann")}
    assert seen.is_delta


async def test_a_log_that_does_not_go_back_so_far_has_everything_read(tmp_path: Path) -> None:
    with running_slapd(tmp_path / "slapd", session_log="syncprov-sessionlog 2") as slapd:
        scene = SlapdScene(slapd)
        for n in range(12):
            await scene.hire(f"u{n}", text="x")
        before = await begun(scene)
        for n in range(6):
            await scene.dismiss(f"u{n}")
        seen = await look(scene, before.token)
    assert seen.complete and not seen.is_delta
    assert seen.left("user", before) == {scene.id_of(f"u{n}") for n in range(6)}


async def test_a_short_log_may_name_whom_nobody_knows(tmp_path: Path) -> None:
    with running_slapd(tmp_path / "slapd", session_log="syncprov-sessionlog 1000") as slapd:
        scene = SlapdScene(slapd)
        before = await begun(scene)
        await scene.enter("crew", "cleo")
        await scene.dismiss("bob")
        seen = await look(scene, before.token)
    assert seen.complete and seen.is_delta
    assert scene.id_of("bob") in seen.left("user", before)
    assert seen.left("user", before) <= {scene.id_of("bob"), scene.id_of("crew")}, "a group is nobody among the users"


async def test_a_renamed_one_keeps_anchor_team_and_reports(scene: SlapdScene) -> None:
    await scene.hire("boss", text="x")
    await scene.hire("ann", text="x", boss="boss")
    await scene.found("crew", "boss", "ann")
    before = await look(scene)
    scene.slapd.rename(person("boss"), "uid=chief")
    seen = await look(scene, before.token)
    assert seen.users.keys() == {scene.id_of("boss")}
    assert not seen.users[scene.id_of("boss")].gone
    whole = await look(scene)
    assert whole.users[scene.id_of("ann")].attributes["manager"] == scene.id_of("boss")
    assert whole.members == before.members


async def test_who_is_moved_away_or_does_not_fit_any_more_is_gone(scene: SlapdScene) -> None:
    scene.layout = replace(LAYOUT, users=Place(PEOPLE, "(&(objectClass=inetOrgPerson)(employeeType=active))"))
    before = await begun(scene)
    scene.slapd.rename(person("ann"), "uid=ann", "ou=left,dc=example,dc=test")
    scene.slapd.set(person("bob"), employeeType="retired")
    seen = await look(scene, before.token)
    assert seen.is_delta
    assert seen.left("user", before) == {scene.id_of("ann"), scene.id_of("bob")}
    scene.slapd.set(person("bob"), employeeType="active")
    back = await look(scene, seen.token)
    assert back.users.keys() == {scene.id_of("bob")} and not back.users[scene.id_of("bob")].gone


async def test_who_asks_for_member_of_reads_everything_because_it_changes_by_itself(scene: SlapdScene) -> None:
    wanted = replace(ALL, user_attributes=frozenset({"memberOf"}))
    before = await begun(scene)
    assert before.token is not None
    async with opened(scene) as one:
        seen = await read(one, wanted, before.token)
    assert (seen.token, seen.is_delta, len(seen.users)) == (None, False, 3)


async def test_a_filter_on_who_is_in_a_group_has_everybody_swept(scene: SlapdScene) -> None:
    """Whoever comes to a group or leaves it does not change, so a synchronisation does not say so."""
    text = f"(&(objectClass=inetOrgPerson)(|(uid=*)(memberOf={team('crew')})))"
    scene.layout = replace(LAYOUT, users=Place(PEOPLE, text))
    before = await begun(scene)
    seen = await look(scene, before.token)
    assert seen.complete and seen.present >= before.users.keys()


async def test_a_group_shows_members_also_whom_the_filter_leaves_out(scene: SlapdScene) -> None:
    await begun(scene)
    scene.layout = replace(LAYOUT, users=Place(PEOPLE, "(&(objectClass=inetOrgPerson)(employeeType=active))"))
    scene.slapd.set(person("bob"), employeeType="retired")
    before = await look(scene)
    assert set(before.members[scene.id_of("crew")].members) == {scene.id_of("ann"), scene.id_of("bob")}
    scene.slapd.set(person("bob"), employeeType="active")
    seen = await look(scene, before.token)
    assert seen.users.keys() == {scene.id_of("bob")}, "he comes back to a group that did not change"


async def test_a_directory_that_does_not_tell_is_searched(tmp_path: Path) -> None:
    with running_slapd(tmp_path / "slapd", session_log="", syncprov=False) as slapd:
        scene = SlapdScene(slapd)
        before = await begun(scene)
        token = Token.read(before.token or "")
        assert token is not None and token.way == "search"
        await scene.dismiss("ann")
        seen = await look(scene, before.token)
        assert (seen.present, seen.left("user", before)) != (set(), set())
        assert seen.left("user", before) == {scene.id_of("ann")}


async def test_who_was_changed_in_the_future_does_not_hide_what_changes_until_then(tmp_path: Path) -> None:
    """A server whose clock was wrong for a day: nobody's change would have been seen before that day comes."""
    hurried = [user(f"h{n}", modifyTimestamp="20990101000000Z") for n in range(2)]
    old = [user(f"o{n}", modifyTimestamp=f"202{1 if n == 1 else 0}0101000000Z") for n in range(20)]
    crew = group("crew", [person("o1")])
    with running_slapd(tmp_path / "slapd", [*hurried, *old, crew], session_log="", syncprov=False) as slapd:
        scene = SlapdScene(slapd)
        scene.repeats = True
        before = await look(scene)
        slapd.set(person("o7"), displayName="Chief")
        seen = await look(scene, before.token)
        assert seen.complete and seen.present >= before.users.keys()
        assert seen.users.keys() == {slapd.uuid(person(one)) for one in ("h0", "h1", "o1", "o7")}


async def test_changes_none_reads_everything_always(scene: SlapdScene) -> None:
    scene.changes = "none"
    before = await begun(scene)
    assert (before.complete, before.token) == (True, None)
    await scene.dismiss("ann")
    assert (await look(scene, "x")).left("user", before) == {scene.id_of("ann")}
