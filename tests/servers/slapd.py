"""A private OpenLDAP server for the tests, where one is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import quote

BASE = "dc=example,dc=test"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{BASE}", "admin-secret"
READER, READER_PASSWORD = f"cn=reader,ou=system,{BASE}", "reader-secret"
_SLAPD = which("slapd") or "/usr/sbin/slapd"
_SLAPADD = which("slapadd") or "/usr/sbin/slapadd"
_LONG_LOG = "syncprov-sessionlog-source cn=accesslog"
_START_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.02


def why_no_slapd() -> str | None:
    if not Path(_SLAPD).exists() or which("openssl") is None:
        return "slapd is not installed (make packages)"
    if find_spec("ldap") is None:
        return "python-ldap is not installed (make ldap)"
    return None


def user(id_: str, **attributes: str | Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    """Return (DN, attributes) of somebody; what is not said is made up."""
    given = {
        "objectClass": "inetOrgPerson",
        "uid": id_,
        "cn": id_.capitalize(),
        "sn": id_.capitalize(),
        "displayName": id_.capitalize(),
        "mail": f"{id_}@example.test",
        "title": "Engineer",
        "employeeType": "active",
        **attributes,
    }
    return person(id_), {name: [v] if isinstance(v, str) else list(v) for name, v in given.items() if v}


def person(id_: str) -> str:
    return f"uid={id_},{PEOPLE}"


def group(name: str, members: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    return team(name), {"objectClass": ["groupOfNames"], "cn": [name], "member": list(members) or [""]}


def team(name: str) -> str:
    return f"cn={name},{GROUPS}"


class Slapd:
    """One server with a directory of its own; changed through an administrator's connection."""

    def __init__(self, directory: Path, *, session_log: str = _LONG_LOG, syncprov: bool = True) -> None:
        self.directory = directory
        self.ca_file = directory / "ca.pem"
        self.session_log = session_log
        self.syncprov = syncprov
        self.port, self.tls_port = 0, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Any = None

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def named_tls_url(self) -> str:
        """Return an address that leads here under a name which the certificate does not have."""
        return f"ldaps://127.0.0.2:{self.tls_port}"

    @property
    def socket_url(self) -> str:
        return f"ldapi://{quote(str(self.directory / 'ldapi'), safe='')}"

    def prepare(self, entries: Sequence[tuple[str, Mapping[str, Sequence[str]]]] = ()) -> None:
        """Make certificate, configuration and directory; `entries` come below the units that are always there."""
        for name in ("db", "log", "run"):
            (self.directory / name).mkdir(parents=True)
        key = self.directory / "key.pem"
        _run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "3", "-subj", "/CN=directory.example.test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(self.ca_file)),
        )
        self._certify_client(key)
        self.configure()
        lines = [
            _ldif(BASE, {"objectClass": ["dcObject", "organization"], "dc": ["example"], "o": ["Example"]}),
            *(_ldif(f"ou={ou},{BASE}", {"objectClass": ["organizationalUnit"], "ou": [ou]}) for ou in _UNITS),
            _ldif(READER, {**_READER, "userPassword": [READER_PASSWORD]}),
            *(_ldif(dn, attributes) for dn, attributes in entries),
        ]
        slapadd = (_SLAPADD, "-q", "-w", "-f", str(self.directory / "slapd.conf"), "-b", BASE)
        _run(*slapadd, feed="".join(lines).encode())

    def configure(self) -> None:
        """Write the configuration."""
        text = _CONFIGURATION.format(
            here=self.directory, base=BASE, admin=ADMIN, password=ADMIN_PASSWORD, reader=READER
        )
        (self.directory / "slapd.conf").write_text(f"{text}{_SYNCPROV if self.syncprov else ''}{self.session_log}\n")

    def start(self) -> None:
        """Return when the server answers."""
        self.port, self.tls_port = self.port or _free_port(), self.tls_port or _free_port()
        urls = f"{self.url} {self.tls_url} {self.named_tls_url} {self.socket_url}"
        with (self.directory / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [_SLAPD, "-f", str(self.directory / "slapd.conf"), "-h", urls, "-d", "0"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        give_up = time.monotonic() + _START_SECONDS_MAX
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"slapd did not start: {(self.directory / 'out').read_text()}")
            time.sleep(_POLL_SECONDS)  # noqa: TID251  # because slapd says nothing when it is ready

    def stop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.unbind_s()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(30)

    def limit_reader(self, limits: str) -> None:
        """Give the reader other limits."""
        self.reconfigure("size=unlimited time=unlimited", limits)

    def reconfigure(self, line: str, other: str) -> None:
        """Put something else into the configuration, and start again."""
        self.stop()
        path = self.directory / "slapd.conf"
        text = path.read_text()
        assert line in text
        path.write_text(text.replace(line, other))
        self.start()

    # --- what an administrator does ------------------------------------------------------------------------------

    @property
    def admin(self) -> Any:
        """Return python-ldap's connection of the administrator."""
        import ldap

        if self._admin is None:
            self._admin = ldap.initialize(self.url)
            self._admin.simple_bind_s(ADMIN, ADMIN_PASSWORD)
        return self._admin

    def add(self, *entries: tuple[str, Mapping[str, Sequence[str]]]) -> None:
        for dn, attributes in entries:
            self.admin.add_s(dn, [(name, [v.encode() for v in values]) for name, values in attributes.items()])

    def set(self, dn: str, **attributes: str | Sequence[str] | None) -> None:
        """Replace attributes; None takes one away."""
        import ldap

        changes = []
        for name, value in attributes.items():
            values = [value] if isinstance(value, str) else value
            changes.append((ldap.MOD_REPLACE, name, None if values is None else [v.encode() for v in values]))
        self.admin.modify_s(dn, changes)

    def join(self, name: str, *members: str) -> None:
        import ldap

        self.admin.modify_s(team(name), [(ldap.MOD_ADD, "member", [one.encode() for one in members])])

    def leave(self, name: str, *members: str) -> None:
        import ldap

        self.admin.modify_s(team(name), [(ldap.MOD_DELETE, "member", [one.encode() for one in members])])

    def delete(self, dn: str) -> None:
        self.admin.delete_s(dn)

    def rename(self, dn: str, rdn: str, below: str | None = None) -> None:
        self.admin.rename_s(dn, rdn, below)

    def uuid(self, dn: str) -> str:
        """Return the entryUUID of an entry."""
        [(_, found)] = self.admin.search_s(dn, 0, attrlist=["entryUUID"])
        return str(found["entryUUID"][0].decode())

    def statistics(self) -> dict[str, int]:
        """Return what the server says that it has sent so far: entries and bytes, by name."""
        found = self.admin.search_s("cn=Statistics,cn=Monitor", 1, attrlist=["cn", "monitorCounter"])
        counted = {of["cn"][0].decode(): int(of["monitorCounter"][0]) for _, of in found}
        return {name: counted[name] for name in ("Entries", "Bytes")}

    def _certify_client(self, key: Path) -> None:
        """Make a certificate for SASL EXTERNAL, signed with the server's own key."""
        client_key, request = self.directory / "client.key", self.directory / "client.csr"
        _run(
            *("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=reconciler", "-keyout", str(client_key), "-out", str(request)),
        )
        _run(
            *("openssl", "x509", "-req", "-in", str(request), "-CA", str(self.ca_file), "-CAkey", str(key)),
            *("-CAcreateserial", "-days", "3", "-out", str(self.directory / "client.pem")),
        )


@contextmanager
def running_slapd(
    directory: Path,
    entries: Sequence[tuple[str, Mapping[str, Sequence[str]]]] = (),
    *,
    session_log: str = _LONG_LOG,
    syncprov: bool = True,
) -> Iterator[Slapd]:
    """Run a server on free ports of this machine."""
    server = Slapd(directory, session_log=session_log, syncprov=syncprov)
    server.prepare(entries)
    server.start()
    try:
        yield server
    finally:
        server.stop()


_UNITS = ("people", "groups", "system", "left")
_READER = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": ["reader"]}
_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {here}/run/slapd.pid
argsfile {here}/run/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
moduleload memberof
moduleload refint
moduleload accesslog
TLSCACertificateFile {here}/ca.pem
TLSCertificateFile {here}/ca.pem
TLSCertificateKeyFile {here}/key.pem
TLSVerifyClient try
authz-regexp gidNumber=.*,cn=peercred,cn=external,cn=auth "{reader}"
authz-regexp cn=reconciler "{reader}"
sizelimit 500
threads 4
sortvals member memberOf
access to attrs=userPassword by anonymous auth by * none
access to dn.exact="" by * read
access to * by users read

database monitor

database mdb
suffix cn=accesslog
rootdn {admin}
directory {here}/log
envflags nosync
index objectClass,reqStart,reqEnd,reqResult,entryCSN,reqType eq
limits dn.exact="{reader}" size=unlimited time=unlimited
overlay syncprov
syncprov-nopresent TRUE
syncprov-reloadhint TRUE

database mdb
suffix {base}
rootdn {admin}
rootpw {password}
directory {here}/db
maxsize 1073741824
envflags nosync
index objectClass,entryUUID,entryCSN,modifyTimestamp,uid,mail,member,memberOf eq
limits dn.exact="{reader}" size=unlimited time=unlimited
overlay memberof
memberof-refint TRUE
overlay refint
refint_attributes manager member
refint_nothing {admin}
overlay accesslog
logdb cn=accesslog
logops writes
logold (objectClass=*)
logsuccess TRUE
logpurge 07+00:00 01+00:00
"""
_SYNCPROV = """overlay syncprov
syncprov-checkpoint 100 5
"""


def _ldif(dn: str, attributes: Mapping[str, Sequence[str]]) -> str:
    lines = [f"dn: {dn}"]
    for name, values in attributes.items():
        for value in values:
            plain = value.isascii() and value.isprintable() and value[:1] not in (" ", ":", "<")
            lines.append(f"{name}: {value}" if plain else f"{name}:: {_base64(value)}")
    return "\n".join(lines) + "\n\n"


def _base64(value: str) -> str:
    import base64

    return base64.b64encode(value.encode()).decode()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _run(*command: str, feed: bytes = b"") -> None:
    done = subprocess.run(command, input=feed, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, (command[0], done.stderr.decode())
