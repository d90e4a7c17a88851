"""Every source and target that speaks HTTP against peers that mean harm: it ends, says what it was, and infers nothing.

Of SCIM targets whole cycles are run against the same peers (test_targets).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from reconciler.core.model import Change
from reconciler.core.outcomes import Done, Failed
from tests.hostile.limits import bounded
from tests.hostile.peers import (
    BOMBS,
    ENDLESS,
    HALF_A_CHARACTER,
    SLOW,
    WRONG,
    Answer,
    Asked,
    Peer,
    by_name,
    listed,
    says,
    sends,
)
from tests.hostile.systems import SYSTEMS, TOKEN, System, configured, system
from tests.hostile.test_targets import FOREVER_SECONDS, IDS_BY_PATH, USERS
from tests.hostile.test_tls import PEERS, Authority
from tests.net.sockets import serving

GRANTED = says(b'{"access_token": "t", "expires_in": 3600}', kind="application/json")
NEW = [name for name in SYSTEMS if name != "scim target"]
IMPATIENT = 'timeout = "0.3s"\n'
TIRELESS = by_name(
    {name: ENDLESS[name] for name in ("a body without end", "headers without end", "interim answers without end")},
    {"a body that drips": SLOW["a body that drips"]},
)
"""Some of those that never end: the exchange is the same for all, and faces each in test_targets."""
MORE = "more rows than were asked for"


def signed_in(answer: Answer) -> Answer:
    """Give tokens as one should, and say this to everything else."""

    async def one(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (GRANTED if asked.target.endswith("/token") else answer)(asked, writer)

    return one


@asynccontextmanager
async def facing(peer: Peer, name: str, directory: Path, lines: str = "") -> AsyncIterator[tuple[System, str]]:
    """Open a system whose other side is this peer; give also the place by which the peer is named."""
    async with serving(peer.talk) as port:
        loaded = configured(directory, name, f"http://127.0.0.1:{port}", lines)
        async with asyncio.timeout(FOREVER_SECONDS), system(loaded, name) as at:
            yield at, f"127.0.0.1:{port}"


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("answer", TIRELESS)
async def test_what_has_no_end_is_left_and_its_place_is_named(answer: Answer, name: str, tmp_path: Path) -> None:
    async with facing(Peer(signed_in(answer)), name, tmp_path, IMPATIENT) as (at, place):
        came = await at.listed()
    assert (came.ids, came.complete) == ([], False)
    assert place in came.said


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("peer", WRONG)
async def test_what_is_no_answer_is_not_taken_for_one(peer: str, name: str, tmp_path: Path) -> None:
    async with facing(Peer(signed_in(WRONG[peer])), name, tmp_path) as (at, _):
        came = await at.listed()
        asked = await at.asked()
        wrong = await at.tested()
    if peer != MORE or name not in ("rest source", "graph target"):  # which are not told how many there are
        assert not came.complete
        assert came.said
    assert asked == {} or isinstance(asked, Failed)
    if peer != MORE:
        assert came.ids == []
        assert wrong


@pytest.mark.parametrize("name", NEW)
async def test_an_id_that_lost_half_a_character_is_none(name: str, tmp_path: Path) -> None:
    async with facing(Peer(signed_in(HALF_A_CHARACTER)), name, tmp_path) as (at, _):
        came = await at.listed()
    assert (came.ids, came.complete) == ([], False)
    assert came.said


@pytest.mark.parametrize("name", ["rest source", "graph target"])
async def test_a_bomb_takes_no_memory(name: str, tmp_path: Path) -> None:
    """In a process that may have little: in our own nobody would see what it took."""
    (tmp_path / "users.jsonl").write_bytes(orjson.dumps({"id": "ann", "mail": "ann@example.com", "active": True}))
    async with serving(Peer(signed_in(BOMBS["a body that unpacks without end"])).talk) as port:
        configured(tmp_path, name, f"http://127.0.0.1:{port}", 'timeout = "5s"\n')
        ran = await bounded(tmp_path, "cycle", "app", "--json")
    assert ran.code not in (0, 2)
    assert f"127.0.0.1:{port}" in ran.out
    assert "Traceback" not in ran.err


# --- elsewhere ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
async def test_nothing_is_sent_where_a_redirect_leads(name: str, tmp_path: Path) -> None:
    elsewhere = Peer(GRANTED)
    async with serving(elsewhere.talk) as other:
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{other}/x\r\nContent-Length: 0\r\n\r\n"
        for answer in (signed_in(sends(head.encode())), sends(head.encode())):
            async with facing(Peer(answer), name, tmp_path) as (at, _):
                came = await at.listed()
            assert (came.ids, came.complete) == ([], False)
            assert "307" in came.said
    assert elsewhere.asked == []


LINKS = {
    "another port": "http://127.0.0.1:{other}/people",
    "no scheme": "//127.0.0.1:{other}/people",
    "somebody at another port": "http://127.0.0.1:{port}@127.0.0.1:{other}/v1.0/people",
    "a backslash": "http://127.0.0.1:{port}\\@127.0.0.1:{other}/v1.0/people",
    "another scheme": "https://127.0.0.1:{port}/v1.0/people",
    "a header": "http://127.0.0.1:{port}/v1.0/people?a HTTP/1.1\r\nHost: elsewhere\r\nX: ",
    "nothing": "",
    "no text": 7,
}


@pytest.mark.parametrize("name", ["rest source", "graph source", "graph target"])
@pytest.mark.parametrize("link", LINKS)
async def test_the_token_stays_at_its_host_wherever_the_next_page_is_said_to_be(
    link: str, name: str, tmp_path: Path
) -> None:
    elsewhere = Peer(says(listed(b"[]")))
    peer = Peer(GRANTED)
    async with serving(elsewhere.talk) as other, facing(peer, name, tmp_path) as (at, place):
        template = LINKS[link]
        target = template.format(port=place.rpartition(":")[2], other=other) if isinstance(template, str) else template
        row = {"id": "1", "key": "1", "active": True}
        body = {"people": [row], "value": [row], "next": target, "@odata.nextLink": target}
        peer.answer = signed_in(says(orjson.dumps(body)))
        came = await at.listed()
    if link != "nothing" and (link != "no text" or name != "rest source"):  # whose next page is 7
        assert not came.complete
    assert elsewhere.asked == []
    assert {asked.headers["host"] for asked in peer.asked} == {place}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("certificate", ["expired", "of another address", "signed by somebody else"])
async def test_a_certificate_that_is_not_the_peers_ends_it(certificate: str, name: str, tmp_path: Path) -> None:
    ours, peer = Authority(tmp_path, "ours"), Peer(GRANTED)
    async with serving(peer.talk, PEERS[certificate](ours, tmp_path)) as port:
        loaded = configured(tmp_path, name, f"https://127.0.0.1:{port}", f'ca_file = "{ours.file}"\n')
        async with system(loaded, name) as at:
            came, wrong = await at.listed(), await at.tested()
    for said in (came.said, wrong[0]):
        assert f"the certificate of 127.0.0.1:{port} is not trusted" in said
    assert peer.asked == []


# --- ids ---------------------------------------------------------------------------------------------------------

PLACES = {"rest target": "/w1/people", "graph target": "/v1.0/users"}
ODD_IDS: list[object] = ["", " ", ".", "..", None, True, ["x"], {"value": "x"}, "x" * 10_000]


def makes(id_: object) -> Answer:
    """Make whom it is asked for under this id; nobody is found, and every change is done."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        made = {"id": id_, "key": id_, "userPrincipalName": "ann@example.com", "email": "ann@example.com"}
        if asked.method == "POST":
            await says(orjson.dumps({**made, "person": made}), "201 Created")(asked, writer)
        elif asked.method == "PATCH":
            await sends(b"HTTP/1.1 204 No Content\r\n\r\n")(asked, writer)
        elif "organization" in asked.target:
            await says(b'{"value": [{"verifiedDomains": [{"name": "example.com"}]}]}')(asked, writer)
        else:
            await says(listed(b"[]", b"0"))(asked, writer)

    return signed_in(answer)


