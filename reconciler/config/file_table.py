"""The table of a source that is files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reconciler.config.active_table import Active
from reconciler.config.values import Period, Table, Text, refusal


class FileSourceTable(Table):
    """People and groups in files."""

    type: Literal["file"]
    users: Text | None = Field(default=None, description="The file of users: .jsonl, .json, .csv or .tsv.")
    groups: Text | None = Field(default=None, description="The file of groups, in the same formats.")
    key: Text = Field(default="id", description="The column of both files that is unique and never changes.")
    members: Text = Field(default="members", description="The groups' column that lists the keys of their members.")
    person: Text | None = Field(default=None, description="The column that is the same for one human under a new key.")
    active: Active | None = Field(
        default=None,
        description="The column that says who is active, or { from, is } with the values that mean active.",
    )
    allow_empty: list[Literal["users", "groups"]] = Field(
        default_factory=list, description="Which files may be empty; an empty file is otherwise an incomplete read."
    )
    max_age: Period | None = Field(default=None, description="An older file is an incomplete read.")
    encoding: Text | None = Field(default=None, description="How the files are encoded, as cp1252. Default: UTF-8.")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None, description="What stands between the cells of CSV. Default: what the header shows."
    )
    changes: Text | None = Field(default=None, description="Files that say what changed: one, or a pattern.")
    operation: Text = Field(default="operation", description="The column of change files that says upsert or delete.")
    kind: Text = Field(default="kind", description="The column of change files that says user or group.")
    sequence: Text | None = Field(default=None, description="The column of change files that numbers the changes.")
    end_row: bool = Field(
        default=False, description="Whether a change file is finished only by a row whose operation is end."
    )
    kept: Text | None = Field(
        default=None,
        description="Where what change files have said is kept. Default: NAME.kept.db in $STATE_DIRECTORY.",
    )
    archive: Text | None = Field(
        default=None, description="The directory that processed files are moved to, once a cycle was committed."
    )

    @model_validator(mode="after")
    def _reads_something(self) -> FileSourceTable:
        if self.users is None and self.groups is None and self.changes is None:
            raise refusal("names no file", "name users, groups or both, or changes")
        given = self.model_fields_set & {"operation", "kind", "sequence", "end_row", "kept"}
        if self.changes is None and given:
            raise refusal(f"{sorted(given)[0]} goes with changes", "name the change files in changes")
        if self.max_age is not None and self.users is None and self.groups is None:
            raise refusal("max_age goes with users or groups", "change files are of any age")
        if self.key in (self.operation, self.kind, self.sequence):
            raise refusal("one column cannot be the key and say what changed")
        return self
