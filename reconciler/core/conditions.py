"""Says of an entry whether a condition is true, false or unknown.

The truth comes from closures that were compiled once; the sentence that explains it is built only where somebody will
read it, that is when the condition is not true. Three-valued logic is Kleene's: unknown counts only where it decides.

What is unknown: a membership that is not known, or a value that the operator cannot read (`Greater_Than` on "abc",
`IS TRUE` on "maybe"). A negation of either stays unknown, so odd data neither lets anybody in nor turns anybody out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.model import AllOf, AnyOf, Attributes, Clause, Condition, MemberOf, Negation, Operator
from reconciler.core.operators import NEGATIVE, UNARY, as_text, is_null, make_test, problems
from reconciler.core.redaction import HIDDEN
from reconciler.errors import ConfigError, Problem

MemberLookup = Callable[[MemberOf], bool | None]
"""Says whether the entry is in a group; None: not known."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a condition is of an entry: true, false, or None for unknown. `why` names the clause that decided.

    `why` is empty when it is true. It may hold attribute values: it belongs in the provisioning log, never in
    the process log.
    """

    truth: bool | None
    why: str = ""


HOLDS = Judgement(True)
_SHOWN_MAX = 120
_LISTED_MAX = 3


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A condition that is ready to be asked of many entries."""

    reads: frozenset[str]
    """The attributes that it looks at."""
    groups: tuple[MemberOf, ...]
    """The memberships that it asks for, each once."""
    truth: Callable[[Attributes, MemberLookup], bool | None]
    """The verdict without the sentence: for counting, and where it is true anyway."""
    explain: Callable[[Attributes, MemberLookup], str]

    def judge(self, attributes: Attributes, member_of: MemberLookup) -> Judgement:
        """Return whether the condition is true of these attributes. An attribute that is not there is null."""
        truth = self.truth(attributes, member_of)
        return HOLDS if truth else Judgement(truth, self.explain(attributes, member_of))


def compile_condition(
    condition: Condition, where: str = "filter", *, hidden: frozenset[str] = frozenset()
) -> CompiledCondition:
    """Return the condition ready for use. Raises ConfigError, at `where`, for a clause that can never be evaluated.

    `hidden` are attributes whose values no explanation shows.
    """
    reads: set[str] = set()
    groups: dict[MemberOf, None] = {}
    found: list[Problem] = []
    for leaf in _leaves(condition):
        if isinstance(leaf, MemberOf):
            groups[leaf] = None
        else:
            reads.add(leaf.attribute)
            found.extend(problems(leaf, where))
    if found:
        raise ConfigError(*found)
    node = _compile(condition, hidden)
    return CompiledCondition(frozenset(reads), tuple(groups), node.truth, node.explain)


def described(condition: Condition) -> str:
    """Return the condition as a person would write it on one line."""
    match condition:
        case Clause(attribute, operator, value, of_list):
            said = f"{of_list} of {attribute}" if of_list is not None else attribute
            return f"{said} {operator} {value}" if operator not in UNARY else f"{said} {operator}"
        case MemberOf(group, nested):
            return f"member of {group}" + (" (nested)" if nested else "")
        case AllOf(of):
            return "(" + _several([described(part) for part in of], " and ") + ")"
        case AnyOf(of):
            return "(" + _several([described(part) for part in of], " or ") + ")"
        case Negation(of):
            return f"not {described(of)}"


_Truth = Callable[[Attributes, MemberLookup], bool | None]
_Explain = Callable[[Attributes, MemberLookup], str]


@dataclass(frozen=True, slots=True)
class _Node:
    truth: _Truth
    explain: _Explain
    """Why the node is not true; asked only then."""


def _leaves(condition: Condition) -> Iterable[Clause | MemberOf]:
    match condition:
        case Clause() | MemberOf():
            yield condition
        case AllOf(of) | AnyOf(of):
            for part in of:
                yield from _leaves(part)
        case Negation(of):
            yield from _leaves(of)


def _compile(condition: Condition, hidden: frozenset[str]) -> _Node:
    match condition:
        case Clause():
            return _clause(condition, hidden)
        case MemberOf():
            return _member(condition)
        case AllOf(of):
            return _all([_compile(part, hidden) for part in of])
        case AnyOf(of):
            return _any([_compile(part, hidden) for part in of])
        case Negation(of):
            return _negation(of, _compile(of, hidden), hidden)


