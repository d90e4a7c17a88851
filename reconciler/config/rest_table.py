"""The table of a source that is read over REST, and those of the description that it goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reconciler.config.active_table import Active
from reconciler.config.auth_tables import BasicTable, BearerTable, KeyTable, OAuthTable
from reconciler.config.values import (
    MaxEntries,
    Period,
    Table,
    Text,
    refusal,
)
from reconciler.vendors import source_names

RestAuthTable = Annotated[BearerTable | BasicTable | OAuthTable | KeyTable, Field(discriminator="type")]


def _as_path(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class TakeTable(Table):
    """Where an attribute is."""

    path: Text = Field(description="The path in the item, with dots; a list gives the list of what its items have.")
    which: Literal["all", "first", "last", "min", "max"] = Field(
        default="all", description="Which of several values is taken."
    )


TakeField = Annotated[TakeTable, BeforeValidator(_as_path, json_schema_input_type=str | TakeTable)]


class PagingTable(Table):
    """How lists go on."""

    kind: Literal["none", "offset", "page", "cursor", "next", "link"] = Field(
        default="none", description="An offset, a page's number, a cursor, the next page's URL, or a Link header."
    )
    size_parameter: Text | None = Field(default=None, description="The parameter that says how many a page may have.")
    size: int = Field(default=100, ge=1, le=10_000, description="How many are asked for at once.")
    parameter: Text | None = Field(default=None, description="The parameter that says where a page begins.")
    first: int = Field(default=0, ge=0, le=1, description="The first offset, or the number of the first page.")
    next: Text | None = Field(default=None, description="Where in the body the next cursor or URL is.")
    total: Text | None = Field(default=None, description="Where in the body it says how many there are in all.")

    @model_validator(mode="after")
    def _says_enough(self) -> PagingTable:
        if self.kind in ("offset", "page", "cursor") and self.parameter is None:
            raise refusal(f"{self.kind} needs parameter")
        if self.kind in ("cursor", "next") and self.next is None:
            raise refusal(f"{self.kind} needs next")
        return self


class ListTable(Table):
    """One list."""

    path: Text = Field(description="The path below the URL; {id} and parameters are filled in.")
    items: str = Field(default="", description="Where in the body the items are. Default: the body is the list.")
    id: Text = Field(default="id", description="Where in an item its id is.")
    query: dict[Text, str] = Field(default_factory=dict, description="What goes with every request.")
    paging: PagingTable | None = Field(default=None, description="How this list goes on. Default: as all of them.")
    expects: list[Text] = Field(default_factory=list, description="What every item has, if only as null.")


class JoinTable(ListTable):
    """Another list, whose items hang on entries."""

    on: Text = Field(description="The path in the entry.")
    by: Text = Field(default="id", description="The path in the other list's items that has the same value.")
    many: bool = Field(default=False, description="Whether all items of that value hang there, as a list.")


class MembersTable(ListTable):
    """The list of one group's members."""

    changed: Text | None = Field(
        default=None, description="Where in the group it says when its members last changed (ISO 8601)."
    )


class DeletedTable(Table):
    """What marks an entry as deleted."""

    from_: Text = Field(alias="from", description="The path.")
    is_: list[str] = Field(alias="is", min_length=1, description="The values that mean deleted.")


class EntriesTable(ListTable):
    """Users, or groups."""

    attributes: dict[Text, TakeField] = Field(default_factory=dict, description="Where attributes are, by name.")
    changed: Text | None = Field(default=None, description="Where in an item it says when it last changed.")
    since: list[dict[Text, str]] = Field(
        default_factory=list, description="The queries that ask for what changed, with {since} in a value."
    )
    format: Literal["iso", "seconds", "milliseconds", "date"] = Field(
        default="iso", description="How the system writes moments."
    )
    one: Text | None = Field(default=None, description="The path of one entry, with {id}.")
    one_item: str = Field(default="", description="Where in the body of one it is. Default: the body is the entry.")
    deleted: DeletedTable | None = Field(default=None, description="What marks an entry as deleted.")
    joins: dict[Text, JoinTable] = Field(
        default_factory=dict, description="Lists whose items hang on entries, by name."
    )
    members: MembersTable | None = Field(default=None, description="The list of a group's members, with {id}.")

    @model_validator(mode="after")
    def _goes_together(self) -> EntriesTable:
        if bool(self.since) != (self.changed is not None):
            raise refusal("since and changed go together")
        if any("{since}" not in "".join(query.values()) for query in self.since):
            raise refusal("since must have {since} in a value")
        return self


class AssignedListTable(ListTable):
    """A list of those who are assigned to something: a group for rules."""

    id: Text = Field(default="id", description="Where in an item the user's id is.")
    group: Text = Field(description="What rules call it, with the parameter filled in.")
    parameter: Text = Field(description="The parameter without which there is no such list.")


class DescriptionTable(Table):
    """How one system is read."""

    name: Text = Field(description="What the system is called.")
    url: Text | None = Field(default=None, description="Its address, where it has just one.")
    auth: list[Literal["bearer", "basic", "oauth2", "header", "query"]] = Field(
        default_factory=list, description="The kinds of authorisation that it takes. Default: every one."
    )
    scheme: Text = Field(default="Bearer", description="The word before a token of type bearer.")
    headers: dict[Text, Text] = Field(default_factory=dict, description="What goes with every request.")
    requests_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="Its limit.")
    parameters: list[Text] = Field(default_factory=list, description="What a source may fill in.")
    active: Active | None = Field(default=None, description="Who is active, where the source does not say.")
    paging: PagingTable = Field(default_factory=PagingTable, description="How lists go on.")
    users: EntriesTable = Field(description="The users.")
    groups: EntriesTable | None = Field(default=None, description="The groups.")
    assigned: list[AssignedListTable] = Field(default_factory=list, description="Lists of those assigned.")


if TYPE_CHECKING:
    DescribedType = str
else:
    DescribedType = Literal[("rest", *source_names())]
    """What names a system: rest with a description of one's own, or a shipped description."""


class RestSourceTable(Table):
    """People and groups of a system that is described as data."""

    type: DescribedType
    description: Text | None = Field(
        default=None, description="The file of the description: with type rest, or in place of the shipped one."
    )
    url: Text | None = Field(default=None, description="The system's address. Default: the description's.")
    auth: RestAuthTable | None = Field(default=None, description="How requests are authorised.")
    parameters: dict[Text, Text] = Field(default_factory=dict, description="What the description leaves open.")
    attributes: dict[Text, TakeField] = Field(
        default_factory=dict, description="Where more attributes are, by name: custom fields."
    )
    overlap: Period = Field(default="10m", description="How far back changes are read again.")
    allow_empty: list[Text] = Field(
        default_factory=list,
        description="Which lists may be empty (users, groups, members, joins); that is otherwise an incomplete read.",
    )
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most requests a second. Default: the description's."
    )
    timeout: Period = Field(default="30s", description="How long one request may take.")
    max_entries: MaxEntries = None
    ca_file: Text | None = Field(default=None, description="Certificates (PEM) to trust instead of the system's.")
    proxy: Text | None = Field(default=None, description="The HTTP proxy, http://HOST:PORT.")
    person: Text | None = Field(
        default=None, description="The attribute that is the same for one human under a new id."
    )
    active: Active | None = Field(
        default=None, description="The attribute that says who is active. Default: the description's."
    )

    @model_validator(mode="after")
    def _described(self) -> RestSourceTable:
        if self.type == "rest" and self.description is None:
            raise refusal("type rest goes by a description", 'description = "hr.toml"')
        return self
