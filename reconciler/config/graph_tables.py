"""The tables of tenants that Microsoft Graph reaches, as a source and as a target."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reconciler.config.active_table import Active
from reconciler.config.values import (
    MaxEntries,
    Period,
    SecretField,
    Table,
    Text,
    refusal,
)

_PROOFS = ("client_secret", "certificate", "federated_token_file")


def _tenant(value: str) -> str:
    if re.search(r"[^A-Za-z0-9.-]", value):
        raise refusal("is neither an id nor a domain", "for example contoso.onmicrosoft.com")
    return value


class TenantTable(Table):
    """A tenant, and how we sign in there."""

    tenant: Annotated[Text, AfterValidator(_tenant)] = Field(description="The tenant: its id, or one of its domains.")
    client_id: Text = Field(description="The application (client) id of the app registration.")
    client_secret: SecretField | None = Field(default=None, description="A client secret of the app registration.")
    certificate: SecretField | None = Field(
        default=None, description="In place of the secret: a certificate with its private key (PEM)."
    )
    federated_token_file: Text | None = Field(
        default=None,
        description="In place of the secret: the file in which a workload identity keeps its token; read each time.",
    )
    url: Text = Field(
        default="https://graph.microsoft.com/v1.0", description="Graph, with its version; other clouds have others."
    )
    login_url: Text = Field(
        default="https://login.microsoftonline.com", description="Where the tenant gives out tokens."
    )
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most requests a second."
    )
    max_entries: MaxEntries = None
    ca_file: Text | None = Field(default=None, description="Certificates (PEM) to trust instead of the system's.")
    proxy: Text | None = Field(default=None, description="The HTTP proxy, http://HOST:PORT.")

    @model_validator(mode="after")
    def _one_proof(self) -> TenantTable:
        if sum(getattr(self, key) is not None for key in _PROOFS) != 1:
            raise refusal(f"must have exactly one of {', '.join(_PROOFS)}", "it says who we are")
        return self


class GraphSourceTable(TenantTable):
    """Users, groups, memberships and app role assignments of a tenant."""

    type: Literal["graph"]
    timeout: Period = Field(default="30s", description="How long one request may take; a batch three times as long.")
    allow_empty: list[Literal["users", "groups"]] = Field(
        default_factory=list, description="What there may be none of; that is otherwise an incomplete read."
    )
    person: Text | None = Field(default=None, description="The property that is the same for one human under a new id.")
    active: Active = Field(
        default="accountEnabled", validate_default=True, description="The property that says who is active."
    )


class GraphTargetTable(TenantTable):
    """A tenant of a directory that Microsoft Graph reaches."""

    type: Literal["graph"]
    profile: Text = Field(
        default="graph", description="What is special about the tenant: a shipped profile's name, or a file."
    )
    concurrency: int = Field(
        default=40, ge=1, le=256, description="The most calls in hand at once; they go in batches of twenty."
    )
    timeout: Period = Field(default="20s", description="How long one request may take; a batch three times as long.")
    protected: list[Text] = Field(
        default_factory=list, description="Accounts of the tenant that are never touched, by matching value or id."
    )
    credential_expires: date | None = Field(
        default=None, description="When the client secret or the certificate ends; a mail reminds of it."
    )
