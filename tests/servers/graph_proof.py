"""Certificates for the tests of sign-ins, and what a token endpoint thinks of statements signed with them."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID


def certificate_and_key() -> tuple[bytes, bytes]:
    """Return a self-signed certificate and its private key, both as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reconciler")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC))
        .sign(key, hashes.SHA256())
    )
    form, without = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(pem, form, without)


def mistrusted(assertion: str, certificate_pem: bytes, client_id: str, audience: str) -> str | None:
    """Return why a statement is refused, None where it is not: signature, thumbprint, who says it to whom, how long."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    parts = assertion.split(".")
    if len(parts) != 3:
        return "AADSTS50027: JWT token is invalid or malformed."
    header, claims = (orjson.loads(_decoded(part)) for part in parts[:2])
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    if header != {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}:
        return "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered."
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    try:
        key.verify(_decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode(), pss, hashes.SHA256())
    except InvalidSignature:
        return "AADSTS700027: Client assertion failed signature validation."
    return _wrong_claims(claims, client_id, audience)


def _wrong_claims(claims: dict[str, Any], client_id: str, audience: str) -> str | None:
    if claims["iss"] != client_id or claims["sub"] != client_id:
        return "AADSTS700212: The issuer or subject of the assertion is not the client."
    if claims["aud"] != audience:
        return "AADSTS700212: No matching federated identity record found for presented assertion audience."
    if not claims["jti"] or not claims["nbf"] <= claims["iat"] < claims["exp"] <= claims["nbf"] + 600:
        return "AADSTS700024: Client assertion is not within its valid time range."
    return None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
