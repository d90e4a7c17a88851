"""The table of a directory: what it becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config
from reconciler.config import LdapSourceSettings, SimpleBindSettings
from reconciler.errors import ConfigError

SIMPLE = 'bind = { type = "simple", dn = "cn=reader", password = { env = "SECRET" } }\nbase = "dc=example,dc=com"\n'
SOUND = f'url = "ldaps://directory.example.com"\n{SIMPLE}'


def source(text: str, directory: Path) -> LdapSourceSettings:
    path = directory / "config.toml"
    path.write_text(f'[sources.a]\ntype = "ldap"\n{text}', "utf-8")
    found = config.load(path).sources["a"]
    assert isinstance(found, LdapSourceSettings)
    return found


def test_little_has_to_be_said(tmp_path: Path) -> None:
    found = source(SOUND, tmp_path)
    assert isinstance(found.bind, SimpleBindSettings)
    assert (found.users_filter, found.groups_filter, found.anchor) == (
        "(objectClass=inetOrgPerson)",
        "(objectClass=groupOfNames)",
        "entryUUID",
    )
    assert found.users_base == found.groups_base == "dc=example,dc=com"
    assert (found.changes, found.page_size, found.timeout_seconds, found.start_tls) == ("auto", 1000, 30.0, False)


def test_active_directory_has_defaults_of_its_own(tmp_path: Path) -> None:
    found = source(SOUND + 'directory = "active_directory"\nnested = true\n', tmp_path)
    assert (found.users_filter, found.groups_filter, found.anchor, found.nested) == (
        "(&(objectCategory=person)(objectClass=user))",
        "(objectClass=group)",
        "objectGUID",
        True,
    )


@pytest.mark.parametrize(
    "url", ["ldap://127.0.0.1:389", "ldapi://%2Frun%2Fslapd%2Fldapi", "ldaps://[2001:db8::1]:636", "ldap://localhost"]
)
def test_ways_that_are_protected_or_do_not_leave_the_machine(tmp_path: Path, url: str) -> None:
    assert source(f'url = "{url}"\n{SIMPLE}', tmp_path).url == url


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'url = "ldap://dc.example.com"\n{SIMPLE}', "would travel unprotected"),
        (f'url = "https://dc.example.com"\n{SIMPLE}', "must begin with ldaps://"),
        (f'url = "ldaps://"\n{SIMPLE}', "names no host"),
        (f'url = "ldaps://dc.example.com/dc=example?mail"\n{SIMPLE}', "must have a host and a port, and nothing more"),
        (f'url = "ldaps://reader:secret@dc.example.com"\n{SIMPLE}', "must have a host and a port, and nothing more"),
        (f"{SOUND}start_tls = true\n", "start_tls goes with ldap://"),
        (f'{SOUND}client_key = "us.key"\n', "client_key goes with client_cert"),
        (f"{SOUND}nested = true\n", 'nested goes with directory = "active_directory"'),
        (f'{SOUND}directory = "active_directory"\nanchor = "mail"\n', "anchor is objectGUID"),
        (f'{SOUND}users = "(objectClass=person"\n', "is no filter: a ) is missing at character 20"),
        (f'{SOUND}groups = "cn=*"\n', "is no filter: a filter begins with ( at character 1"),
        (f"{SOUND}verify = false\n", "verify"),
        (f"{SOUND}page_size = 5000\n", "page_size"),
        (
            'url = "ldaps://d"\nbase = "dc=x"\nbind = { type = "simple", dn = "a", password = "pa55w0rd" }\n',
            "bind",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        source(text, tmp_path)
    assert said in str(error.value)
    assert "secret" not in str(error.value).replace("a secret", "") and "pa55w0rd" not in str(error.value)
