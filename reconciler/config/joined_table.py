"""The table of a source that joins others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.config.active_table import Active
from reconciler.config.values import Name, Table, Text


class JoinedSourceTable(Table):
    """People whom several sources know by a common key."""

    type: Literal["joined"]
    of: list[Name] = Field(min_length=2, description="The sources, by name. The first decides who exists.")
    key: dict[Name, Text] = Field(
        description="The attribute of each that is the same for one human: { directory = …, hr = … }."
    )
    exists: Literal["first", "all"] = Field(
        default="first", description="Whether somebody exists who is in the first source, or only who is in all."
    )
    attributes: dict[Text, list[Text]] = Field(
        default_factory=dict,
        description='Where an attribute comes from, the best first: ["hr.job_title", "directory"]. Default: the first.',
    )
    references: list[Text] = Field(
        default_factory=lambda: ["manager"],
        description="The attributes that hold ids of people: they become ids of the first source.",
    )
    ignore_case: bool = Field(default=False, description="Whether keys that differ in letter case only are the same.")
    person: Text | None = Field(
        default=None, description="The attribute that is the same for one human under a new id."
    )
    active: Active | None = Field(default=None, description="The attribute that says who is active.")
