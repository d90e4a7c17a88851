"""The ways in which real SCIM servers differ from RFC 7644, each as one switch of the double.

Every switch was seen on a server that somebody runs in earnest. All off: a strict server that follows the RFC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ALL = ("*",)
"""For the switches that name attributes: every attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Attributes are named as in a PATCH path without a filter: "title", "name.givenName", "urn:…:User:department"."""

    # a filter's answer proves nothing by itself
    ignores_filter: bool = False
    """Answers every row to every filter."""
    filter_refused: Literal[400, 501] | None = None
    """Refuses every filter: 400 invalidFilter, or 501."""
    filter_refused_for: tuple[str, ...] = ()
    """Refuses filters on these attributes with 400 invalidFilter; others work."""
    filter_lies_empty: tuple[str, ...] = ()
    """Answers 0 rows to filters on these attributes although the row is there; ("and",) lies to conjunctions."""
    filter_confuses: Mapping[str, str] = field(default_factory=dict)
    """Looks into another attribute than the one asked for: {"externalId": "userName"}."""
    filter_repeats_rows: bool = False
    """Answers each matching row twice."""
    filter_case_exact: bool = False
    """Compares userName with regard to case, against RFC 7643 §8.7.1."""
    filter_without_escapes: bool = False
    """Knows no escapes in a filter's strings: 400 to a quote in one, and a backslash stands for itself."""
    understands_entra_filters: bool = False
    """Understands `emails[type eq "work"].value eq "x"`, which the grammar of RFC 7644 does not have."""

    # PATCH
    patch_unsupported: bool = False
    """501 to every PATCH."""
    patch_unsupported_for: tuple[str, ...] = ()
    """501 to a PATCH that touches these attributes."""
    patch_silent_no_op: tuple[str, ...] = ()
    """Answers success to a PATCH of these attributes and keeps the old value."""
    patch_capitals_ignored: bool = False
    """Answers success to Add, Replace and Remove with a capital and does nothing."""
    patch_capitals_refused: bool = False
    patch_no_content: bool = False
    """Answers 204 where others answer 200 with the resource."""
    patch_no_content_when_unchanged: bool = False
    pathless_patch_refused: bool = False
    """400 to an operation without a path."""
    understands_dotted_keys: bool = False
    """Takes {"name.givenName": "x"} as the value of an operation without a path."""
    splits_urn_at_dot: bool = False
    """Stores PATCH path "urn:…:2.0:User:department" under the key "urn:…:2", in an object with "0:User:department"."""
    creates_on_no_target: bool = False
    """Makes the missing element of a filtered add or replace out of its filter."""
    no_target_answer: Literal[200, 400, 500, 501] = 400
    """What a filtered add or replace without a match gets; 200 does nothing."""
    no_target_on_remove: bool = False
    """400 noTarget to a filtered remove without a match (RFC 7644 §3.12), where most servers find that it is done."""
    mutability_ignored: bool = False

    # values
    unknown_attributes: Literal["refused", "ignored", "stored"] = "refused"
    drops_attributes: tuple[str, ...] = ()
    """Answers success to every write of these attributes and never has them."""
    string_booleans: Literal["refused", "stored", "understood"] = "refused"
    """What becomes of "False" where a boolean belongs: 400, the string "False", or false."""
    user_name_normalised_lower: bool = False
    accepts_simple_manager: bool = False
    """Takes the id alone as the value of manager, as Entra sends it."""
    put_resets: bool = True
    """PUT clears what it does not name (RFC 7644 §3.5.1 allows both)."""

    answers_before: bool = False
    """Answers a change with the resource as it was before it."""

    # creation and deletion
    lax_unique: bool = False
    """Accepts a userName that another user has."""
    conflict_status: Literal[400, 409, 500] = 409
    conflict_without_scim_type: bool = False
    duplicate_groups: Literal["accepted", "refused", "server_error"] = "accepted"
    """What a second group of the same displayName gets: 201, 409, or a 500 that stays."""
    created_without_id: bool = False
    created_without_location: bool = False
    created_without_meta: bool = False
    created_without_body: bool = False
    locations: Literal["absolute", "relative", "without_version", "user_name"] = "absolute"
    invisible_for_requests: int = 0
    """A new resource is not found by so many requests that read, change or delete at its endpoint."""
    ids: Literal["uuid", "digits", "number", "spaces", "email", "reserved"] = "uuid"
    """"number" is an integer in JSON, "spaces" has spaces and several scripts, "reserved" has / ? # and %."""
    soft_delete: bool = False
    """DELETE of a user sets active to false and keeps the row; the userName stays taken."""
    deleted_names_stay_taken: bool = False
    """A deleted user is shown nowhere any more, and its userName gets 409 all the same."""
    delete_answers_body: bool = False
    """200 with a body to DELETE."""
    missing_answers_500: bool = False
    """500 to PATCH, PUT and DELETE of an id that is not there."""

    # groups
    members_per_patch_max: int | None = None
    members_per_group_max: int | None = None
    too_many_members_status: Literal[400, 413] = 400
    refuses_member_filter_remove: bool = False
    """400 to path `members[value eq "id"]`."""
    understands_entra_remove: bool = False
    """Removes just the members that a `Remove` of path `members` lists in its value."""
    entra_remove_wipes_group: bool = False
    """Removes all members, whatever such a `Remove` lists. (With neither switch it is refused.)"""
    unknown_members_refused: bool = False
    """400 to a new member that is no user and no group here."""
    duplicates_members: bool = False
    """Adding a member that is there makes a second entry."""
    keeps_stale_members: bool = False
    """A deleted user stays in the groups' lists."""
    member_value_is_user_name: bool = False
    """Shows a member's userName as its value, although users have another id."""
    no_members_on_get: bool = False
    no_members_in_list: bool = False
    """Shows the members of a group that is asked for by itself, and none in the list of groups."""
    shown_of_groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By its displayName: what is shown of a group whatever it has."""
    members_shown_max: int | None = None
    """Shows so many members of a group at most."""
    users_show_groups: bool = False
    """Users have `groups` (RFC 7643 §4.1.2)."""
    ignores_excluded_attributes: bool = False
    not_selected: tuple[str, ...] = ()
    """Leaves these attributes out where `attributes` asks for them."""
    selection_refused_for: tuple[str, ...] = ()
    """400 to a query whose `attributes` name one of these."""
    no_last_modified: bool = False
    """Resources have no meta.lastModified."""
    writes_without_left_out: bool = False
    """A PATCH loses what its `excludedAttributes` names: it is applied to what would be shown."""

    # paging
    page_max: int = 1000
    count_refused_above: int | None = None
    count_refused_status: Literal[400, 500] = 400
    wrong_total_results: Literal["page_size", "missing"] | int | None = None
    """totalResults is the number of rows on the page, is not there, or is never more than this number."""
    repeats_first_page: bool = False
    """Answers the first page again when asked past the end."""
    ignores_start_index: bool = False
    cursors: Literal["beside", "only"] | None = None
    """Pages by cursor (RFC 9865), beside those by index or in their place."""
    cursor_expires: int | None = None
    """The cursor that is issued as the nth has expired when it is used."""
    hides_rows: int = 0
    """The last rows of every list are counted and never shown."""
    total_grows: bool = False
    """totalResults is one more with each page."""

    # answers
    html_errors: bool = False
    html_labelled_scim: bool = False
    """HTML errors with the content type of SCIM."""
    empty_errors: bool = False
    text_errors: bool = False
    integer_error_status: bool = False
    errors_without_scim_type: bool = False
    not_found_says_invalid_syntax: bool = False
    spc_missing: bool = False
    no_discovery: bool = False
    """404 to ServiceProviderConfig, Schemas and ResourceTypes."""
    spc_odd: bool = False
    """ServiceProviderConfig with fields that are strings, null, missing, or booleans where objects belong."""
    spc_overrides: Mapping[str, Any] = field(default_factory=dict)
    etag_supported: bool = True
    etag_ignored: bool = False
    """Sends ETags and takes no notice of If-Match."""

    # the wire
    body_bytes_max: int | None = None
    """413 to a larger body."""
    closes_connections: bool = False
    """Closes the connection after each answer, as an HTTP/1.0 server does."""
    keep_alive_seconds: float = 75.0
    """Closes a connection that was idle for so long, without a word."""
    requests_at_once_max: int | None = None
    """Drops the connection of a request that comes while so many are being answered."""
    seconds_per_request: float = 0.0
    seconds_per_member: float = 0.0
    """Each request for one group takes so long for each of its members."""
