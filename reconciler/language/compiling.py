"""From the tree of an expression to one closure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.catalogue import ENTRA
from reconciler.language.dialects import Dialect
from reconciler.language.excel import EXCEL
from reconciler.language.functions import ANY_WORD, Argument, Evaluate, Function, Gives, Invocation, Noted, TableUse
from reconciler.language.syntax import IGNORE_WORDS
from reconciler.language.tree import (
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Concatenation,
    Constant,
    Node,
    NotGiven,
    Word,
    walk,
)
from reconciler.language.values import IGNORE_FLOW, IGNORE_OBJECT, Context, Ignored, NothingFlows, Redacted, Value

Observe = Callable[[Node, Evaluate], Evaluate]
"""Takes the closure of a node and returns the one to use in its place."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A mapping expression, ready to be evaluated for many entries. Two of the same text are equal."""

    text: str
    reads: frozenset[str]
    """The names of the attributes that it may read."""
    volatile: bool
    """Whether it may have another value when nothing of the entry has changed: it reads Now, Guid or RandomString."""
    calls: frozenset[str]
    """The names of the functions that it calls."""
    groups: frozenset[tuple[str, bool]]
    """The groups that MemberOf asks about, and whether members of groups within count."""
    tables: frozenset[TableUse]
    """The look-up tables that it uses."""
    evaluate: Callable[[Context], Value] = field(compare=False, repr=False)
    """Return the value for one entry, or raise EvaluationError."""


def compile_expression(text: str, observe: Observe | None = None) -> Expression:
    """Return an expression that can be evaluated, or raise ExpressionSyntaxError. Every call is checked here.

    One that begins with = is an Excel formula.
    """
    dialect = dialect_of(text)
    tree = dialect.parse(text)
    builder = _Builder(dialect, observe)
    evaluate = builder.build(tree, passing=True)
    nodes = list(walk(tree))
    _refuse_nested_select(tree, nodes)
    called = {dialect.find(node) for node in nodes if isinstance(node, Call)}
    names = frozenset(function.name for function in called)
    if builder.redacts_whole:
        evaluate = _redacted(evaluate)
    if any(isinstance(node, Word) and node.name in IGNORE_WORDS for node in nodes) or not names.isdisjoint(_IGNORING):
        evaluate = _answering_ignored(evaluate)
    return Expression(
        text=text,
        reads=frozenset(node.name for node in nodes if isinstance(node, Attribute)),
        volatile=any(function.volatile for function in called),
        calls=names,
        groups=frozenset(builder.noted.groups),
        tables=frozenset(builder.noted.tables),
        evaluate=evaluate,
    )


def dialect_of(text: str) -> Dialect:
    """Return how an expression is written."""
    return EXCEL if text.lstrip().startswith("=") else ENTRA


_IGNORING = frozenset({"IgnoreFlowIfNullOrEmpty", "MemberOf"})


class _Builder:
    def __init__(self, dialect: Dialect, observe: Observe | None) -> None:
        self.dialect, self.observe = dialect, observe
        self.redacts_whole = False
        self.noted = Noted()

    def build(self, node: Node, passing: bool) -> Evaluate:
        match node:
            case Attribute(name=name):
                evaluate = _attribute(name)
            case Constant(value=value):
                evaluate = _constant(value)
            case NotGiven():
                return _constant(None)
            case Word():
                evaluate = _constant(_ignored(node))
            case Call():
                evaluate = self._call(node, passing)
            case Concatenation(parts=parts):
                evaluate = self.dialect.concatenation([self.build(part, False) for part in parts])
            case Arithmetic(operators=operators, operands=operands):
                evaluate = self.dialect.arithmetic(operators, [self.build(operand, False) for operand in operands])
            case Comparison(operator=operator, left=left, right=right):
                evaluate = self.dialect.comparison(operator, self.build(left, False), self.build(right, False))
        return evaluate if self.observe is None else self.observe(node, evaluate)

    def _call(self, call: Call, passing: bool) -> Evaluate:
        function = self.dialect.find(call)
        nodes = _fitted(call, function)
        arguments = []
        for index, node in enumerate(nodes):
            words = function.words.get(index, ())
            if isinstance(node, Word) and (node.name in words or words == ANY_WORD):
                arguments.append(Argument(node, _constant(node.name)))
            else:
                evaluate = self.build(node, passing and function.passes(index))
                arguments.append(Argument(node, evaluate, self.observe is not None, self._gives(node)))
        if function.name == "Redact" and not passing:
            # what is made of a secret is a secret
            self.redacts_whole = True
            return arguments[0].evaluate
        return function.build(Invocation(call, arguments, self.noted))

    def _gives(self, node: Node) -> Gives:
        match node:
            case Call():
                return self.dialect.find(node).gives
            case Comparison():
                return "truth"
            case Constant(value=int() | float()):
                return "number"
            case _:
                return ""


_IGNORED = {"IgnoreAttributeFlow": IGNORE_FLOW, "IgnoreObjectFlow": IGNORE_OBJECT}


def _ignored(word: Word) -> Ignored:
    found = _IGNORED.get(word.name)
    if found is None:
        raise ExpressionSyntaxError(f"{word.name} has no meaning here", word.start, f'for a text write "{word.name}"')
    return found


def _attribute(name: str) -> Evaluate:
    return lambda context: context.attributes.get(name)


def _constant(value: Value) -> Evaluate:
    return lambda _: value


def _redacted(evaluate: Evaluate) -> Evaluate:
    def redacted(context: Context) -> Value:
        value = evaluate(context)
        return value if value is None or isinstance(value, Ignored | Redacted) else Redacted(value)

    return redacted


def _answering_ignored(evaluate: Evaluate) -> Evaluate:
    def answering(context: Context) -> Value:
        try:
            return evaluate(context)
        except NothingFlows as nothing:
            return nothing.ignored

    return answering


def _refuse_nested_select(tree: Node, nodes: list[Node]) -> None:
    for node in nodes:
        if isinstance(node, Call) and node.name.lower() == "selectuniquevalue" and node is not tree:
            raise ExpressionSyntaxError(
                "SelectUniqueValue cannot stand within anything else", node.start, "write it outermost"
            )


def _fitted(call: Call, function: Function) -> list[Node]:
    """Return the arguments, one for each parameter at least; refuse a wrong count and a required one left empty."""
    nodes = list(call.arguments)
    names = function.parameters
    while len(nodes) > len(names) and not function.repeats and isinstance(nodes[-1], NotGiven):
        nodes.pop()
    if len(nodes) > len(names) and not function.repeats:
        takes = f"at most {len(names)} argument{'' if len(names) == 1 else 's'}" if names else "no arguments"
        raise ExpressionSyntaxError(
            f"{call.name} takes {takes}, not {len(nodes)}", nodes[len(names)].start, _usage(function)
        )
    for index, name in enumerate(names):
        written = index < len(nodes)
        empty = not written or (isinstance(nodes[index], NotGiven) and not name.endswith("..."))
        if empty and not name.endswith("?"):
            position = nodes[index].start if written else call.end - 1
            raise ExpressionSyntaxError(f"{call.name} needs {name.rstrip('.')}", position, _usage(function))
    return nodes + [NotGiven(call.end - 1, call.end - 1)] * (len(names) - len(nodes))


def _usage(function: Function) -> str:
    return f"{function.signature}; ? may be left out" if "?" in function.signature else function.signature