async def made(at: System) -> Done | Failed:
    resource = {"userPrincipalName": "ann@example.com", "accountEnabled": True, "email": "ann@example.com"}
    if at.name == "rest target":
        resource = {"email": "ann@example.com"}
    return await at.target.create("user", resource)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("id_", IDS_BY_PATH)
async def test_an_id_stays_within_its_place_of_the_url(id_: str, name: str, tmp_path: Path) -> None:
    peer = Peer(makes(id_))
    async with facing(peer, name, tmp_path) as (at, place):
        outcome = await made(at)
        assert isinstance(outcome, Done)
        assert outcome.account is not None
        assert outcome.account.id == id_
        await at.target.update("user", outcome.account.id, [Change("displayName", None, "Ann")], {})
    changed = [asked for asked in peer.asked if asked.method == "PATCH"]
    assert [asked.target for asked in changed] == [IDS_BY_PATH[id_].replace(USERS, PLACES[name])]
    assert {asked.headers["host"] for asked in peer.asked} == {place}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("id_", ODD_IDS)
async def test_what_names_no_resource_is_no_id(id_: object, name: str, tmp_path: Path) -> None:
    peer = Peer(makes(id_))
    async with facing(peer, name, tmp_path) as (at, _):
        outcome = await made(at)
    assert isinstance(outcome, Failed)
    assert "without an id" in outcome.reason
    assert {asked.method for asked in peer.asked} <= {"GET", "POST"}


