"""Directories that are not who they say: nothing is said to them, and the password least of all."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reconciler.core.outcomes import Fault
from reconciler.ports import Wanted
from reconciler.runtime.clock import SystemClock
from tests.hostile.directories import BASE, PEOPLE, Directory
from tests.hostile.test_tls import PEERS, Authority
from tests.net.sockets import hang, serving
from tests.sources.contract import Seen, read

pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")

from reconciler.sources.ldap import LdapSource
from reconciler.sources.ldap_layout import Layout, Place
from reconciler.sources.ldap_refusals import Address
from reconciler.sources.ldap_wire import SimpleBind

PASSWORD = "canary-Password"
WAYS = pytest.mark.parametrize("start_tls", [False, True], ids=["LDAPS", "StartTLS"])
USERS = Wanted(frozenset({"mail"}), frozenset())
LAYOUT = Layout(Place(BASE, "(uid=*)"), Place(BASE, "(cn=*)"), anchor="uid")


@asynccontextmanager
async def speaking(tls: ssl.SSLContext | None, *, start_tls: bool) -> AsyncIterator[tuple[Directory, str]]:
    """Give a directory and its address; without a context it cannot protect a connection."""
    directory = Directory(protection=tls if start_tls else None)
    async with serving(directory.talk, None if start_tls else tls) as port:
        yield directory, f"{'ldap' if start_tls else 'ldaps'}://127.0.0.1:{port}"


async def seen_by(url: str, ca_file: Path, *, start_tls: bool) -> Seen:
    address = Address(url, start_tls=start_tls, ca_file=ca_file, timeout_seconds=1.0)
    source = LdapSource(
        "staff", address, SimpleBind(f"cn=reader,{BASE}", lambda: PASSWORD), LAYOUT, changes="none", clock=SystemClock()
    )
    try:
        return await read(source, USERS, None)
    finally:
        await source.close()


def is_refused(seen: Seen, url: str, *words: str) -> None:
    [end] = seen.ends.values()
    assert not end.complete and not seen.users
    assert end.fault is not None and end.fault.fault is Fault.UNREACHABLE
    assert all(word in end.problems[0] for word in (url, *words)), end.problems


@WAYS
@pytest.mark.parametrize("make", PEERS.values(), ids=PEERS.keys())
async def test_a_certificate_that_is_not_the_directorys_ends_it(
    make: Callable[[Authority, Path], ssl.SSLContext], start_tls: bool, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "ours")
    async with speaking(make(ours, tmp_path), start_tls=start_tls) as (directory, url):
        is_refused(await seen_by(url, ours.file, start_tls=start_tls), url, "certificate is refused")
    assert PASSWORD.encode() not in b"".join(directory.said)


@WAYS
async def test_the_same_authority_signs_a_directory_that_is_trusted(start_tls: bool, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    async with speaking(ours.server(), start_tls=start_tls) as (_, url):
        seen = await seen_by(url, ours.file, start_tls=start_tls)
    assert seen.complete, seen.ends
    assert seen.users.keys() == set(PEOPLE)


@WAYS
@pytest.mark.parametrize(
    ("written", "why"), [(None, "No such file or directory"), (b"no certificate", "no certificate or crl found")]
)
async def test_an_authority_of_ours_that_cannot_be_used_is_named(
    written: bytes | None, why: str, start_tls: bool, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path, "ours"), tmp_path / "other.pem"
    if written is not None:
        other.write_bytes(written)
    async with speaking(ours.server(), start_tls=start_tls) as (_, url):
        is_refused(await seen_by(url, other, start_tls=start_tls), url, f"ca_file {other} cannot be used: {why}")


async def test_a_port_that_speaks_no_tls_is_told_as_that(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    async with speaking(None, start_tls=True) as (_, url):
        seen = await seen_by(url.replace("ldap:", "ldaps:"), ours.file, start_tls=False)
    [end] = seen.ends.values()
    assert "does 127.0.0.1 speak TLS on port " in end.problems[0]


@WAYS
async def test_an_old_tls_is_not_spoken_to_a_directory(start_tls: bool, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    old = ours.server()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with speaking(old, start_tls=start_tls) as (directory, url):
        is_refused(await seen_by(url, ours.file, start_tls=start_tls), url, "TLS")
    assert PASSWORD.encode() not in b"".join(directory.said)


async def test_a_directory_that_refuses_to_protect_the_way_is_told_nothing_in_the_clear(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    async with speaking(None, start_tls=True) as (directory, url):
        is_refused(await seen_by(url, ours.file, start_tls=True), url, "TLS")
    assert PASSWORD.encode() not in b"".join(directory.said)


@WAYS
async def test_a_directory_that_says_nothing_is_left(start_tls: bool, tmp_path: Path) -> None:
    """Also in the middle of making the way safe."""
    ours = Authority(tmp_path, "ours")
    async with serving(hang) as port:
        url = f"{'ldap' if start_tls else 'ldaps'}://127.0.0.1:{port}"
        is_refused(await seen_by(url, ours.file, start_tls=start_tls), url)
