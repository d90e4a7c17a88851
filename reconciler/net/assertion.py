"""Proves to a token endpoint who we are by a signed statement in place of a secret (RFC 7523 §2.2)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import orjson

from reconciler.errors import ConfigError, Problem
from reconciler.ports import Clock, Dice

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE_SECONDS = 300
_BYTES_MAX = 65_536


def by_certificate(
    read_pem: Callable[[], str], client_id: str, token_url: str, clock: Clock, dice: Dice
) -> Callable[[], str]:
    """Return what makes a statement, good for five minutes, signed with the key beside a certificate (both as PEM).

    Its form is that of Microsoft's certificate credentials: PS256, the certificate named by its SHA-256 thumbprint.
    It raises ConfigError where certificate or key cannot be used; never with anything of them in its text.
    """

    def assertion() -> str:
        thumbprint, sign = _signer(read_pem())
        now = int(clock.now())
        claims: dict[str, str | int] = {"aud": token_url, "iss": client_id, "sub": client_id, "jti": dice.hex(32)}
        claims |= {"nbf": now, "iat": now, "exp": now + _LIFE_SECONDS}
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": _encoded(thumbprint)}
        said = f"{_encoded(orjson.dumps(header))}.{_encoded(orjson.dumps(claims))}"
        return f"{said}.{_encoded(sign(said.encode()))}"

    return assertion


def from_file(path: Path, where: str) -> Callable[[], str]:
    """Return what reads the statement that somebody else signs and keeps fresh in a file (workload identity)."""

    def assertion() -> str:
        try:
            with path.open("rb") as file:
                return file.read(_BYTES_MAX).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(Problem(where, f"the token in {path} cannot be read")) from None

    return assertion


def _signer(pem: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Return the certificate's thumbprint and what signs with its key."""
    try:
        # Only who signs in with a certificate needs it.
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ModuleNotFoundError:
        hint = "pip install 'reconciler[certificate]'"
        raise ConfigError(Problem("certificate", "cryptography is not installed", hint)) from None
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        hint = "PEM with the certificate and its private key, without a passphrase"
        raise ConfigError(Problem("certificate", "cannot be used", hint)) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError(Problem("certificate", "the private key is not the RSA key of the certificate")) from None

    def sign(said: bytes) -> bytes:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        return key.sign(said, pss, hashes.SHA256())

    return certificate.fingerprint(hashes.SHA256()), sign


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
