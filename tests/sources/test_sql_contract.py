"""Databases keep the contract of every source, with a column of changes and without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, make_url, text

from reconciler.core.model import SourceId
from reconciler.ports import Wanted
from reconciler.runtime.clock import SystemClock
from reconciler.sources.sql import SqlSource
from reconciler.sources.sql_part import Queries
from tests.sources import contract
from tests.sources.contract import SnapshotContract, SourceContract, read
from tests.store.conftest import postgresql

__all__ = ["postgresql"]

# The last column fails in the middle where somebody broke it: the smallest number has no absolute value, a subquery of
# two rows no value.
_BROKEN = {
    "sqlite": "abs(id * 0 - 9223372036854775807 - 1)",
    "postgresql": "abs(id * 0 - 9223372036854775807 - 1)",
    "mariadb": "(SELECT x FROM broken UNION ALL SELECT x FROM broken)",
}


def queries(backend: str, changed: str | None) -> Queries:
    quote = "`" if backend == "mariadb" else '"'
    return Queries(
        "SELECT id, title, boss, at, CASE WHEN id > 1 AND EXISTS (SELECT 1 FROM broken)"
        f" THEN {_BROKEN[backend]} END AS x FROM staff ORDER BY id",
        f"SELECT id, name AS {quote}displayName{quote} FROM crews",
        "SELECT crew AS group_id, person AS member_id FROM in_crew",
        changed=changed,
        overlap_seconds=1.0,
    )


class Scene:
    """A few people and teams in tables."""

    wanted = Wanted(frozenset({"title", "boss"}), frozenset({"displayName"}), users=True, groups=True, memberships=True)
    text = "title"
    several = None
    reference = "boss"
    repeats = True

    def __init__(self, url: str, *, changed: str | None = None) -> None:
        self.url = make_url(url.replace("postgresql://", "postgresql+psycopg://"))
        self.changed = changed
        self._at = 0
        self._engine = create_engine(self.url)
        self._ids: dict[str, int] = {}
        self._run(*(f"DROP TABLE IF EXISTS {table}" for table in ("staff", "crews", "in_crew", "broken")))
        self._run(
            "CREATE TABLE staff (id INTEGER PRIMARY KEY, title TEXT, boss TEXT, at INTEGER)",
            "CREATE TABLE crews (id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE in_crew (crew INTEGER, person INTEGER)",
            "CREATE TABLE broken (x INTEGER)",
        )

    def _run(self, *statements: str, **values: object) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def open(self) -> SqlSource:
        asked = queries(self.url.get_backend_name(), self.changed)
        return SqlSource("staff", self.url, asked, allow_empty=frozenset({"groups", "members"}), clock=SystemClock())

    def id_of(self, who: str) -> SourceId:
        return SourceId(str(self._id(who)))

    def _id(self, who: str) -> int:
        return self._ids.setdefault(who, len(self._ids) + 1)

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        values = {"id": self._id(who), "title": text, "boss": None if boss is None else self.id_of(boss)}
        self._run("INSERT INTO staff VALUES (:id, :title, :boss, :at)", **values, at=self._now())

    async def change(self, who: str, *, text: str) -> None:
        self._run(
            "UPDATE staff SET title = :title, at = :at WHERE id = :id", title=text, at=self._now(), id=self._id(who)
        )

    async def dismiss(self, who: str) -> None:
        self._run("DELETE FROM staff WHERE id = :id", id=self._id(who))

    async def found(self, team: str, *members: str) -> None:
        self._run("INSERT INTO crews VALUES (:id, :name)", id=self._id(team), name=team)
        for member in members:
            await self.enter(team, member)

    async def enter(self, team: str, who: str) -> None:
        self._run("INSERT INTO in_crew VALUES (:team, :who)", team=self._id(team), who=self._id(who))

    async def quit(self, team: str, who: str) -> None:
        self._run("DELETE FROM in_crew WHERE crew = :team AND person = :who", team=self._id(team), who=self._id(who))

    async def disband(self, team: str) -> None:
        self._run("DELETE FROM crews WHERE id = :id", id=self._id(team))

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        said = orjson.loads(token)
        others = [{**said, name: "another"} for name in said if not isinstance(said[name], dict)]
        assert others
        return ["", "{}", "[]", "no token", *(orjson.dumps(one).decode() for one in others)]

    def _now(self) -> int:
        """Return a moment in seconds since 1970, an hour after the last one."""
        self._at += 3600
        return 1_700_000_000 + self._at

    async def fail_midway(self) -> None:
        self._run("INSERT INTO broken VALUES (1)")

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/hr.db" if request.param == "sqlite" else str(request.getfixturevalue(request.param))


@pytest.fixture
def scene(url: str) -> Iterator[Scene]:
    made = Scene(url)
    yield made
    made.close()


class _Lists:
    async def test_several_values_are_a_list(self, scene: contract.Scene) -> None:
        """Only PostgreSQL has arrays; what looks like a list in a text stays a text."""
        assert isinstance(scene, Scene)
        on_postgresql = scene.url.get_backend_name() == "postgresql"
        colours = "ARRAY['red', 'green']" if on_postgresql else "'red,green'"
        source = SqlSource("staff", scene.url, Queries(f"SELECT 1 AS id, {colours} AS colours"), clock=SystemClock())
        seen = await read(source, Wanted(frozenset({"colours"}), frozenset()))
        await source.close()
        expected = ["red", "green"] if on_postgresql else "red,green"
        assert seen.users[SourceId("1")].attributes["colours"] == expected


class TestSqlDelta(_Lists, SourceContract):
    """With a column that says when a row changed, and a sweep of the keys."""

    @pytest.fixture
    def scene(self, url: str) -> Iterator[Scene]:
        made = Scene(url, changed="at")
        yield made
        made.close()


class TestSql(_Lists, SnapshotContract):
    """Every reading is a whole one."""
