"""The table of a source that speaks SCIM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.config.active_table import Active
from reconciler.config.auth_tables import AuthTable
from reconciler.config.values import (
    MaxEntries,
    Period,
    Table,
    Text,
)


class ScimSourceTable(Table):
    """People and groups of a system that speaks SCIM 2.0."""

    type: Literal["scim"]
    url: Text = Field(description="The base URL, without /Users.")
    auth: AuthTable | None = Field(default=None, description="How requests are authorised.")
    attributes: dict[Text, Text] = Field(
        default_factory=dict, description="Names of users' attributes for rules, and their paths in the server."
    )
    changes: Literal["auto", "users", "none"] = Field(
        default="auto",
        description="Whether what changed is asked for by meta.lastModified: of both, of users only, or of nobody.",
    )
    sweep: bool = Field(
        default=True,
        description="Whether each cycle reads the ids of all, to see who is gone; or only the full cycle.",
    )
    overlap: Period = Field(default="10m", description="How far back changes are read again.")
    paging: Literal["auto", "index", "cursor"] = Field(
        default="auto", description="How pages are asked for. auto: by cursor where the server says that it has them."
    )
    page_size: int = Field(default=1000, ge=1, le=1000, description="How many are asked for at once.")
    select: Literal["auto", "always", "never"] = Field(
        default="auto", description="Whether just the attributes that rules read are asked for. auto: where that works."
    )
    members_from: Literal["auto", "list", "each", "users"] = Field(
        default="auto",
        description="Where members are: in the list of groups, with each group, or in the users' own groups.",
    )
    members_max: int | None = Field(
        default=None, ge=1, description="The most members that the server shows; larger groups are read from the users."
    )
    allow_empty: list[Literal["users", "groups", "members"]] = Field(
        default_factory=list, description="What may be empty; that is otherwise an incomplete read."
    )
    concurrency: int = Field(default=4, ge=1, le=100, description="How many requests are in flight at once.")
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most requests a second."
    )
    timeout: Period = Field(default="30s", description="How long one resource may take; a page thrice that.")
    max_entries: MaxEntries = None
    ca_file: Text | None = Field(default=None, description="Certificates (PEM) to trust instead of the system's.")
    client_cert: Text | None = Field(default=None, description="Our certificate (PEM), where the server wants one.")
    client_key: Text | None = Field(default=None, description="Its key, where it is in a file of its own.")
    proxy: Text | None = Field(default=None, description="The HTTP proxy, http://HOST:PORT.")
    person: Text | None = Field(
        default=None, description="The attribute that is the same for one human under a new id."
    )
    active: Active | None = Field(default=None, description="The attribute that says who is active. Default: active.")
