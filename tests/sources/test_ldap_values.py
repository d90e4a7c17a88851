"""What a directory holds becomes what rules read."""

from __future__ import annotations

import pytest

pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")

from reconciler.core.model import SourceId
from reconciler.sources.ldap_ber import inside, number, parts, written
from reconciler.sources.ldap_names import Names, canonical, is_below
from reconciler.sources.ldap_values import filetime_of, guid_of, moment_of, ranged, sid_of, text_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=Ann,ou=People,dc=example,dc=com", "UID=ann,OU=people,DC=Example,DC=COM"),
        ("uid=ann, ou=people", "uid=ann,ou=people"),
        ("uid = ann,ou=people", "uid=ann,ou=people"),
        (r"cn=Doe\, Ann,ou=people", r"cn=Doe\2C Ann,ou=people"),
        (r"cn=a\41nn,ou=people", "cn=aAnn,ou=people"),
        ("cn=Ann  Marie,ou=people", "cn=ann marie,ou=people"),
        ("cn=ann+uid=1,ou=people", "uid=1+cn=Ann,ou=people"),
        ('cn="Ann",ou=people', "cn=Ann,ou=people"),
    ],
)
def test_names_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_names_that_differ_are_not_the_same() -> None:
    names = ("cn=a b,c=d", "cn=ab,c=d", r"cn=a\,b,c=d", "cn=a+b=c,c=d", "cn=a,b=c,c=d")
    assert len(set(map(canonical, names))) == len(names)
    assert canonical('cn="') is None


def test_below_is_at_or_under() -> None:
    assert is_below("ou=a,dc=b", "dc=b") and is_below("dc=b", "dc=b") and is_below("dc=b", "")
    assert not is_below("xdc=b", "dc=b") and not is_below("dc=b", "ou=a,dc=b")


def test_names_are_kept_with_their_anchors() -> None:
    names = Names()
    names.add((f"uid=u{n},dc=x", SourceId(str(n))) for n in range(3000))
    names.add([("uid=u1,dc=x", SourceId("other"))])
    assert names.ids(["UID=U2, DC=X", "uid=u1,dc=x", "uid=nobody,dc=x", "no name"]) == ["2", "other", None, None]
    assert len(names) == 3000
    names.close()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"133801632000000000", "2025-01-01T00:00:00Z"), (b"0", None), (b"9223372036854775807", None)],
)
def test_file_times_are_moments_or_never(value: bytes, shown: str | None) -> None:
    assert filetime_of(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"20261122014803Z", "2026-11-22T01:48:03Z"),
        (b"20261122014803.0Z", "2026-11-22T01:48:03Z"),
        (b"202611220148+0100", "2026-11-22T01:48:00+01:00"),
        (b"soon", "soon"),
    ],
)
def test_generalized_times_are_moments(value: bytes, shown: str) -> None:
    assert moment_of(value) == shown


def test_identifiers_are_written_as_people_write_them() -> None:
    sid = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770f4010000")
    assert sid_of(sid) == "S-1-5-21-2127521184-1604012920-1887927527-500"
    assert guid_of(bytes.fromhex("33221100554477668899aabbccddeeff")) == "00112233-4455-6677-8899-aabbccddeeff"
    assert (sid_of(b"S"), guid_of(b"short")) == ("S", "short")
    assert text_of(b"\xff\xd8") == "/9g="


def test_ranges_say_where_the_next_begins() -> None:
    assert ranged({"member": [], "member;range=0-1499": [b"x"]}, "member") == ([b"x"], 1500)
    assert ranged({"Member;Range=1500-*": [b"y"]}, "member") == ([b"y"], None)
    assert ranged({"MEMBER": [b"z"]}, "member") == ([b"z"], None)
    assert ranged({}, "member") == ([], None)


def test_long_and_negative_values_are_encoded() -> None:
    assert inside(written(0x30, number(-(2**31) | 1) + written(4, b"x" * 300))) == [
        (2, (-(2**31) | 1).to_bytes(4, "big", signed=True)),
        (4, b"x" * 300),
    ]
    with pytest.raises(ValueError, match="cut short"):
        list(parts(b"\x04\x05ab"))
