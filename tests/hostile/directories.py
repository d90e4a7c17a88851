"""Directories on real sockets that mean harm: each answers a search as its name promises."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from reconciler.sources import ldap_ber as ber
from tests.servers import ldap_messages as ldap
from tests.servers.ldap_messages import Searched

BASE = "dc=example,dc=test"
PEOPLE = ("ann", "bob", "cleo")
ELSEWHERE = "ldap://127.0.0.1:{port}/ou=elsewhere,dc=example,dc=test"
_PAUSE_SECONDS = 0.05
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Search:
    """One search, and how it can be answered."""

    of: Searched
    number: bytes
    writer: asyncio.StreamWriter

    async def send(self, *answers: bytes, controls: bytes = b"") -> None:
        """Send answers; the controls go with the last."""
        for answer in answers[:-1]:
            self.writer.write(ldap.message(self.number, answer))
        self.writer.write(ldap.message(self.number, answers[-1], controls))
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Answer = Callable[[Search], Awaitable[None]]


def person(name: str, **more: bytes) -> bytes:
    return ldap.entry(f"uid={name},{BASE}".encode(), {**_attributes(name), **{key: [v] for key, v in more.items()}})


def _attributes(name: str) -> dict[str, list[bytes]]:
    return {"uid": [name.encode()], "mail": [f"{name}@example.test".encode()], "displayName": [name.encode()]}


def done(code: int = 0, said: bytes = b"", urls: Sequence[str] = ()) -> bytes:
    return ldap.result(ldap.DONE, code, said, urls)


async def honest(search: Search) -> None:
    """Show everybody, page by page."""
    start, size = int(search.of.cookie or 0), search.of.page_size or len(PEOPLE)
    page = PEOPLE[start : start + size]
    more = start + len(page) < len(PEOPLE)
    await search.send(*map(person, page), done(), controls=ldap.paged(str(start + len(page)).encode() if more else b""))


@dataclass(slots=True)
class Directory:
    """Lets everybody in, and answers searches as `answer` does."""

    answer: Answer = honest
    bind: tuple[int, bytes] | None = (0, b"")
    """What a bind is answered with: code and words; None: nothing."""
    protection: ssl.SSLContext | None = None
    """What it protects a connection with when it is asked to (StartTLS); None: it refuses."""
    said: list[bytes] = field(default_factory=list)
    """Everything that anybody sent, as it was."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            taken = await _message(reader)
            self.said.append(taken)
            (_, number), (tag, content), *rest = ber.inside(taken)
            if tag == ldap.UNBIND:
                return
            if tag == ldap.BIND and self.bind is not None:
                writer.write(ldap.message(number, ldap.result(ldap.BOUND, *self.bind)))
            elif tag == ldap.EXTENDED:
                writer.write(ldap.message(number, ldap.result(ldap.EXTENDED_DONE, 0 if self.protection else 2)))
                if self.protection is not None:
                    await writer.drain()
                    await writer.start_tls(self.protection)
            elif tag == ldap.SEARCH:
                of = ldap.searched(content, rest[0][1] if rest else b"")
                await self.answer(Search(of, number, writer))
            await writer.drain()


async def _message(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while ldap.whole(data) is None:
        data += await reader.readexactly(1)
    return data


# --- what they do --------------------------------------------------------------------------------------------------


async def silent(search: Search) -> None:
    await asyncio.Event().wait()


async def closes_within_a_page(search: Search) -> None:
    """The first page is whole; the second is not."""
    if not search.of.cookie:
        await honest(search)
        return
    await search.send(person("cleo"))
    search.writer.close()


async def closes_within_an_entry(search: Search) -> None:
    await search.raw(ldap.message(search.number, person("ann"))[:20])
    search.writer.close()


async def drips_entries(search: Search) -> None:
    while True:
        await search.send(person("ann"))
        await _pause()


async def drips_bytes(search: Search) -> None:
    for one in ldap.message(search.number, person("ann", description=b"x" * 10_000)):
        await search.raw(bytes((one,)))
        await _pause()


async def the_same_page(search: Search) -> None:
    await search.send(person("ann"), person("bob"), done(), controls=ldap.paged(b"more"))


async def pages_in_circles(search: Search) -> None:
    """The first page comes once, the others again and again."""
    number = int(search.of.cookie or 0)
    names = PEOPLE if number == 0 else (PEOPLE[number % 3],)
    await search.send(*map(person, names), done(), controls=ldap.paged(str(number + 1).encode()))


async def empty_pages(search: Search) -> None:
    await search.send(done(), controls=ldap.paged(b"more"))


async def limits_size(search: Search) -> None:
    await search.send(person("ann"), done(4, b"that is all you get"))


async def not_ldap(search: Search) -> None:
    await search.raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 10)


