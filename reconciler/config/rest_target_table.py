"""The table of a target that is written over REST, and those of the profile that it goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal

from pydantic import Field, model_validator

from reconciler.config.rest_table import ListTable, PagingTable, RestAuthTable
from reconciler.config.values import (
    MaxEntries,
    Period,
    Table,
    TargetPath,
    Text,
    refusal,
)
from reconciler.core.paths import PathError, parse

Fault = Literal[
    "throttled",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "precondition",
    "too_large",
    "invalid",
    "unsupported",
    "server_error",
]
_VARIABLE = re.compile(r"\{([^{}]*)\}")


class OperationTable(Table):
    """One request, as a template."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = Field(
        default=None, description="Default: what is usual for it."
    )
    path: Text = Field(description="The path below the URL; {id}, {member} and parameters are filled in.")
    query: dict[Text, str] = Field(default_factory=dict, description="What goes with the request.")
    body: Any = Field(
        default=None, description='The template of its JSON; "{*}" is what is sent. Default: that, or none.'
    )
    item: str = Field(default="", description="Where in the answer's body the resource is. Default: it is the body.")
    repeatable: bool = Field(default=False, description="Whether doing it twice is the same as doing it once.")


class FindTable(ListTable):
    """How the app is asked by one attribute."""

    by: TargetPath = Field(description="The attribute.")
    one: bool = Field(default=False, description="Whether one resource answers, and 404 where there is none.")
    quoting: Literal["none", "json", "odata"] = Field(
        default="none", description="How {value} is written: as it is, as a JSON \"text\", or as an OData 'text'."
    )


class ActiveShownTable(Table):
    """Who is active, where the app shows no boolean."""

    from_: Text = Field(alias="from", description="Where it is shown.")
    is_: list[str] = Field(alias="is", min_length=1, description="The values that mean active.")


class CollectionTable(ListTable):
    """Users, or groups, and what can be done with them."""

    get: OperationTable = Field(description="How one is read.")
    find: list[FindTable] = Field(default_factory=list, description="By which attributes they can be asked for.")
    create: OperationTable | None = Field(default=None, description="How one is created.")
    update: OperationTable | None = Field(default=None, description="How one is changed.")
    disable: OperationTable | None = Field(default=None, description="How one is disabled, where that is no change.")
    enable: OperationTable | None = Field(default=None, description="How one is enabled, where that is no change.")
    delete: OperationTable | None = Field(default=None, description="How one is deleted.")
    names: dict[TargetPath, TargetPath] = Field(
        default_factory=dict, description="What the app calls attributes, where mappings call them otherwise."
    )
    reads: dict[TargetPath, TargetPath] = Field(
        default_factory=dict, description="Where attributes are shown, where they are written elsewhere."
    )
    active: ActiveShownTable | None = Field(default=None, description="Who is active, where no boolean shows it.")
    sends: Literal["changes", "whole"] = Field(
        default="changes", description="Whether an update sends what changed, or the whole resource."
    )
    leaves_out: list[Text] = Field(default_factory=list, description="What a whole resource is sent without.")
    empty: Literal["null", "text"] = Field(
        default="null", description="What is sent where there is no value any more: null, or an empty text."
    )
    numeric_ids: bool = Field(default=False, description="Whether ids are numbers in bodies.")


class MemberListTable(ListTable):
    """The list of one group's members."""

    absent_is_empty: bool = Field(default=False, description="Whether a body without the list means that it is empty.")


class GroupCollectionTable(CollectionTable):
    """Groups, and their members."""

    members: MemberListTable | None = Field(default=None, description="The list of one group's members, with {id}.")
    add_member: OperationTable | None = Field(default=None, description="How somebody is put in.")
    remove_member: OperationTable | None = Field(default=None, description="How somebody is taken out.")


class MeaningTable(Table):
    """What a status means, where it is not what HTTP says."""

    status: int = Field(ge=200, le=599, description="The status.")
    is_: Fault = Field(alias="is", description="What it means.")
    says: Text | None = Field(default=None, description="Only where the app's words match this regular expression.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = Field(
        default=None, description="Only in answers to this method."
    )

    @model_validator(mode="after")
    def _sound(self) -> MeaningTable:
        try:
            re.compile(self.says or "")
        except re.error as error:
            raise refusal(f"says is no regular expression: wrong from character {(error.pos or 0) + 1} on") from None
        if self.status < 300 and self.says is None:
            raise refusal("a status of success means something else only where says matches")
        return self


