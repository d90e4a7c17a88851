"""A private Active Directory domain controller for the tests: Samba, where it is installed and we are root."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

BASE = "DC=example,DC=test"
PEOPLE, GROUPS, LEFT = (f"OU={ou},{BASE}" for ou in ("People", "Groups", "Left"))
ADMIN, ADMIN_PASSWORD = "Administrator@example.test", "Passw0rd-of-tests"
READER, READER_PASSWORD = "reader@example.test", "Passw0rd-of-readers"
_RUN_SECONDS_MAX = 3600
"""Whoever is killed leaves it running, and it takes a port that is always the same."""
_START_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.05
_FREE_OF_PASSWORD = 32
NORMAL, DISABLED = 512 | _FREE_OF_PASSWORD, 514 | _FREE_OF_PASSWORD


def why_no_samba() -> str | None:
    if which("samba-tool") is None or which("samba") is None:
        return "Samba's domain controller is not installed (make packages)"
    if os.geteuid() != 0:
        return "a Samba domain controller listens on port 389 and needs root"
    if find_spec("ldap") is None:
        return "python-ldap is not installed (make ldap)"
    return None


def person(who: str) -> str:
    return f"CN={who},{PEOPLE}"


def team(name: str) -> str:
    return f"CN={name},{GROUPS}"


class Samba:
    """One domain controller; changed through an administrator's connection."""

    def __init__(self, directory: Path, address: str) -> None:
        """`address` is one of 127.0.0.N that nobody else uses: the ports cannot be chosen."""
        self.directory, self.address = directory, address
        self.ca_file = directory / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Any = None

    @property
    def url(self) -> str:
        return f"ldaps://{self.address}"

    @property
    def plain_url(self) -> str:
        return f"ldap://{self.address}"

    def provision(self) -> None:
        """Make a domain with three units and a reader who is nobody special."""
        here = self.directory
        here.mkdir(parents=True, exist_ok=True)
        _run(
            *("samba-tool", "domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--server-role=dc"),
            *("--dns-backend=NONE", f"--adminpass={ADMIN_PASSWORD}", f"--targetdir={here}", "--host-name=dc1"),
            f"--host-ip={self.address}",
        )
        _run(
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "3",
                "-subj",
                "/CN=dc1.example.test",
            ),
            *("-addext", f"subjectAltName=IP:{self.address}", "-keyout", str(here / "key.pem")),
            *("-out", str(self.ca_file)),
        )
        (here / "key.pem").chmod(0o600)
        for name in ("cache", "run"):
            (here / name).mkdir()
        (here / "etc" / "smb.conf").write_text(_CONFIGURATION.format(here=here, address=self.address))

    def start(self) -> None:
        """Return when the server answers."""
        with (self.directory / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [
                    *("samba", "-F", "-s", str(self.directory / "etc" / "smb.conf"), "--debug-stdout", "-d1"),
                    f"--maximum-runtime={_RUN_SECONDS_MAX}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        give_up = time.monotonic() + _START_SECONDS_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"Samba did not start: {(self.directory / 'out').read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)  # noqa: TID251  # because Samba says nothing when it is ready

    def stop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.unbind_s()
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    # --- what an administrator does ------------------------------------------------------------------------------

    @property
    def admin(self) -> Any:
        """Return python-ldap's connection of the administrator."""
        if self._admin is None:
            self._admin = self._connected()
        return self._admin

    def settle(self) -> None:
        """Make the units and the reader."""
        for unit in (PEOPLE, GROUPS, LEFT):
            self.add(unit, objectClass="organizationalUnit")
        self.hire("reader", below=f"CN=Users,{BASE}")
        self.set(f"CN=reader,CN=Users,{BASE}", unicodePwd=f'"{READER_PASSWORD}"'.encode("utf-16-le"))

    def hire(self, who: str, *, below: str = PEOPLE, **attributes: str | bytes | Sequence[str]) -> str:
        """Make an account; return its objectGUID."""
        dn = f"CN={who},{below}"
        given: dict[str, str | bytes | Sequence[str]] = {
            "objectClass": "user",
            "sAMAccountName": who,
            "userPrincipalName": f"{who}@example.test",
            "displayName": who.capitalize(),
            "mail": f"{who}@example.test",
            "userAccountControl": str(NORMAL),
            **attributes,
        }
        self.add(dn, **{name: value for name, value in given.items() if value})
        return self.guid(dn)

    def found(self, name: str, *members: str) -> str:
        """Make a group; return its objectGUID."""
        more: dict[str, Sequence[str]] = {"member": members} if members else {}
        self.add(team(name), objectClass="group", sAMAccountName=name, **more)
        return self.guid(team(name))

    def add(self, dn: str, **attributes: str | bytes | Sequence[str]) -> None:
        self.admin.add_s(dn, [(name, _values(value)) for name, value in attributes.items()])

    def set(self, dn: str, **attributes: str | bytes | Sequence[str] | None) -> None:
        """Replace attributes; None takes one away."""
        import ldap

        changes = [
            (ldap.MOD_REPLACE, name, None if value is None else _values(value)) for name, value in attributes.items()
        ]
        self.admin.modify_s(dn, changes)

    def join(self, name: str, *members: str) -> None:
        import ldap

        self.admin.modify_s(team(name), [(ldap.MOD_ADD, "member", _values(members))])

    def leave(self, name: str, *members: str) -> None:
        import ldap

        self.admin.modify_s(team(name), [(ldap.MOD_DELETE, "member", _values(members))])

    def delete(self, dn: str) -> None:
        self.admin.delete_s(dn)

    def move(self, dn: str, rdn: str, below: str | None = None) -> None:
        self.admin.rename_s(dn, rdn, below)

    def guid(self, dn: str) -> str:
        [(_, found)] = self.admin.search_s(dn, 0, attrlist=["objectGUID"])
        return str(uuid.UUID(bytes_le=found["objectGUID"][0]))

    def empty(self) -> None:
        """Delete everybody and every group that tests made."""
        for unit in (PEOPLE, GROUPS, LEFT):
            for dn, _ in self.admin.search_s(unit, 1, attrlist=["1.1"]):
                self.delete(dn)

    def _connected(self) -> Any:
        import ldap

        connection = ldap.initialize(self.url)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(self.ca_file))
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        connection.simple_bind_s(ADMIN, ADMIN_PASSWORD)
        return connection

    def _answers(self) -> bool:
        import ldap

        try:
            socket.create_connection((self.address, 636), timeout=1).close()
            self._connected().unbind_s()
        except (OSError, ldap.LDAPError):
            return False
        return True


@contextmanager
def running_samba(directory: Path, address: str) -> Iterator[Samba]:
    """Run a domain controller on an address of this machine."""
    server = Samba(directory, address)
    server.provision()
    server.start()
    try:
        server.settle()
        yield server
    finally:
        server.stop()


_CONFIGURATION = """
[global]
	netbios name = DC1
	workgroup = EXAMPLE
	realm = EXAMPLE.TEST
	server role = active directory domain controller
	server services = ldap
	interfaces = {address}/8
	bind interfaces only = Yes
	binddns dir = {here}/bind-dns
	cache directory = {here}/cache
	lock directory = {here}
	pid directory = {here}/run
	ncalrpc dir = {here}/run/ncalrpc
	winbindd socket directory = {here}/run/winbindd
	ntp signd socket directory = {here}/run/ntp_signd
	private dir = {here}/private
	state directory = {here}/state
	log file = {here}/log.%m
	logging = file
	ldap server require strong auth = allow_sasl_over_tls
	tls enabled = yes
	tls keyfile = {here}/key.pem
	tls certfile = {here}/ca.pem
	tls cafile = {here}/ca.pem
[sysvol]
	path = {here}/state/sysvol
	read only = No
"""


def _values(value: str | bytes | Sequence[str]) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    return [value.encode()] if isinstance(value, str) else [one.encode() for one in value]


def _run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C", **(environment or {})})
    assert done.returncode == 0, (command[0], done.stderr.decode()[-2000:])
