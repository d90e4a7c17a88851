"""Systems with a REST API keep the contract of every source, each as far as its API can say it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from reconciler import config, wiring
from reconciler.core.model import SourceId
from reconciler.ports import Source, Wanted
from reconciler.runtime.clock import SystemClock
from tests.servers.alexishr import AlexisHR
from tests.servers.http_double import HttpDouble, Refused
from tests.servers.okta import Okta
from tests.servers.roster import DESCRIPTION, Roster
from tests.sources.contract import ChangesOfPeopleContract, SourceContract, look, opened


class _Rest(ABC):
    """What the scenes share: a configuration, and a list that breaks after its first page."""

    repeats = True
    reference = "manager"
    wanted: Wanted

    def __init__(self, directory: Path, double: HttpDouble, table: str, secret: str) -> None:
        self._directory, self._table = directory, table
        (directory / "secret").touch(mode=0o600)
        (directory / "secret").write_text(secret)
        self._double = double

    def open(self) -> Source:
        path = self._directory / "config.toml"
        table = f'url = "{self._double.url}"\nrequests_per_second = 10000\noverlap = "1s"\n{self._table}'
        path.write_text(f"[sources.staff]\n{table}\n")
        return wiring.build_source(config.load(path), "staff", SystemClock())

    @abstractmethod
    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None: ...

    @abstractmethod
    def goes_on(self, request: web.Request) -> bool:
        """Whether a request asks for a page of users after the first."""

    async def fail_midway(self) -> None:
        whole = self._double.answer

        async def answer(request: web.Request) -> web.StreamResponse:
            if self.goes_on(request):
                raise Refused(400, {"message": "try another time"})
            return await whole(request)

        self._double.answer = answer  # type: ignore[method-assign]  # because a server breaks while it is asked

    def cut_pages(self) -> None:
        """From now on each page after the first ends in its middle."""
        whole = self._double.answer

        async def answer(request: web.Request) -> web.StreamResponse:
            given = await whole(request)
            if self.goes_on(request):
                assert isinstance(given, web.Response) and isinstance(given.body, bytes)
                given.body = given.body[: len(given.body) // 2]
            return given

        self._double.answer = answer  # type: ignore[method-assign]  # because a server breaks while it is asked

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        said = orjson.loads(token)
        others = [
            *({**said, name: "another"} for name in said),
            {**said, "marks": {"user": "yesterday"}},
            {**said, "marks": []},
            {"of": said["of"]},
        ]
        return ["", "{}", "[]", "no token", token[:-1], *(orjson.dumps(one).decode() for one in others)]


BEARER = 'auth = { type = "bearer", token = { file = "secret" } }\n'


class OktaScene(_Rest):
    wanted = Wanted(frozenset({"jobTitle", "colours", "manager"}), frozenset({"displayName"}), True, True, True)
    text, several = "jobTitle", "colours"

    def __init__(self, directory: Path, okta: Okta) -> None:
        attributes = 'attributes = { colours = "profile.colours" }\nallow_empty = ["groups"]'
        super().__init__(directory, okta, f'type = "okta"\n{BEARER}{attributes}', okta.token)
        self.okta = okta
        okta.page_max = 1

    def id_of(self, who: str) -> SourceId:
        return SourceId(f"00u{who}")

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        manager = None if boss is None else self.id_of(boss)
        self.okta.hire(self.id_of(who), title=text, colours=list(several), managerId=manager)

    async def change(self, who: str, *, text: str) -> None:
        self.okta.change(self.id_of(who), title=text)

    async def dismiss(self, who: str) -> None:
        self.okta.change(self.id_of(who), status="DEPROVISIONED")

    async def found(self, team: str, *members: str) -> None:
        self.okta.found(self.id_of(team), team, *map(self.id_of, members))

    async def enter(self, team: str, who: str) -> None:
        self.okta.enter(self.id_of(team), self.id_of(who))

    async def quit(self, team: str, who: str) -> None:
        self.okta.quit(self.id_of(team), self.id_of(who))

    async def disband(self, team: str) -> None:
        del self.okta.groups[self.id_of(team)], self.okta.members[self.id_of(team)]

    def goes_on(self, request: web.Request) -> bool:
        return request.path == "/api/v1/users" and "after" in request.query


_TEAMS = ("crew",)


class RosterScene(_Rest):
    wanted = Wanted(frozenset({"jobTitle", "skills", "manager"}), frozenset({"displayName"}), True, True, True)
    text, several = "jobTitle", "skills"

    def __init__(self, directory: Path, roster: Roster) -> None:
        (directory / "roster.toml").write_text(DESCRIPTION)
        key = 'auth = { type = "header", name = "X-Key", key = { file = "secret" } }\nallow_empty = ["groups"]'
        super().__init__(directory, roster, f'type = "rest"\ndescription = "roster.toml"\n{key}', roster.key)
        self.roster = roster
        roster.page_max = 1
        self._numbers: dict[str, int] = {}

    def number(self, who: str) -> int:
        return self._numbers.setdefault(who, len(self._numbers) + 1)

    def id_of(self, who: str) -> SourceId:
        return SourceId(who if who in _TEAMS else str(self.number(who)))

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        skills = [{"name": one} for one in several]
        manager = None if boss is None else self.number(boss)
        self.roster.put(self.number(who), role=text, skills=skills, reports_to=manager, state="here")

    async def change(self, who: str, *, text: str) -> None:
        self.roster.put(self.number(who), role=text)

    async def dismiss(self, who: str) -> None:
        self.roster.delete(self.number(who))

    async def found(self, team: str, *members: str) -> None:
        self.roster.found(team, list(map(self.number, members)))

    async def enter(self, team: str, who: str) -> None:
        self.roster.set_members(team, [*self.roster.members[team], self.number(who)])

    async def quit(self, team: str, who: str) -> None:
        self.roster.set_members(team, [one for one in self.roster.members[team] if one != self.number(who)])

    async def disband(self, team: str) -> None:
        del self.roster.members[team]
        del self.roster.teams[team]

    def goes_on(self, request: web.Request) -> bool:
        return request.path == "/people" and "from" in request.query


class AlexisScene(_Rest):
    wanted = Wanted(frozenset({"jobTitle", "manager", "employeeHireDate"}), frozenset())
    text, several = "jobTitle", None

    def __init__(self, directory: Path, hr: AlexisHR) -> None:
        super().__init__(directory, hr, f'type = "alexishr"\n{BEARER}', hr.token)
        self.hr = hr
        hr.page_max = 1

    def open(self) -> Source:
        self._double.url = f"{self._double.url.removesuffix('/v1')}/v1"
        return super().open()

    def id_of(self, who: str) -> SourceId:
        return SourceId(who)

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        self.hr.clock += timedelta(hours=1)
        self.hr.hire(who, title=text, managerEmployeeId=boss)

    async def change(self, who: str, *, text: str) -> None:
        self.hr.clock += timedelta(hours=1)
        self.hr.put("employee", who, title=text)

    async def dismiss(self, who: str) -> None:
        del self.hr.rows["employee"][who]

    async def found(self, team: str, *members: str) -> None:
        """It knows no teams."""

    async def enter(self, team: str, who: str) -> None:
        raise AssertionError(_NO_TEAMS)

    async def quit(self, team: str, who: str) -> None:
        raise AssertionError(_NO_TEAMS)

    async def disband(self, team: str) -> None:
        raise AssertionError(_NO_TEAMS)

    def goes_on(self, request: web.Request) -> bool:
        return request.path == "/v1/employee" and request.query.get("offset", "0") != "0"


class _Cut:
    async def test_a_page_that_ends_in_its_middle_is_no_short_one(self, scene: _Rest) -> None:
        for who in ("ann", "bob", "cleo"):
            await scene.hire(who, text="x")
        before = await look(scene)
        scene.cut_pages()
        seen = await look(scene)
        assert not seen.ends["user"].complete and not seen.left("user", before)
        assert "no JSON" in seen.ends["user"].problems[0]


class TestOkta(_Cut, SourceContract):
    @pytest.fixture
    async def scene(self, tmp_path: Path) -> AsyncIterator[OktaScene]:
        async with Okta() as okta:
            yield OktaScene(tmp_path, okta)

    async def test_who_was_deleted_before_anybody_looked_is_found_by_a_full_reading(self, scene: OktaScene) -> None:
        before = await self._begin(scene)
        await scene.dismiss("ann")
        scene.okta.delete(scene.id_of("ann"))
        seen = await look(scene, before.token)
        assert seen.complete and seen.ends["user"].delta and not seen.left("user", before)
        assert (await look(scene)).left("user", before) == {scene.id_of("ann")}


class TestDescribed(_Cut, SourceContract):
    @pytest.fixture
    async def scene(self, tmp_path: Path) -> AsyncIterator[RosterScene]:
        async with Roster() as roster:
            yield RosterScene(tmp_path, roster)


class TestAlexisHr(_Cut, ChangesOfPeopleContract):
    @pytest.fixture
    async def scene(self, tmp_path: Path) -> AsyncIterator[AlexisScene]:
        async with AlexisHR() as hr:
            yield AlexisScene(tmp_path, hr)

    async def test_several_values_are_a_list(self, scene: AlexisScene) -> None:  # type: ignore[override]
        """No field holds several values; of several employments the first start counts."""
        await scene.hire("ann", text="x")
        for number, start in enumerate(("2024-05-01", "2019-01-01", "2021-01-01")):
            scene.hr.put("employment", f"m{number}", employeeId="ann", startDate=start)
        assert (await look(scene)).users[scene.id_of("ann")].attributes["employeeHireDate"] == "2019-01-01"

    async def test_who_was_deleted_is_gone(self, scene: AlexisScene) -> None:  # type: ignore[override]
        """Nothing in what changed says so: a full reading and comparison finds it."""
        before = await self._begin(scene)
        await scene.dismiss("ann")
        seen = await look(scene, before.token)
        assert seen.complete and seen.ends["user"].delta and not seen.left("user", before)
        assert (await look(scene)).left("user", before) == {scene.id_of("ann")}


async def test_a_joined_list_without_anything_in_it_is_not_believed(tmp_path: Path) -> None:
    async with AlexisHR() as hr:
        scene = AlexisScene(tmp_path, hr)
        scene.wanted = Wanted(frozenset({"department"}), frozenset())
        await scene.hire("ann", text="x")
        hr.put("employee", "ann", departmentId="d1")
        hr.put("department", "d1", name="Sales")
        before = await look(scene)
        assert before.complete and before.users
        del hr.rows["department"]["d1"]
        for token in (None, before.token):
            seen = await look(scene, token)
            assert not seen.complete and not seen.users
            assert "department: there is none" in seen.ends["user"].problems[0]
            assert 'allow_empty = ["department"]' in seen.ends["user"].problems[0]
        async with opened(scene) as one:
            assert await one.fetch("user", [scene.id_of("ann")], scene.wanted) == {}


_NO_TEAMS = "AlexisHR has no teams: the contract asks for changes of teams only where there are some"
