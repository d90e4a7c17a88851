"""Systems that speak SCIM keep the contract of every source: the double in each of its forms, and scim2-server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import pytest

from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.net.auth import Bearer
from reconciler.net.client import Client, Lane
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Request, Response, Wanted
from reconciler.sources.scim import ScimSource
from tests.cycles.calendar import Calendar, NoLuck
from tests.servers.quirks import Quirks
from tests.servers.real import RealScimServer, scim2_server_by_cursor
from tests.servers.scim import ScimServer
from tests.sources.contract import SourceContract, look, opened

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


class Address(Protocol):
    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


class Wire:
    """The way to the server, which breaks in the middle of a list of users when a test says so."""

    def __init__(self) -> None:
        self._exchange = AiohttpExchange()
        self.breaks = False

    async def __call__(self, request: Request) -> Response | Failed:
        beyond = "startIndex=1&" not in request.url and "startIndex=" in request.url
        beyond = beyond or ("cursor=" in request.url and "cursor=&" not in request.url)
        if self.breaks and "/Users" in request.url and beyond:
            return Failed(Fault.INTERRUPTED, "the connection was cut")
        return await self._exchange(request)

    async def aclose(self) -> None:
        await self._exchange.aclose()


class Scene:
    """A few people and teams in a SCIM server, as its administrators change them."""

    wanted = Wanted(
        frozenset({"title", "manager", "roles.value"}),
        frozenset({"displayName"}),
        users=True,
        groups=True,
        memberships=True,
    )
    text = "title"
    several = "roles.value"
    reference = "manager"
    repeats = True

    def __init__(self, server: Address, **settings: Any) -> None:
        self._server, self._settings = server, {"allow_empty": frozenset({"groups"}), **settings}
        self._ids: dict[str, str] = {}
        self._breaks = False

    def open(self) -> ScimSource:
        wire = Wire()
        wire.breaks = self._breaks
        clock = Calendar()
        client = Client(wire, clock, NoLuck(), lane=Lane(4, None), auth=Bearer(lambda: self._server.token))
        return ScimSource("app", url=self._server.url, client=client, clock=clock, page_size=1, **self._settings)

    def id_of(self, who: str) -> SourceId:
        return SourceId(self._ids[who])

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        body: dict[str, Any] = {"schemas": [USER], "userName": f"{who}@example.com", "title": text}
        if several:
            body["roles"] = [{"value": one} for one in several]
        if boss is not None:
            body[ENTERPRISE] = {"manager": {"value": self.id_of(boss)}}
            body["schemas"].append(ENTERPRISE)
        self._ids[who] = (await self._ask("POST", "/Users", body))["id"]

    async def change(self, who: str, *, text: str) -> None:
        await self._patch(f"/Users/{quote(self._ids[who], safe='')}", {"op": "replace", "path": "title", "value": text})

    async def dismiss(self, who: str) -> None:
        await self._ask("DELETE", f"/Users/{quote(self._ids[who], safe='')}")

    async def found(self, team: str, *members: str) -> None:
        values = [{"value": self._ids[member]} for member in members]
        body = {"schemas": [GROUP], "displayName": team, "members": values}
        self._ids[team] = (await self._ask("POST", "/Groups", body))["id"]

    async def enter(self, team: str, who: str) -> None:
        value = [{"value": self._ids[who]}]
        await self._patch(
            f"/Groups/{quote(self._ids[team], safe='')}", {"op": "add", "path": "members", "value": value}
        )

    async def quit(self, team: str, who: str) -> None:
        path = f'members[value eq "{self._ids[who]}"]'
        await self._patch(f"/Groups/{quote(self._ids[team], safe='')}", {"op": "remove", "path": path})

    async def disband(self, team: str) -> None:
        await self._ask("DELETE", f"/Groups/{quote(self._ids[team], safe='')}")

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        kept = json.loads(token)
        other = json.dumps({**kept, "of": "another server"})
        odd = json.dumps({**kept, "marks": {"user": "yesterday"}})
        return ("", "cookie", "[]", other, odd)

    async def fail_midway(self) -> None:
        self._breaks = True

    async def _patch(self, path: str, operation: dict[str, Any]) -> None:
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        await self._ask("PATCH", path, {"schemas": schemas, "Operations": [operation]})

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._server.token}", "Content-Type": "application/scim+json"}
        content = None if body is None else json.dumps(body).encode()
        exchange = AiohttpExchange()
        answer = await exchange(Request(method, self._server.url + path, headers, content))
        await exchange.aclose()
        assert isinstance(answer, Response) and answer.status < 300, answer
        return json.loads(answer.body) if answer.body else None


@pytest.fixture(
    params=[
        pytest.param({}, id="double"),
        pytest.param({"cursors": "only"}, id="cursors only"),
        pytest.param({"cursors": "beside"}, id="cursors beside indexes"),
        pytest.param({"filter_refused": 400}, id="no filters"),
        pytest.param({"ignores_filter": True}, id="filters ignored"),
        pytest.param({"filter_lies_empty": ("meta.lastModified",)}, id="filters lie"),
        pytest.param({"no_last_modified": True}, id="no times"),
        pytest.param({"no_members_in_list": True}, id="members with each group"),
        pytest.param({"no_members_on_get": True, "users_show_groups": True}, id="groups with each user"),
        pytest.param({"ids": "reserved"}, id="odd ids"),
        pytest.param({"spc_missing": True}, id="says nothing of itself"),
        pytest.param({"not_selected": ("title", "name")}, id="does not select"),
        pytest.param({"selection_refused_for": (ENTERPRISE,)}, id="refuses to select"),
    ]
)
def quirks(request: pytest.FixtureRequest) -> Quirks:
    return Quirks(**request.param)


class TestDouble(SourceContract):
    @pytest.fixture
    async def scene(self, quirks: Quirks) -> AsyncIterator[Scene]:
        async with ScimServer(quirks) as server:
            yield Scene(server)


class TestRealServers(SourceContract):
    """scim2-server and scimmy, which nobody here wrote."""

    @pytest.fixture
    def scene(self, any_real_scim_server: RealScimServer) -> Scene:
        return Scene(any_real_scim_server)


async def test_an_attribute_that_is_no_path_is_named_by_the_reading_and_by_the_connection_test() -> None:
    async with ScimServer() as server:
        scene = Scene(server)
        scene.wanted = Wanted(frozenset({"cost centre"}), frozenset())
        await scene.hire("ann")
        seen = await look(scene)
        async with opened(scene) as source:
            (line,) = [line for line in await source.test(scene.wanted) if not line.ok]
            assert all(line.ok for line in await source.test(Scene.wanted))
    said = "cost centre is no attribute of SCIM"
    assert said in seen.ends["user"].problems[0] and said in line.text
    assert line.text.endswith("name its path in [sources.app.attributes]")


@pytest.fixture(scope="module")
def _paging_by_cursor() -> Iterator[RealScimServer]:
    server = scim2_server_by_cursor()
    server.start()
    yield server
    server.stop()


class TestScim2ServerByCursor(SourceContract):
    """scim2-server with no other pages than those of RFC 9865."""

    @pytest.fixture
    def scene(self, _paging_by_cursor: RealScimServer) -> Scene:
        _paging_by_cursor.empty()
        return Scene(_paging_by_cursor)
