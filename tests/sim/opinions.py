"""The opinions of a pretend app, taken from servers that people run: what it refuses, hides, forgets and makes up."""

from __future__ import annotations

import random  # noqa: TID251  # because these dice are thrown from a seed
from dataclasses import replace
from typing import Any

from tests.servers.quirks import Quirks


def opinions(dice: random.Random) -> Quirks:
    """Return the app's opinions."""
    quirks = Quirks()
    for name, choice in OPINIONS.items():
        if dice.random() < 0.1:
            quirks = replace(quirks, **{name: dice.choice(choice)})
    if quirks.ignores_filter or quirks.filter_refused:
        # Nothing that it says could prove that somebody is not there: it gets no accounts, by rule.
        quirks = replace(quirks, wrong_total_results=None, invisible_for_requests=0)
    if quirks.conflict_status == 400:
        quirks = replace(quirks, errors_without_scim_type=False, conflict_without_scim_type=False)
    if quirks.invisible_for_requests or quirks.filter_lies_empty:
        # Nobody could know that the group is there already: the app has to say so.
        quirks = replace(quirks, duplicate_groups="refused", created_without_id=False, created_without_body=False)
    if quirks.lax_unique:
        # Where it would take a second account of one name, it must be able to show the first.
        quirks = replace(quirks, invisible_for_requests=0, filter_lies_empty=())
    return quirks


def keeps_names_to_itself(quirks: Quirks) -> bool:
    """Whether neither a search nor a refusal says that somebody has a name: only a comparison of everything does."""
    without_a_word = quirks.conflict_status == 400 and (quirks.html_errors or quirks.empty_errors)
    return without_a_word and "userName" in quirks.filter_lies_empty


OPINIONS: dict[str, list[Any]] = {
    "page_max": [3, 7],
    "lax_unique": [True],
    "ignores_filter": [True],
    "filter_refused": [400, 501],
    "filter_repeats_rows": [True],
    "patch_no_content": [True],
    "patch_no_content_when_unchanged": [True],
    "patch_unsupported": [True],
    "put_resets": [False],
    "conflict_without_scim_type": [True],
    "duplicate_groups": ["refused"],
    "created_without_id": [True],
    "created_without_location": [True],
    "locations": ["relative", "user_name"],
    "ids": ["digits", "spaces", "reserved"],
    "delete_answers_body": [True],
    "missing_answers_500": [True],
    "members_per_patch_max": [2],
    "keeps_stale_members": [True],
    "wrong_total_results": ["missing"],
    "repeats_first_page": [True],
    "html_errors": [True],
    "empty_errors": [True],
    "etag_supported": [False],
    "spc_missing": [True],
    "spc_odd": [True],
    "invisible_for_requests": [10**6],
    "filter_lies_empty": [("userName",), ("externalId",), ("displayName",)],
    "soft_delete": [True],
    "patch_silent_no_op": [("title",)],
    "drops_attributes": [("title",)],
    "patch_unsupported_for": [("title",)],
    "unknown_members_refused": [True],
    "duplicates_members": [True],
    "no_members_on_get": [True],
    "user_name_normalised_lower": [True],
    "count_refused_above": [50],
    "count_refused_status": [500],
    "conflict_status": [400],
    "pathless_patch_refused": [True],
    "creates_on_no_target": [True],
    "integer_error_status": [True],
    "not_found_says_invalid_syntax": [True],
    "errors_without_scim_type": [True],
    "created_without_body": [True],
    "created_without_meta": [True],
}

TAKEN_BY_A_DESCRIPTION = (
    *("page_max", "ids", "delete_answers_body", "html_errors", "empty_errors", "integer_error_status"),
    *("not_found_says_invalid_syntax", "created_without_location", "created_without_meta", "keeps_stale_members"),
)
"""What an app may think that is described as data: what is said of it there is believed."""


def described(quirks: Quirks) -> Quirks:
    """Return those of these opinions that a description leaves room for."""
    return replace(Quirks(), **{name: getattr(quirks, name) for name in TAKEN_BY_A_DESCRIPTION})
