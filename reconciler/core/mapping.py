"""Turns a source entry into the account that the rules want, with every value in the type of its target attribute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconciler.core import casting, diffing
from reconciler.core.mapping_checks import Failure, constant_problems, defaults_of, layout_problems
from reconciler.core.model import (
    Apply,
    AttributeMapping,
    Attributes,
    Constant,
    Direct,
    FromExpression,
    Kind,
    MemberOf,
    ObjectRules,
    Resource,
    Untouched,
    WhenNull,
)
from reconciler.core.profile import Profile, TargetAttribute
from reconciler.core.redaction import redacted_paths
from reconciler.errors import EvaluationError
from reconciler.language import (
    IGNORE_FLOW,
    IGNORE_OBJECT,
    Choice,
    Context,
    Dice,
    Expression,
    LookupTable,
    Redacted,
    ask_later,
    compile_expression,
)

Now = datetime | Callable[[], datetime] | None

MEMBERS = "members"
"""Who is in a group is kept in rows of its own, compared and sent apart; no mapping evaluates it."""


OBJECT_FILTER = "objectFilter"
"""The pseudo target: a mapping to it says by IgnoreObjectFlow who is not created, and its value goes nowhere."""
ROLES = frozenset({"appRoleAssignments", "role", "roles"})
"""What rules read of the roles that somebody has."""
MemberLookup = Callable[[MemberOf], bool | None]
"""Says whether the entry is in a group; None: not known."""


@dataclass(slots=True)
class Mapped:
    """What the rules say of one entry; `on_create` and `on_update` say what of it is sent."""

    mapper: Mapper = field(repr=False)
    values: Resource
    """Path → value, of all apply modes. What is null, failed or ignored is not in it, nor are references."""
    nulls: tuple[str, ...] = ()
    """Paths whose source has no value now. A flow that was ignored is not among them."""
    references: Mapping[str, tuple[Kind, str | list[str]]] = field(default_factory=dict)
    """Path → the kind and the source id (a list for a multi-valued attribute) of what it points to."""
    match_values: tuple[tuple[str, str], ...] = ()
    """(path, value) of the matching attributes that have a value, in order of precedence."""
    failures: tuple[Failure, ...] = ()
    """Every mapping that failed, those for creation only included."""
    redacted: frozenset[str] = frozenset()
    """Paths whose values the provisioning log must not show."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """Path → the values offered for it (SelectUniqueValue), of which the target has not been asked yet."""
    doubt: str = ""
    """What somebody should know of the account although nothing stands in its way."""
    ignored: bool = False
    """The mapping says that the whole entry does not flow (IgnoreObjectFlow)."""

    @property
    def problems(self) -> tuple[Failure, ...]:
        """The failures that stand in the way of an update: all but those of mappings for creation only."""
        if not self.failures:
            return ()
        return tuple(failure for failure in self.failures if failure.path not in self.mapper.create_only)

    @property
    def resource(self) -> Resource:
        """The wanted values, with None (or the default) where a null clears."""
        wanted = self.values.copy()
        for path in self.nulls:
            if path in self.mapper.clears:
                wanted[path] = self.mapper.defaults.get(path)
        return wanted

    def settle_choices(self, agreed: Resource) -> None:
        """Settle the choices that an account which has `agreed` leaves open: a value once chosen stays."""
        for path, choice in list(self.choices.items()):
            have = agreed.get(path)
            apply = self.mapper.choosing[path]
            if apply is Apply.CREATE or (apply is not Apply.ALWAYS and not diffing.is_empty(have)):
                del self.choices[path]
            elif have is not None and any(diffing.text(have) == diffing.text(one) for one in choice.values):
                self.choose(path, have)

    def choose(self, path: str, value: Any) -> None:
        """Take a value that nobody else has."""
        del self.choices[path]
        self.values[path] = value

    def give_up(self, path: str) -> None:
        """Fail a path of whose values the target has every one."""
        choice = self.choices.pop(path)
        said = f"each of the {len(choice.values)} values that SelectUniqueValue offers is taken in the target"
        failure = Failure(path, "SelectUniqueValueExhausted", said)
        if choice.problem:
            failure = Failure(path, "ExpressionFailed", choice.problem)
        self.failures = (*self.failures, failure)

    def on_create(self) -> tuple[Resource, tuple[Failure, ...]]:
        """Return the whole new account without references, defaults in place of nulls, and what stands in its way."""
        mapper = self.mapper
        created = self.values.copy()
        for path in (*self.nulls, *mapper.untouched):
            default = mapper.defaults.get(path)
            if default is not None:
                created[path] = default
        for path in mapper.never_sent:
            created.pop(path, None)
        failures = self.failures
        for path in mapper.required:
            if path not in created and path not in self.references and all(f.path != path for f in failures):
                reason = "the target requires it, and it has neither a value nor a default"
                failures = (*failures, Failure(path, "MandatoryFieldsMissing", reason))
        return created, failures

    def on_update(self, agreed: Resource) -> Resource:
        """Return what an account that has `agreed` should have, without references; None clears."""
        mapper = self.mapper
        wanted = self.resource
        for path, apply, attribute in mapper.conditional:
            if path not in wanted:
                continue
            if apply is Apply.ADD_ONLY and attribute.multivalued:
                wanted[path] = diffing.union(agreed.get(path), wanted[path], attribute)
            elif apply is Apply.CREATE or not diffing.is_empty(agreed.get(path)):
                del wanted[path]
        for path in mapper.untouched:
            if diffing.is_empty(agreed.get(path)):
                wanted[path] = mapper.defaults[path]
        for path in mapper.never_sent:
            wanted.pop(path, None)
        return wanted

    def references_on_update(self, agreed: Resource) -> Mapping[str, tuple[Kind, str | list[str]]]:
        """Return the references that flow to an account that has `agreed`, by their apply modes."""
        held = {
            path
            for path, apply, attribute in self.mapper.conditional
            if path in self.references
            and not (apply is Apply.ADD_ONLY and attribute.multivalued)
            and (apply is Apply.CREATE or not diffing.is_empty(agreed.get(path)))
        }
        if not held:
            return self.references
        return {path: reference for path, reference in self.references.items() if path not in held}


Evaluate = Callable[[Context], Any]
Step = tuple[str, str | None, Evaluate | None, Any, bool, casting.Cast]
"""One mapping, ready to run: path, source attribute, expression, constant, whether any text is taken as it is, cast."""


@dataclass(frozen=True, slots=True)
class Mapper:
    """The attribute mappings of one kind of one job, compiled once and run for every entry."""

    reads: frozenset[str]
    """The source attributes that any mapping reads."""
    paths: tuple[str, ...]
    """The target paths that the job maps, in order. The members of a group are not among them."""
    volatile: bool
    """Whether a mapping may give another value although the entry is the same."""
    match_mappings: tuple[AttributeMapping, ...]
    """In order of precedence."""
    maps_members: bool
    choosing: Mapping[str, Apply]
    """Path → when it flows, of those for which the target is asked which value is free."""
    groups: frozenset[MemberOf]
    """The memberships that expressions ask about."""
    tables: Mapping[str, LookupTable]
    default_domain: str | None
    role_paths: frozenset[str]
    """The paths whose value hangs on the roles that somebody has."""
    problems: tuple[Failure, ...]
    """What no entry can put right: to be reported when the configuration is checked."""
    steps: tuple[Step, ...]
    references: tuple[tuple[str, Kind], ...]
    defaults: Mapping[str, Any]
    untouched: tuple[str, ...]
    clears: frozenset[str]
    create_only: frozenset[str]
    conditional: tuple[tuple[str, Apply, TargetAttribute], ...]
    never_sent: tuple[str, ...]
    required: tuple[str, ...]
    redacts: frozenset[str]
    """The paths whose values the provisioning log must not show."""
    sign_in: str | None
    """The source attribute that userName should be the same as."""

    @classmethod
    def compile(cls, rules: ObjectRules, profile: Profile) -> Mapper:
        """Compile the mappings; raises ExpressionSyntaxError, and PathError where a target path is none."""
        mapped = [m for m in rules.mappings if not (rules.kind == "group" and m.to == MEMBERS)]
        known = {m.to: profile.attribute(rules.kind, m.to) for m in mapped}
        expressions = {m.to: compile_expression(m.source.text) for m in mapped if isinstance(m.source, FromExpression)}
        defaults, spoiled = defaults_of(mapped, known)
        listed = profile.user_attributes if rules.kind == "user" else profile.group_attributes
        required = tuple(
            path
            for path, a in listed.items()
            if a.required and not a.read_only and (rules.kind, path) != ("group", MEMBERS)
        )
        return cls(
            reads=frozenset(m.source.attribute for m in mapped if isinstance(m.source, Direct)).union(
                () if rules.sign_in is None else (rules.sign_in,),
                *(expression.reads for expression in expressions.values()),
            ),
            paths=tuple(path for path in known if path != OBJECT_FILTER),
            volatile=any(
                m.apply is not Apply.CREATE and m.to in expressions and expressions[m.to].volatile for m in mapped
            ),
            match_mappings=tuple(
                sorted((m for m in mapped if m.match is not None), key=lambda m: m.match if m.match is not None else 0)
            ),
            maps_members=len(mapped) < len(rules.mappings),
            choosing={
                m.to: m.apply for m in mapped if m.to in expressions and "SelectUniqueValue" in expressions[m.to].calls
            },
            groups=frozenset(
                MemberOf(group, nested) for expression in expressions.values() for group, nested in expression.groups
            ),
            tables=rules.tables,
            default_domain=rules.default_domain,
            role_paths=frozenset(
                m.to
                for m in mapped
                if (isinstance(m.source, Direct) and m.source.attribute in ROLES)
                or (m.to in expressions and not ROLES.isdisjoint(expressions[m.to].reads))
            ),
            problems=(*constant_problems(mapped, known), *spoiled, *layout_problems(mapped, required)),
            steps=tuple(
                _step(m, known[m.to], expressions.get(m.to)) for m in mapped if not isinstance(m.source, Untouched)
            ),
            references=tuple((path, a.references) for path, a in known.items() if a.references is not None),
            defaults=defaults,
            untouched=tuple(m.to for m in mapped if isinstance(m.source, Untouched) and m.to in defaults),
            clears=frozenset(
                m.to
                for m in mapped
                if m.when_null is WhenNull.CLEAR and m.apply is Apply.ALWAYS and _may_be_empty(known[m.to], defaults)
            ),
            create_only=frozenset(m.to for m in mapped if m.apply is Apply.CREATE),
            conditional=tuple((m.to, m.apply, known[m.to]) for m in mapped if m.apply is not Apply.ALWAYS),
            never_sent=tuple(path for path, a in known.items() if a.read_only or path == OBJECT_FILTER),
            required=required,
            redacts=redacted_paths(rules),
            sign_in=rules.sign_in,
        )

    def wanted(
        self,
        attributes: Attributes,
        *,
        now: Now = None,
        dice: Dice | None = None,
        member_of: MemberLookup | None = None,
    ) -> Mapped:
        """Return what the rules want for an entry with these (full) attributes. Never raises for what they hold.

        `attributes` holds the computed IsSoftDeleted ("True" or "False"), appRoleAssignments, role and roles too.
        What has to be unique is left open in `choices`.
        """
        values: Resource = {}
        nulls: list[str] = []
        failures: list[Failure] = []
        choices: dict[str, Choice] = {}
        context: Context | None = None
        for path, attribute, evaluate, constant, plain, cast in self.steps:
            if attribute is not None:
                value = attributes.get(attribute)
            elif evaluate is None:
                values[path] = constant
                continue
            else:
                if context is None:
                    context = Context(
                        attributes,
                        now,
                        ask_later,
                        self.default_domain,
                        dice,
                        self.tables,
                        None if member_of is None else _by_name(member_of),
                    )
                try:
                    value = evaluate(context)
                except EvaluationError as error:
                    failures.append(Failure(path, "ExpressionFailed", str(error)))
                    continue
                if value is IGNORE_FLOW:
                    continue
                if value is IGNORE_OBJECT:
                    return Mapped(self, {}, ignored=True)
                if value.__class__ is Redacted:
                    value = value.value
                if value.__class__ is Choice:
                    try:
                        choices[path] = replace(value, values=tuple([cast(one) for one in value.values]))
                    except casting.Unfit as unfit:
                        failures.append(Failure(path, unfit.error_code, unfit.reason))
                    continue
            if plain and value and value.__class__ is str:
                values[path] = value
                continue
            try:
                value = None if value is None else cast(value)
            except casting.Unfit as unfit:
                failures.append(Failure(path, unfit.error_code, unfit.reason))
                continue
            if value is None:
                nulls.append(path)
            else:
                values[path] = value
        return Mapped(
            self,
            values,
            tuple(nulls),
            {path: (kind, values.pop(path)) for path, kind in self.references if path in values},
            self._match_values(values),
            tuple(failures),
            self.redacts,
            choices,
            self._sign_in_doubt(values, attributes),
        )

    def _sign_in_doubt(self, values: Resource, attributes: Attributes) -> str:
        """Return what to tell of an account that single sign-on will not find: userName is not what it sends."""
        if self.sign_in is None:
            return ""
        name, sent = values.get("userName"), attributes.get(self.sign_in)
        if isinstance(name, str) and isinstance(sent, str) and name.casefold() == sent.casefold():
            return ""
        return f"userName is not the same as {self.sign_in}, by which single sign-on looks for the account"

    def _match_values(self, values: Resource) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for mapping in self.match_mappings:
            value = values.get(mapping.to)
            if value is None or isinstance(value, (list, dict)):
                continue
            found.append((mapping.to, diffing.text(value)))
        return tuple(found)


def _by_name(member_of: MemberLookup) -> Callable[[str, bool], bool | None]:
    return lambda group, nested: member_of(MemberOf(group, nested))


def _step(mapping: AttributeMapping, attribute: TargetAttribute, expression: Expression | None) -> Step:
    cast, plain = casting.caster(attribute), casting.is_plain(attribute)
    if isinstance(mapping.source, Direct):
        return mapping.to, mapping.source.attribute, None, None, plain, cast
    if expression is not None:
        return mapping.to, None, expression.evaluate, None, plain, cast
    assert isinstance(mapping.source, Constant)
    constant = mapping.source.value
    try:
        value = cast(constant)
    except casting.Unfit:
        value = None
    if value is None:
        return mapping.to, None, lambda _: constant, None, False, cast
    return mapping.to, None, None, value, plain, cast


def _may_be_empty(attribute: TargetAttribute, defaults: Mapping[str, Any]) -> bool:
    return attribute.path in defaults or not (attribute.required or attribute.never_null)
