"""How we say who we are to a source or target, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.secrets import Secret


@dataclass(frozen=True, slots=True)
class BearerAuth:
    secret: Secret


@dataclass(frozen=True, slots=True)
class BasicAuth:
    username: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """OAuth 2.0 client credentials (RFC 6749 §4.4)."""

    token_url: str
    client_id: str
    secret: Secret
    scope: str | None = None
    client_auth: Literal["basic", "body"] = "basic"
    """Where the client's id and secret go: the Authorization header, or the form."""


@dataclass(frozen=True, slots=True)
class KeyAuth:
    """A key in a header of its own, or in the query."""

    place: Literal["header", "query"]
    key_name: str
    secret: Secret


Auth = BearerAuth | BasicAuth | OAuthSettings
RestAuth = BearerAuth | BasicAuth | OAuthSettings | KeyAuth


@dataclass(frozen=True, slots=True)
class SecretProof:
    """A client secret says who we are."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class CertificateProof:
    """A statement signed with the key of a certificate says who we are: PEM with both."""

    pem: Secret


@dataclass(frozen=True, slots=True)
class FederatedProof:
    """A token of another issuer says who we are; it is kept fresh in a file."""

    path: Path
    where: str
    """The place in the configuration that names it, for error texts."""


Proof = SecretProof | CertificateProof | FederatedProof
