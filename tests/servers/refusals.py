"""How the double refuses: the error of RFC 7644 §3.12."""

from __future__ import annotations

from typing import Any

from tests.servers.schemas import ERROR


class Refusal(Exception):
    """A request that the server does not do."""

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        self.status, self.detail, self.scim_type = status, detail, scim_type
        super().__init__(f"{status} {scim_type or ''} {detail}")

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"schemas": [ERROR], "status": str(self.status), "detail": self.detail}
        if self.scim_type is not None:
            document["scimType"] = self.scim_type
        return document


def invalid_value(detail: str) -> Refusal:
    return Refusal(400, detail, "invalidValue")


def invalid_syntax(detail: str) -> Refusal:
    return Refusal(400, detail, "invalidSyntax")


def invalid_path(detail: str) -> Refusal:
    return Refusal(400, detail, "invalidPath")


def invalid_filter(detail: str) -> Refusal:
    return Refusal(400, detail, "invalidFilter")


def no_target(detail: str) -> Refusal:
    return Refusal(400, detail, "noTarget")


def mutability(detail: str) -> Refusal:
    return Refusal(400, detail, "mutability")