async def answers_another_question(search: Search) -> None:
    await search.raw(ldap.message(b"\x7f", person("ann")) + ldap.message(b"\x7f", done()))
    await asyncio.Event().wait()


async def a_name_that_is_no_text(search: Search) -> None:
    await search.send(ldap.entry(b"uid=\xff\xfe," + BASE.encode(), _attributes("ann")), done())


async def a_name_that_is_no_name(search: Search) -> None:
    await search.send(ldap.entry(b"\x00=,,=\n", _attributes("ann")), done())


async def words_that_are_no_text(search: Search) -> None:
    await search.send(done(80, b"\xff\xfe" * 100))


async def words_without_end(search: Search) -> None:
    await search.send(done(80, b"no\n" * 100_000))


async def a_control_that_is_none(search: Search) -> None:
    await search.send(person("ann"), done(), controls=ldap.control(b"\xff\xff\xff"))


async def entries_without_an_anchor(search: Search) -> None:
    await search.send(ldap.entry(f"uid=ann,{BASE}".encode(), {"mail": [b"ann@example.test"]}), done())


async def a_length_beyond_everything(search: Search) -> None:
    await search.raw(b"\x30\x84\xff\xff\xff\xff\x02\x01")
    await asyncio.Event().wait()


async def lengths_that_do_not_fit(search: Search) -> None:
    inner = ber.written(ber.INTEGER, search.number) + b"\x64\x82\xff\xff" + b"x" * 20
    await search.raw(ber.written(ber.SEQUENCE, inner))
    await asyncio.Event().wait()


HARMFUL: dict[str, tuple[Answer, str]] = {
    "never answers": (silent, "no answer within 0.6 s"),
    "closes in the middle of a page": (closes_within_a_page, "Can't contact"),
    "closes in the middle of an entry": (closes_within_an_entry, "Can't contact"),
    "sends an entry now and then, for ever": (drips_entries, "no answer within 0.6 s"),
    "sends a byte now and then": (drips_bytes, "no answer within 0.6 s"),
    "gives the same page for ever": (the_same_page, "go round in circles"),
    "gives pages that go round": (pages_in_circles, "go round in circles"),
    "gives empty pages for ever": (empty_pages, "pages in a row show nobody"),
    "gives no more than so many": (limits_size, "Size limit exceeded"),
    "speaks something else": (not_ldap, ""),
    "answers another question": (answers_another_question, "no answer within 0.6 s"),
    "names somebody in no text": (a_name_that_is_no_text, "cannot be read"),
    "names somebody in no name": (a_name_that_is_no_name, ""),
    "says why in no text": (words_that_are_no_text, ""),
    "says why without end": (words_without_end, "no no no"),
    "ends a page in nonsense": (a_control_that_is_none, ""),
    "shows no anchor": (entries_without_an_anchor, "does not show one uid"),
    "promises four gigabytes": (a_length_beyond_everything, "no answer within 0.6 s"),
    "sends lengths that do not fit": (lengths_that_do_not_fit, ""),
}
"""How a search is answered, and what is said of it."""


# --- as fast as it is taken ----------------------------------------------------------------------------------------


async def a_message_of_half_a_gigabyte(search: Search) -> None:
    """And every byte of it is sent."""
    head = ber.written(ber.INTEGER, search.number)
    length = 512 * _MIB
    await search.raw(b"\x30\x84" + length.to_bytes(4, "big") + head + b"\x64\x84" + (length - 9).to_bytes(4, "big"))
    block = bytes(_MIB)
    while True:
        await search.raw(block)


async def entries_without_end(search: Search) -> None:
    block = b"".join(ldap.message(search.number, person(f"p{n}")) for n in range(1000))
    while True:
        await search.raw(block)


async def entries_of_many_mib(search: Search) -> None:
    long = ldap.message(search.number, person("ann", description=bytes(80 * _MIB)))
    while True:
        await search.raw(long)


FLOODS: dict[str, tuple[Answer, str]] = {
    "one message of half a gigabyte": (a_message_of_half_a_gigabyte, "is longer than 64 MiB"),
    "entries without end": (entries_without_end, "entries come for one question"),
    "entries of many MiB": (entries_of_many_mib, "is longer than 64 MiB"),
}


async def _pause() -> None:
    await asyncio.sleep(_PAUSE_SECONDS)  # noqa: TID251  # a directory that drips lives on the loop's clock