def _clause(clause: Clause, hidden: frozenset[str]) -> _Node:
    attribute, test = clause.attribute, make_test(clause)
    of_null = clause.operator is Operator.IS_NULL
    every = clause.operator in NEGATIVE if clause.of_list is None else clause.of_list == "all"
    said = described(clause)

    def truth(attributes: Attributes, _: MemberLookup) -> bool | None:
        value = attributes.get(attribute)
        if value is None or value == "":
            return of_null
        if not isinstance(value, (list, tuple, dict)):
            return test(value)
        if is_null(value):
            return of_null
        if isinstance(value, dict):
            return test(value)
        return _of_many([test(item) for item in value if not is_null(item)], every)

    def explain(attributes: Attributes, member_of: MemberLookup) -> str:
        shown = shown_of(attribute, attributes, hidden)
        return f"{said}: was {shown}" if truth(attributes, member_of) is False else f"{said}: cannot be told of {shown}"

    return _Node(truth, explain)


def _of_many(truths: Sequence[bool | None], every: bool) -> bool | None:
    """Return Kleene's `all` or `any` of the values of a list."""
    decisive = not every
    if decisive in truths:
        return decisive
    return None if None in truths else every


def _member(membership: MemberOf) -> _Node:
    said = described(membership)

    def truth(_: Attributes, member_of: MemberLookup) -> bool | None:
        return member_of(membership)

    def explain(_: Attributes, member_of: MemberLookup) -> str:
        return f"{said}: is not" if member_of(membership) is False else f"{said}: the membership is not known"

    return _Node(truth, explain)


def _all(parts: list[_Node]) -> _Node:
    truths = [part.truth for part in parts]

    def truth(attributes: Attributes, member_of: MemberLookup) -> bool | None:
        known = True
        for part in truths:
            if not (one := part(attributes, member_of)):
                if one is False:
                    return False
                known = False
        return True if known else None

    def explain(attributes: Attributes, member_of: MemberLookup) -> str:
        decided = truth(attributes, member_of)
        return next(p.explain(attributes, member_of) for p in parts if p.truth(attributes, member_of) is decided)

    return _Node(truth, explain)


def _any(parts: list[_Node]) -> _Node:
    truths = [part.truth for part in parts]

    def truth(attributes: Attributes, member_of: MemberLookup) -> bool | None:
        known = True
        for part in truths:
            if one := part(attributes, member_of):
                return True
            if one is None:
                known = False
        return False if known else None

    def explain(attributes: Attributes, member_of: MemberLookup) -> str:
        if not parts:
            return "any of nothing"
        decided = truth(attributes, member_of)
        deciding = [part for part in parts if part.truth(attributes, member_of) is decided]
        whys = [part.explain(attributes, member_of) for part in deciding[:_LISTED_MAX]]
        return "; ".join(whys) + (f"; {more} more" if (more := len(deciding) - len(whys)) else "")

    return _Node(truth, explain)


def _negation(condition: Condition, inner: _Node, hidden: frozenset[str]) -> _Node:
    said = described(condition)

    def truth(attributes: Attributes, member_of: MemberLookup) -> bool | None:
        one = inner.truth(attributes, member_of)
        return None if one is None else not one

    def explain(attributes: Attributes, member_of: MemberLookup) -> str:
        if inner.truth(attributes, member_of) is None:
            return f"not ({inner.explain(attributes, member_of)})"
        if isinstance(condition, Clause):
            return f"not {said}: was {shown_of(condition.attribute, attributes, hidden)}"
        return f"not {said}: it is so"

    return _Node(truth, explain)


def shown_of(attribute: str, attributes: Attributes, hidden: frozenset[str]) -> str:
    """Return the value of an attribute as a person may read it in one line, but not of one that is `hidden`."""
    value = attributes.get(attribute)
    return HIDDEN if attribute in hidden and not is_null(value) else _shown(value)


def _shown(value: object) -> str:
    """Return a value as a person may read it in one line, shortened."""
    if is_null(value):
        return "null"
    if isinstance(value, (list, tuple)):
        return _several([_shown(item) for item in value], ", ")
    text = as_text(value)
    if text is None:
        return "a structure"
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _several(parts: Sequence[str], between: str) -> str:
    if len(parts) <= _LISTED_MAX:
        return between.join(parts)
    return between.join(parts[:_LISTED_MAX]) + f"{between}{len(parts) - _LISTED_MAX} more"
