"""Writes down what each path reads, writes and takes out, and which two clash: python -m tests.core.reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

from reconciler.core.paths import ENTERPRISE_SCHEMA, PathError, canonical, clash, parse, read, remove, write

PAGE = Path(__file__).parent / "reached.txt"
ENTERPRISE = f"{ENTERPRISE_SCHEMA}:"
OURS = "urn:example:params:scim:schemas:extension:ours:2.0:User"
PATHS = (
    *("userName", "USERNAME", "name", "name.givenName", "name.Given.deep", "emails", "emails.value", "emails.Type"),
    *(
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        'EMAILS[TYPE eq "Work"].VALUE',
        "emails[primary eq true]",
    ),
    *('emails[type eq "work" and primary eq true].value', 'emails[type eq "work"].display', "emails[rank eq 1].value"),
    *('emails[type eq "work"].parts.first', 'emails[value eq ""].type', "emails[primary eq false].value"),
    *(
        f"{ENTERPRISE}manager",
        f"{ENTERPRISE}manager.value",
        f"{ENTERPRISE}manager.displayName",
        f"{ENTERPRISE}department",
    ),
    *(f"{OURS}:floor", f"{OURS}:desk.room", f'{OURS}:desks[kind eq "own"].room', "manager", "active"),
)
SPELLINGS = (
    *(" userName ", "emails.^[type eq 'work'].value", 'emails[ type EQ "work" ].value', 'emails[type=="work"].value'),
    *('emails[type eq "work" AND primary eq TRUE].value', 'emails[type eq "work"&&rank eq 1.50].value', "a[b eq -1e2]"),
    *(
        ENTERPRISE.upper() + "manager",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
        "$ref",
        "_a-1",
        "a[b eq 0].c",
    ),
    *(
        "urn:ietf:params:scim:schemas:core:2.0:Group:members.value",
        f"{OURS}:a.b.c",
        'a[b eq "\\u00e9\\""].c',
        "urn:x:y:z",
    ),
    *(
        "a[b eq 1.0]",
        'a[b eq "1"]',
        "a[b eq 1] ",
        "a.b[c eq 1]",
        "a[b eq 1",
        "a[b eq]",
        "a[]",
        ".a",
        "a.",
        "a b",
        "urn:x",
    ),
    *("a[b eq '']", "a[b eq null]", "a[b eq 1 and c eq 2]", "a[b eq 1 or c eq 2]", "urn:x:2.0:User", "urn:x:2.0:Users"),
    *(
        'urn:x:y:emails[type eq "a:b"].value',
        'emails[type eq "a:b"].value',
        'urn:x:emails[type eq "w"]',
        "urn:x:2.0:Group",
    ),
)
BODIES: Mapping[str, dict[str, Any]] = {
    "empty": {},
    "one of each": {
        "userName": "ann",
        "name": {"givenName": "Ann"},
        "emails": [{"type": "work", "value": "a@w", "primary": True}, {"type": "home", "value": "a@h", "rank": 1}],
        ENTERPRISE_SCHEMA: {"manager": {"value": "7", "displayName": "Bo"}, "department": "Sales"},
        OURS: {"floor": 3, "desk": {"room": "1"}, "desks": [{"kind": "own", "room": "2"}]},
        "manager": "8",
        "active": False,
    },
    "in other letters": {
        "USERNAME": "ann",
        "Name": {"GivenName": "Ann", "given": {"DEEP": "x"}},
        "Emails": [{"TYPE": "WORK", "Value": "a@w", "PRIMARY": "True", "Parts": {"First": "a"}}],
        ENTERPRISE_SCHEMA.lower(): {"Manager": [{"VALUE": "7"}], "DEPARTMENT": "Sales"},
        OURS.upper(): {"FLOOR": 0, "Desk": {"Room": ""}},
        "Active": "true",
    },
    "of other shapes": {
        "userName": ["ann"],
        "name": "Ann",
        "emails": {"type": "work", "value": "a@w", "primary": False},
        ENTERPRISE_SCHEMA: {"manager": "7"},
        OURS: "x",
        "manager": {"value": "8"},
    },
    "emptied": {
        "userName": "",
        "name": {},
        "emails": [],
        ENTERPRISE_SCHEMA: {"manager": {"value": ""}, "department": None},
        OURS: {"desk": {}, "desks": [None, "x", {}]},
        "manager": None,
    },
    "twice, in other letters": {
        "USERNAME": "x",
        "userName": "ann",
        "EMAILS": "x",
        "emails": [{"TYPE": "work", "type": "home", "VALUE": "x", "value": "a@h"}, {"VALUE": "y", "TYPE": "work"}],
        "NAME": {},
        "name": {"GIVENNAME": "x", "givenName": "Ann"},
        ENTERPRISE_SCHEMA.lower(): {"manager": "x"},
        ENTERPRISE_SCHEMA: {"MANAGER": "x", "manager": {"VALUE": "x", "value": "7"}},
    },
    "with odd elements": {
        "emails": ["a@w", None, {"value": "", "type": None}, {"type": "work"}, {"type": "Work", "primary": True}],
        ENTERPRISE_SCHEMA: {"manager": [{"value": "7"}, {"value": "8"}]},
        "name": [{"givenName": "Ann"}, "x", {"givenName": None}],
    },
}
VALUES: tuple[Any, ...] = ("x", {"value": "y", "primary": True}, ["z"])


def situations() -> Iterator[tuple[str, str]]:
    """Yield each question, and its answer."""
    for spelling in (*SPELLINGS, *PATHS):
        yield f"spelled {spelling}", _spelled(spelling)
    for path in PATHS:
        for name, body in BODIES.items():
            for reference in (None, True, False):
                how = {None: "", True: " as a reference", False: " as it is"}[reference]
                yield f"{path} of {name}{how}", repr(read(body, path, reference=reference))
            for value in VALUES:
                yield f"{value} to {path} of {name}", _added(body, path, value)
            yield f"{path} out of {name}", _left(body, path)
    for first, second in combinations_with_replacement(PATHS, 2):
        yield f"{first} and {second}", "clash" if clash(first, second) else "stand together"
        assert clash(first, second) is clash(second, first)


def _spelled(text: str) -> str:
    try:
        return f"{canonical(text)} {parse(text)!r}"
    except PathError as error:
        return f"{error.problem} at {error.position}"


def _added(body: Mapping[str, Any], path: str, value: Any) -> str:
    """Return what differs in a body after a write."""
    after = deepcopy(dict(body))
    try:
        write(after, path, value)
    except PathError as error:
        return f"{error.problem} at {error.position}"
    return _changed(body, after)


def _left(body: Mapping[str, Any], path: str) -> str:
    after = deepcopy(dict(body))
    remove(after, path)
    return _changed(body, after)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    lost = [f"no {name}" for name in before if name not in after]
    return (
        ", ".join([*lost, *(f"{name}: {after[name]}" for name in after if after[name] != before.get(name))]) or "same"
    )


def written() -> str:
    """Return the file: each answer once, with what comes to it."""
    by_answer: dict[str, list[str]] = {}
    for situation, answer in situations():
        by_answer.setdefault(answer, []).append(situation)
    return "\n\n".join("\n".join((f"# {answer}", *found)) for answer, found in by_answer.items()) + "\n"


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
