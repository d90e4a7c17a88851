"""Peers that are not who they say: a certificate that must not be trusted ends it before anything is sent."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconciler.core.outcomes import Failed, Fault
from reconciler.net.exchange import AiohttpExchange, tls_context
from reconciler.ports import Request
from tests.hostile.peers import Peer, says
from tests.net.sockets import serving

EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
FAR = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
HERE = x509.IPAddress(ip_address("127.0.0.1"))


class Authority:
    """A certificate authority of our own; what it signs is trusted where its certificate is the ca_file."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._signed(self._name, self._key, EPOCH, FAR, None)
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def server(
        self, begins: datetime.datetime = EPOCH, ends: datetime.datetime = FAR, name: x509.GeneralName = HERE
    ) -> ssl.SSLContext:
        """Return what a server speaks TLS with that has such a certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
        pem = self._directory / "peer.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + self._signed(subject, key, begins, ends, name).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: datetime.datetime,
        ends: datetime.datetime,
        name: x509.GeneralName | None,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(begins).not_valid_after(ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def of_a_stranger(ours: Authority, directory: Path) -> ssl.SSLContext:
    return Authority(directory, "stranger").server()


PEERS: dict[str, Callable[[Authority, Path], ssl.SSLContext]] = {
    "expired": lambda ours, _: ours.server(ends=EPOCH + DAY),
    "not valid yet": lambda ours, _: ours.server(begins=FAR - DAY),
    "of another address": lambda ours, _: ours.server(name=x509.IPAddress(ip_address("127.0.0.2"))),
    "of a name, where an address was asked for": lambda ours, _: ours.server(name=x509.DNSName("127.0.0.1")),
    "signed by somebody else": of_a_stranger,
}


async def asked(tls: ssl.SSLContext, ca_file: Path, peer: Peer) -> tuple[object, int]:
    async with serving(peer.talk, tls) as port:
        exchange = AiohttpExchange(ca_file=ca_file)
        try:
            return await exchange(
                Request("GET", f"https://127.0.0.1:{port}/Users", {"Authorization": "Bearer x"})
            ), port
        finally:
            await exchange.aclose()


@pytest.mark.parametrize("make", PEERS.values(), ids=PEERS.keys())
async def test_a_certificate_that_is_not_the_peers_ends_it(
    make: Callable[[Authority, Path], ssl.SSLContext], tmp_path: Path
) -> None:
    ours, peer = Authority(tmp_path, "ours"), Peer(says(b"{}"))
    outcome, port = await asked(make(ours, tmp_path), ours.file, peer)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNREACHABLE
    assert f"the certificate of 127.0.0.1:{port} is not trusted" in outcome.reason
    assert peer.asked == []


async def test_the_same_authority_signs_a_peer_that_is_trusted(tmp_path: Path) -> None:
    ours, peer = Authority(tmp_path, "ours"), Peer(says(b"{}"))
    await asked(ours.server(), ours.file, peer)
    assert len(peer.asked) == 1


async def test_an_old_tls_is_not_spoken(tmp_path: Path) -> None:
    ours, peer = Authority(tmp_path, "ours"), Peer(says(b"{}"))
    old = ours.server()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    outcome, _ = await asked(old, ours.file, peer)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNREACHABLE
    assert "TLS" in outcome.reason
    assert peer.asked == []


@pytest.mark.parametrize("with_authority", [True, False])
def test_there_is_no_way_to_trust_everybody(with_authority: bool, tmp_path: Path) -> None:
    context = tls_context(Authority(tmp_path, "ours").file if with_authority else None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
