"""Writes down what each attribute makes of each value, and which values are the same: python -m tests.core.taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

from reconciler.core import diffing
from reconciler.core.casting import Unfit, caster, is_plain
from reconciler.core.mapping import Mapper
from reconciler.core.model import (
    Apply,
    AttributeMapping,
    Constant,
    Direct,
    FromExpression,
    Kind,
    ObjectRules,
    Untouched,
    WhenNull,
)
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile, TargetAttribute, ValueType
from reconciler.core.quarantine import by_fault, by_source, by_test
from reconciler.core.redaction import without

PAGE = Path(__file__).parent / "taken.txt"
VALUES: tuple[Any, ...] = (
    *(
        None,
        "",
        [],
        {},
        [None, ""],
        True,
        False,
        "True",
        "false",
        " TRUE ",
        "yes",
        0,
        1,
        -1,
        1.0,
        1.5,
        "1",
        " 1.0 ",
        "1.50",
        "x",
    ),
    *(
        "X",
        ["x"],
        ["X", "y"],
        ["y", "x", ""],
        ["x", "x"],
        {"value": "x"},
        {"Value": "X", "primary": False, "$ref": "z"},
    ),
    *(
        {"value": "x", "primary": True},
        [{"value": "x", "type": None}],
        [["x"]],
        2**63,
        2**63 - 1,
        -(2**63),
        "1e400",
        "NaN",
    ),
    *(
        10**18,
        10**17,
        float("inf"),
        "2026-03-09T12:00:00Z",
        "2026-03-09T14:00:00+02:00",
        " 2026-03-09 ",
        "3/9/2026 12:00:00 PM",
    ),
    *("3/9/2026 12:00:00 AM", "3/9/2026 1:02:03 pm", "13/9/2026 1:02:03 PM", "2/30/2026 1:02:03 PM", "Red", "RED"),
)
ATTRIBUTES: tuple[TargetAttribute, ...] = (
    *(TargetAttribute("a", type_) for type_ in ValueType),
    *(
        TargetAttribute("a", type_, multivalued=True)
        for type_ in (ValueType.STRING, ValueType.INTEGER, ValueType.COMPLEX)
    ),
    TargetAttribute("a", case_exact=True),
    TargetAttribute("a", allowed=("Red", "Green")),
    TargetAttribute("a", allowed=("Red", "Green"), case_exact=True),
    TargetAttribute("a", ValueType.INTEGER, allowed=("1", "2")),
    TargetAttribute("a", references="user"),
    TargetAttribute("a", references="user", multivalued=True),
)
PROFILE = Profile(
    "example",
    {
        "userName": TargetAttribute("userName", required=True),
        "id": TargetAttribute("id", required=True, read_only=True),
        "floor": TargetAttribute("floor", ValueType.INTEGER, never_null=True),
        "tags": TargetAttribute("tags", multivalued=True),
        "manager": TargetAttribute("manager", references="user"),
        "friends": TargetAttribute("friends", references="user", multivalued=True),
        "badge": TargetAttribute("badge", read_only=True),
    },
    {
        "displayName": TargetAttribute("displayName", required=True),
        "members": TargetAttribute("members", required=True),
    },
)
_ANN = {"upn": "ann", "floor": 3, "tags": ["a", "b"], "boss": "s9", "friends": ["s8", "s7"], "nothing": None}
MAPPINGS: dict[str, tuple[Kind, tuple[AttributeMapping, ...]]] = {
    "nothing": ("user", ()),
    "of a group": ("group", (AttributeMapping("members", Direct("members")), AttributeMapping("x", Direct("upn")))),
    "one path twice": (
        "user",
        (AttributeMapping("userName", Direct("upn")), AttributeMapping("username", Direct("x"))),
    ),
    "a whole and its part": (
        "user",
        (AttributeMapping("name", Direct("x")), AttributeMapping("name.givenName", Direct("y"))),
    ),
    "the id": ("user", (AttributeMapping("ID", Direct("x")), AttributeMapping("userName", Direct("upn")))),
    "constants": (
        "user",
        (
            AttributeMapping("userName", Constant("ann")),
            AttributeMapping("floor", Constant("third")),
            AttributeMapping("title", Constant("")),
            AttributeMapping("tags", Constant(["a", "b"])),
            AttributeMapping("badge", Constant("b")),
        ),
    ),
    "defaults": (
        "user",
        (
            AttributeMapping("userName", Direct("nothing"), default="none"),
            AttributeMapping("floor", Direct("nothing"), default="third"),
            AttributeMapping("manager", Direct("nothing"), default="s1"),
            AttributeMapping("tags", Untouched(), default="z"),
            AttributeMapping("title", Untouched()),
            AttributeMapping("nick", Direct("nothing"), when_null=WhenNull.CLEAR, default=""),
            AttributeMapping("zone", Direct("nothing"), when_null=WhenNull.CLEAR, default="CET"),
            AttributeMapping("room", Direct("nothing"), when_null=WhenNull.CLEAR),
        ),
    ),
    **{
        f"applied {apply}": (
            "user",
            (
                AttributeMapping("userName", Direct("upn"), match=2, apply=apply),
                AttributeMapping("floor", Direct("floor"), match=1, apply=apply, when_null=WhenNull.CLEAR),
                AttributeMapping("tags", Direct("tags"), match=3, apply=apply),
                AttributeMapping("manager", Direct("boss"), apply=apply),
                AttributeMapping("friends", Direct("friends"), apply=apply),
                AttributeMapping("badge", Direct("upn"), apply=apply),
                AttributeMapping("x", Direct("nothing"), apply=apply, when_null=WhenNull.CLEAR),
                AttributeMapping("y", FromExpression("Len([floor])"), apply=apply),
                AttributeMapping("z", FromExpression("CDate([floor])"), apply=apply),
                AttributeMapping(
                    "objectFilter", FromExpression('IIF([upn] = "bob", IgnoreObjectFlow, "x")'), apply=apply
                ),
                AttributeMapping("role", FromExpression("Coalesce([role], [nothing])"), apply=apply),
                AttributeMapping("now", FromExpression("Now()"), apply=apply),
            ),
        )
        for apply in Apply
    },
}
AGREED: dict[str, dict[str, Any]] = {
    "an empty account": {},
    "an account": {
        "userName": "a",
        "floor": 1,
        "tags": ["B", "c"],
        "manager": "t9",
        "friends": ["t1"],
        "x": "y",
        "zone": "x",
    },
    "an account of empty values": {"userName": "", "floor": None, "tags": [], "manager": "", "title": ""},
}


def written() -> str:
    """Return the file."""
    blocks = (*_cast(), *_same(), *_mapped(), *_told())
    return "\n\n".join("\n".join((f"# {head}", *lines)) for head, lines in blocks) + "\n"


def _cast() -> Iterator[tuple[str, list[str]]]:
    for attribute in ATTRIBUTES:
        lines = [f"plain: {is_plain(attribute)}"]
        cast = caster(attribute)
        for value in VALUES:
            try:
                lines.append(f"{value!r} -> {cast(value)!r}")
            except Unfit as unfit:
                lines.append(f"{value!r} fails: {unfit.error_code} {unfit.reason} {unfit}")
        yield f"{attribute}", lines
    said = (diffing.boolean, diffing.number, diffing.moment, diffing.text, diffing.is_empty)
    for function in said:
        yield function.__name__, [f"{value!r} -> {function(value)!r}" for value in VALUES]


def _same() -> Iterator[tuple[str, list[str]]]:
    for attribute in ATTRIBUTES:
        pairs = combinations_with_replacement(VALUES, 2)
        yield (
            f"the same: {attribute}",
            [f"{a!r} {b!r}" for a, b in pairs if a is not b and diffing.same(a, b, attribute)],
        )
        lines = [f"{a!r} and {b!r}: {diffing.union(a, b, attribute)!r}" for a in VALUES[:24:3] for b in VALUES[20:26]]
        yield f"together: {attribute}", lines


def _mapped() -> Iterator[tuple[str, list[str]]]:
    for name, (kind, mappings) in MAPPINGS.items():
        mapper = Mapper.compile(ObjectRules(kind, mappings, sign_in="upn"), PROFILE)
        lines = [
            f"{part}: {_plain(getattr(mapper, part))}" for part in Mapper.__slots__ if part not in ("steps", "tables")
        ]
        for attributes in (_ANN, {"upn": "BOB"}, {"upn": "bob", "floor": "third", "tags": "a", "boss": ["s1", "s2"]}):
            mapped = mapper.wanted({**attributes, "role": None})
            parts = [part for part in type(mapped).__slots__ if part != "mapper"]
            lines += [f"{part} of {attributes['upn']}: {_plain(getattr(mapped, part))}" for part in parts]
            lines += [
                f"problems: {mapped.problems}",
                f"resource: {mapped.resource}",
                f"on create: {mapped.on_create()}",
            ]
            for account, agreed in AGREED.items():
                lines += [f"on {account}: {mapped.on_update(agreed)}"]
                lines += [f"references on {account}: {mapped.references_on_update(agreed)}"]
        yield f"mappings: {name}", lines


def _told() -> Iterator[tuple[str, list[str]]]:
    faults = [Failed(fault, "the words", 400, request="GET /x") for fault in Fault]
    lines = [repr(by_fault(one)) for one in faults] + [repr(by_source(one, "staff")) for one in faults]
    lines += [repr(by_fault(faults[0], refuses_creates=True))]
    lines += [repr(by_test(step, "the words")) for step in ("connection", "answer", "sign-in", "list", "else")]
    yield "breaches", lines
    texts = ("Ann Lee-Ann a 7 77 annlee", "", "a")
    values = (["Ann", "Lee"], {"x": "Ann Lee", "y": ["a"]}, 7, True, None, "", "a", ("Ann", ["Lee"]))
    yield "hidden", [f"{text!r} without {value!r}: {without(text, [value])!r}" for text in texts for value in values]


def _plain(value: object) -> str:
    return repr(sorted(value, key=repr)) if isinstance(value, frozenset) else repr(value)


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
