"""The table of a source that is a database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reconciler.config.active_table import Active
from reconciler.config.values import Period, SecretField, Table, Text, refusal


class SqlSourceTable(Table):
    """People and groups in a database."""

    type: Literal["sql"]
    url: Text = Field(description="The database: sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME, or another.")
    password: SecretField | None = Field(default=None, description="The password of the user in url.")
    users: str | None = Field(default=None, description="The query that gives a row for each user.")
    groups: str | None = Field(default=None, description="The query that gives a row for each group, with displayName.")
    members: str | None = Field(
        default=None, description="The query that gives group_id and member_id for each membership."
    )
    key: Text = Field(default="id", description="The column of users and groups that is unique and never changes.")
    changed: Text | None = Field(
        default=None, description="The column that says when a row last changed: only those are read then."
    )
    deleted: Text | None = Field(
        default=None, description="The column that marks deleted rows. Default: who is not among the keys is gone."
    )
    overlap: Period = Field(
        default="10m", description="How far back changes are read again: longer than the longest transaction."
    )
    timeout: Period = Field(default="60s", description="How long one query may take.")
    allow_empty: list[Literal["users", "groups", "members"]] = Field(
        default_factory=list, description="Which queries may have no rows; that is otherwise an incomplete read."
    )
    person: Text | None = Field(default=None, description="The column that is the same for one human under a new key.")
    active: Active | None = Field(
        default=None,
        description="The column that says who is active, or { from, is } with the values that mean active.",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> SqlSourceTable:
        if self.users is None and self.groups is None:
            raise refusal("asks for nothing", "give a query in users, groups or both")
        if self.deleted is not None and self.changed is None:
            raise refusal("deleted goes with changed", "name the column of changes too")
        if self.members is not None and self.groups is None:
            raise refusal("members goes with groups", "give a query for the groups too")
        return self