# --- where tokens come from --------------------------------------------------------------------------------------

_TOKENS: dict[str, Answer] = {
    "a page of HTML": WRONG["a page of HTML"],
    "nothing at all": WRONG["nothing at all"],
    "an error in a success": says(b'{"error": "invalid_client", "error_description": "x"}'),
    "a token with a line break": says(rb'{"access_token": "a\r\nHost: elsewhere"}'),
    "a token of other letters": says('{"access_token": "ключ"}'.encode()),
    "a token that is a list": says(b'{"access_token": ["t"]}'),
    "a token that fits into no header": says(b'{"access_token": "%s"}' % (b"t" * 100_000)),
    "a redirect": sends(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
    "JSON of two hundred thousand levels": WRONG["JSON of two hundred thousand levels"],
}


@pytest.mark.parametrize("name", ["scim target", "graph source"])
@pytest.mark.parametrize("answer", [*TIRELESS, *by_name(_TOKENS)])
async def test_a_token_endpoint_that_means_harm_is_named_and_nothing_else_is_asked(
    answer: Answer, name: str, tmp_path: Path
) -> None:
    app, tokens = Peer(says(listed(b"[]", b"0"))), Peer(answer)
    async with serving(app.talk) as port, serving(tokens.talk) as other:
        url, token_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}/token"
        loaded = configured(tmp_path, name, url, IMPATIENT, token_url=token_url)
        async with asyncio.timeout(FOREVER_SECONDS), system(loaded, name) as at:
            came, wrong = await at.listed(), await at.tested()
    for said in (came.said, wrong[0]):
        assert f"token endpoint 127.0.0.1:{other}" in said
        assert TOKEN not in said
    assert (came.ids, came.complete, app.asked) == ([], False, [])


@pytest.mark.parametrize(
    "life", [b"", b', "expires_in": 0', b', "expires_in": -5', b', "expires_in": "soon"', b', "expires_in": 1e300']
)
async def test_a_token_that_does_not_say_how_long_it_lives_is_fetched_once(life: bytes, tmp_path: Path) -> None:
    app, tokens = Peer(says(listed(b"[]", b"0"))), Peer(says(b'{"access_token": "t"%s}' % life))
    async with serving(app.talk) as port, serving(tokens.talk) as other:
        url, token_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}/token"
        loaded = configured(tmp_path, "scim target", url, token_url=token_url)
        async with system(loaded, "scim target") as at:
            for _ in range(3):
                await at.listed()
    assert len(tokens.asked) == 1
    assert {asked.headers["authorization"] for asked in app.asked} == {"Bearer t"}
