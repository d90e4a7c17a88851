"""The LDAP source against a real Samba domain controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.core.model import SourceId
from reconciler.ports import Source, Wanted
from reconciler.runtime.clock import SystemClock
from tests.servers.samba import (
    ADMIN,
    ADMIN_PASSWORD,
    BASE,
    DISABLED,
    GROUPS,
    LEFT,
    PEOPLE,
    READER,
    READER_PASSWORD,
    Samba,
    person,
    team,
    why_no_samba,
)
from tests.sources.contract import Seen, SourceContract, look, opened, read

if why_no_samba() is not None:
    pytest.skip(why_no_samba() or "", allow_module_level=True)

from reconciler.sources.ldap import LdapSource
from reconciler.sources.ldap_layout import Changes, Layout, Place
from reconciler.sources.ldap_refusals import Address
from reconciler.sources.ldap_token import Token
from reconciler.sources.ldap_wire import SimpleBind

USERS = "(&(objectCategory=person)(objectClass=user))"
LAYOUT = Layout(
    Place(PEOPLE, USERS),
    Place(GROUPS, "(objectClass=group)"),
    active_directory=True,
    anchor="objectGUID",
    allow_empty=frozenset({"groups"}),  # some disband their only team
)
ALL = Wanted(
    frozenset({"id", "sAMAccountName", "displayName", "manager", "otherTelephone", "accountEnabled", "mail"}),
    frozenset({"cn"}),
    users=True,
    groups=True,
    memberships=True,
)


class SambaScene:
    """People and teams in a domain of their own."""

    wanted = ALL
    repeats = False
    text, several, reference = "displayName", "otherTelephone", "manager"

    def __init__(self, samba: Samba) -> None:
        self.samba = samba
        self.layout = LAYOUT
        self.changes: Changes = "auto"
        self.bind = SimpleBind(READER, lambda: READER_PASSWORD)
        self.address = Address(samba.url, ca_file=samba.ca_file)
        self._ids: dict[str, SourceId] = {}

    def open(self) -> Source:
        return LdapSource("staff", self.address, self.bind, self.layout, changes=self.changes, clock=SystemClock())

    def id_of(self, who: str) -> SourceId:
        return self._ids[who]

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        manager = person(boss) if boss is not None else ""
        self._ids[who] = SourceId(
            self.samba.hire(who, displayName=text, otherTelephone=several, manager=manager),
        )

    async def change(self, who: str, *, text: str) -> None:
        self.samba.set(person(who), displayName=text)

    async def dismiss(self, who: str) -> None:
        self.samba.delete(person(who))

    async def found(self, name: str, *members: str) -> None:
        self._ids[name] = SourceId(self.samba.found(name, *map(person, members)))

    async def enter(self, name: str, who: str) -> None:
        self.samba.join(name, person(who))

    async def quit(self, name: str, who: str) -> None:
        self.samba.leave(name, person(who))

    async def disband(self, name: str) -> None:
        self.samba.delete(team(name))

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        ours = Token.read(token)
        assert ours is not None
        cookie = ours.cookies["user"]
        others = [
            replace(ours, server="another"),
            replace(ours, question="another"),
            replace(ours, way="another"),
            replace(ours, cookies={}),
            *(replace(ours, cookies={"user": wrong}) for wrong in ("", "AAAA", cookie[: len(cookie) // 2 // 4 * 4])),
        ]
        return ["", "{}", cookie, token[:-2], *(one.written() for one in others)]

    async def fail_midway(self) -> None:
        """From now on groups are looked for where there is nothing to look at."""
        self.layout = replace(LAYOUT, groups=Place(f"OU=Nowhere,{BASE}", "(objectClass=group)"))


@pytest.fixture(params=["nobody special", "administrator", "search"])
def scene(samba: Samba, request: pytest.FixtureRequest) -> SambaScene:
    """Nobody special does not see what was deleted; who searches goes by uSNChanged."""
    scene = SambaScene(samba)
    if request.param == "administrator":
        scene.bind = SimpleBind(ADMIN, lambda: ADMIN_PASSWORD)
    elif request.param == "search":
        scene.changes = "search"
    return scene


class TestSamba(SourceContract):
    pass


# --- what Active Directory shows ---------------------------------------------------------------------------------


@pytest.fixture
def reader(samba: Samba) -> SambaScene:
    return SambaScene(samba)


async def begun(scene: SambaScene) -> Seen:
    for who in ("ann", "bob", "cleo"):
        await scene.hire(who, text="x")
    await scene.found("crew", "ann", "bob")
    return await look(scene)


async def test_an_account_that_is_disabled_is_not_enabled(reader: SambaScene) -> None:
    before = await begun(reader)
    assert before.users[reader.id_of("ann")].attributes["accountEnabled"] is True
    reader.samba.set(person("ann"), userAccountControl=str(DISABLED))
    seen = await look(reader, before.token)
    assert seen.users[reader.id_of("ann")].attributes["accountEnabled"] is False


async def test_a_value_that_is_taken_away_is_null(reader: SambaScene) -> None:
    before = await begun(reader)
    reader.samba.set(person("ann"), displayName=None, mail=None)
    seen = await look(reader, before.token)
    entry = seen.users[reader.id_of("ann")]
    assert (entry.attributes["displayName"], entry.attributes["mail"]) == (None, None)


async def test_moments_identifiers_and_names_are_written_as_people_write_them(reader: SambaScene) -> None:
    await begun(reader)
    reader.samba.set(person("ann"), accountExpires="133801632000000000")
    names = frozenset({"id", "objectGUID", "objectSid", "accountExpires", "whenCreated", "dn", "thumbnailPhoto"})
    reader.samba.set(person("ann"), thumbnailPhoto=b"\xff\xd8")
    async with opened(reader) as source:
        seen = await read(source, Wanted(names, frozenset()))
    ann, bob = (seen.users[reader.id_of(who)].attributes for who in ("ann", "bob"))
    assert ann["objectGUID"] == ann["id"] == reader.id_of("ann")
    assert str(ann["objectSid"]).startswith("S-1-5-21-")
    assert (ann["accountExpires"], bob["accountExpires"]) == ("2025-01-01T00:00:00Z", None)
    assert (ann["dn"], ann["thumbnailPhoto"]) == (person("ann"), "/9g=")
    assert str(ann["whenCreated"]).startswith("20") and str(ann["whenCreated"]).endswith("Z")


@pytest.mark.parametrize("scene", ["administrator", "search"], indirect=True)
async def test_who_is_moved_out_of_the_base_has_left_and_may_come_back(scene: SambaScene) -> None:
    before = await begun(scene)
    scene.samba.move(person("ann"), "CN=ann", LEFT)
    seen = await look(scene, before.token)
    assert seen.left("user", before) == {scene.id_of("ann")}
    scene.samba.move(f"CN=ann,{LEFT}", "CN=ann", PEOPLE)
    back = await look(scene, seen.token)
    assert scene.id_of("ann") in back.users
    assert not back.users[scene.id_of("ann")].gone


async def test_a_rename_keeps_anchor_team_and_reports(reader: SambaScene) -> None:
    await reader.hire("boss", text="x")
    await reader.hire("ann", text="x", boss="boss")
    await reader.found("crew", "boss", "ann")
    before = await look(reader)
    reader.samba.move(person("boss"), "CN=chief")
    seen = await look(reader, before.token)
    assert not seen.left("user", before)
    whole = await look(reader)
    assert whole.users[reader.id_of("ann")].attributes["manager"] == reader.id_of("boss")
    assert set(whole.members[reader.id_of("crew")].members) == {reader.id_of("ann"), reader.id_of("boss")}


async def test_a_filter_on_an_attribute_that_nothing_reads_is_watched_too(reader: SambaScene) -> None:
    await begun(reader)
    text = "(&(objectCategory=person)(objectClass=user)(department=Sales))"
    reader.layout = replace(LAYOUT, users=Place(PEOPLE, text))
    before = await look(reader)
    assert not before.users
    reader.samba.set(person("ann"), department="Sales")
    assert (await look(reader, before.token)).users.keys() == {reader.id_of("ann")}


async def test_a_filter_on_who_is_in_a_group_sees_who_comes_and_who_leaves(scene: SambaScene) -> None:
    """Whoever comes to a group or leaves it does not change: the group does."""
    await begun(scene)
    text = f"(&(objectCategory=person)(objectClass=user)(memberOf={team('crew')}))"
    scene.layout = replace(LAYOUT, users=Place(PEOPLE, text))
    before = await look(scene)
    assert before.users.keys() == {scene.id_of("ann"), scene.id_of("bob")}
    await scene.quit("crew", "ann")
    await scene.enter("crew", "cleo")
    seen = await look(scene, before.token)
    assert seen.complete
    assert seen.left("user", before) == {scene.id_of("ann")}
    assert scene.id_of("cleo") in seen.users.keys() | seen.present


async def test_members_by_the_in_chain_rule_are_those_of_groups_in_groups(reader: SambaScene) -> None:
    await begun(reader)
    outer = SourceId(reader.samba.found("outer", team("crew"), person("cleo")))
    assert set((await look(reader)).members[outer].members) == {reader.id_of("crew"), reader.id_of("cleo")}
    reader.layout = replace(LAYOUT, in_chain=True)
    before = await look(reader)
    everybody = {reader.id_of(who) for who in ("ann", "bob", "cleo")}
    assert set(before.members[outer].members) == everybody
    await reader.quit("crew", "ann")
    seen = await look(reader, before.token)
    assert set(seen.members[outer].members) == everybody - {reader.id_of("ann")}


async def test_groups_of_which_none_shows_a_member_are_not_believed(reader: SambaScene) -> None:
    """An attribute that may not be read looks like one that nobody has."""
    await begun(reader)
    for layout in (replace(LAYOUT, members="seeAlso"), replace(LAYOUT, in_chain=True, users=Place(LEFT, USERS))):
        reader.layout = layout
        end = (await look(reader)).ends["memberships"]
        assert not end.complete
        assert 'allow_empty = ["members"]' in end.problems[0]
        reader.layout = replace(layout, allow_empty=frozenset({"members"}))
        assert (await look(reader)).ends["memberships"].complete


async def test_pages_of_a_domain_are_read_to_the_last(reader: SambaScene) -> None:
    for n in range(25):
        await reader.hire(f"u{n}", text="x")
    await reader.found("all", *(f"u{n}" for n in range(25)))
    reader.layout = replace(LAYOUT, page_size=10)
    seen = await look(reader)
    assert len(seen.users) == 25
    assert set(seen.members[reader.id_of("all")].members) == seen.users.keys()


async def test_a_connection_that_is_not_protected_is_refused_by_the_domain_itself(reader: SambaScene) -> None:
    reader.address = Address(reader.samba.plain_url)
    async with opened(reader) as source:
        [line] = await source.test(ALL)
    assert (line.ok, line.hint) == (False, "the directory wants a protected connection: ldaps://, or start_tls = true")


async def test_a_wrong_password_is_said_in_words(reader: SambaScene) -> None:
    reader.bind = SimpleBind(READER, lambda: "wrong")
    async with opened(reader) as source:
        [line] = await source.test(ALL)
    assert line.text == f"bind {reader.address.url}: Invalid credentials (user name or password is wrong)"


async def test_start_tls_leads_to_a_domain_too(reader: SambaScene) -> None:
    await begun(reader)
    reader.address = Address(reader.samba.plain_url, start_tls=True, ca_file=reader.samba.ca_file)
    assert len((await look(reader)).users) == 3