class RestTable(Table):
    """How an app with a REST API is read and written."""

    headers: dict[Text, Text] = Field(default_factory=dict, description="What goes with every request.")
    parameters: list[Text] = Field(default_factory=list, description="What a target must fill in.")
    scheme: Text = Field(default="Bearer", description="The word before a token of type bearer.")
    probe: Text | None = Field(default=None, description="The path that the connection test asks first.")
    reset_header: Text | None = Field(
        default=None, description="The header of a 429 that says when the limit ends, where Retry-After does not."
    )
    words: list[Text] = Field(default_factory=list, description="Where a refusal's words are. Default: usual names.")
    meanings: list[MeaningTable] = Field(default_factory=list, description="What statuses mean; the first that fits.")
    paging: PagingTable = Field(default_factory=PagingTable, description="How lists go on.")
    users: CollectionTable = Field(description="The users.")
    groups: GroupCollectionTable | None = Field(default=None, description="The groups.")

    @model_validator(mode="after")
    def _filled_in(self) -> RestTable:
        for place, text, known in _templates(self):
            unknown = sorted(set(_VARIABLE.findall(text)) - known - set(self.parameters))
            if unknown:
                raise refusal(f"{place} has {{{unknown[0]}}}, which nothing fills in", f"known: {', '.join(known)}")
        for place, collection in (("users", self.users), ("groups", self.groups)):
            for named in (*collection.names.values(), *collection.reads.values()) if collection is not None else ():
                try:
                    parse(named)
                except PathError as error:
                    raise refusal(f"{place}.names: {error}") from None
        return self


class RestTargetTable(Table):
    """An app with a REST API that a profile describes."""

    type: Literal["rest"]
    profile: Text = Field(description="The profile that describes the app: a shipped one's name, or a file.")
    url: Text | None = Field(default=None, description="The app's address. Default: the profile's.")
    auth: RestAuthTable | None = Field(default=None, description="How requests are authorised.")
    parameters: dict[Text, Text] = Field(default_factory=dict, description="What the profile leaves open.")
    concurrency: int = Field(default=4, ge=1, le=256, description="The most requests in flight at once.")
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most requests a second. Default: the profile's."
    )
    timeout: Period = Field(default="20s", description="How long one request may take; pages three times as long.")
    max_entries: MaxEntries = None
    ca_file: Text | None = Field(default=None, description="Certificates (PEM) to trust instead of the system's.")
    proxy: Text | None = Field(default=None, description="The HTTP proxy, http://HOST:PORT.")
    protected: list[Text] = Field(
        default_factory=list, description="Accounts of the app that are never touched, by matching value or id."
    )
    tenant: Text | None = Field(
        default=None, description="Whose accounts the credential leads to, where one address serves every customer."
    )
    credential_expires: date | None = Field(default=None, description="When the credential ends; a mail reminds of it.")


def _templates(table: RestTable) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each path and query with its place, and what is filled in there."""
    for kind, collection in (("users", table.users), ("groups", table.groups)):
        if collection is None:
            continue
        lists: list[tuple[str, ListTable, set[str]]] = [(kind, collection, set())]
        lists += [(f"{kind}.find", lookup, {"value"}) for lookup in collection.find]
        operations = [(name, getattr(collection, name), {"id"}) for name in ("get", "update", "disable", "enable")]
        operations += [("create", collection.create, set()), ("delete", collection.delete, {"id"})]
        if isinstance(collection, GroupCollectionTable):
            lists += [(f"{kind}.members", collection.members, {"id"})] if collection.members is not None else []
            operations += [(name, getattr(collection, name), {"id", "member"}) for name in _MEMBER_OPERATIONS]
        for place, one, known in lists:
            yield from ((place, text, known) for text in (one.path, *one.query.values()))
        for name, operation, known in operations:
            if operation is not None:
                texts = (operation.path, *operation.query.values())
                yield from ((f"{kind}.{name}", text, known) for text in texts)


_MEMBER_OPERATIONS = ("add_member", "remove_member")
