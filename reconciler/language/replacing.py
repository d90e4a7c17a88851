"""Replace: five functions in one, told apart by which arguments are given."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.errors import EvaluationError
from reconciler.language.functions import Argument, Evaluate, Function, Invocation
from reconciler.language.lists import values_of
from reconciler.language.patterns import Match, Pattern, PatternRefused, PatternTooSlow, compile_pattern
from reconciler.language.tree import Constant
from reconciler.language.values import TEXT_MAX, Context, Value, bounded, text, text_or_none


def _replace(invocation: Invocation) -> Evaluate:
    source, old, pattern, group, new, attribute, template = invocation.arguments
    given = [_is_given(argument) for argument in (old, pattern, group, attribute, template)]
    match given, new.given:
        case [True, False, False, False, False], True:
            return _replace_text(source.evaluate, old.evaluate, new.evaluate)
        case [True, False, False, False, True], False:
            return _fill_template(source.evaluate, old.evaluate, template.evaluate)
        case [False, True, False, False, False], True:
            return _replace_matches(source.evaluate, pattern, _pattern(invocation, pattern), new)
        case [False, True, True, False, False], True:
            return _replace_group(invocation, source.evaluate, pattern, group, new)
        case [False, True, _, True, False], _:
            return _extract_instead(invocation, source.evaluate, pattern, group, attribute.evaluate)
        case _:
            raise invocation.refuse(
                "these arguments do not go together",
                "give oldValue with replacementValue or with template, or regexPattern with replacementValue, with "
                "regexGroupName and replacementValue, or with regexGroupName and replacementAttributeName",
            )


def _is_given(argument: Argument) -> bool:
    """A literal "" counts as an empty argument: nothing can be found by it."""
    return argument.given and not (isinstance(argument.node, Constant) and argument.node.value == "")


def _replace_text(source: Evaluate, old: Evaluate, new: Evaluate) -> Evaluate:
    def replaced(context: Context) -> Value:
        whole = text_or_none(source(context))
        if not whole:
            return whole
        wanted = text(old(context))
        if not wanted:
            return whole
        replacement = text(new(context))
        if len(replacement) > len(wanted):
            bounded(len(whole) // len(wanted) * len(replacement), "Replace")
        return whole.replace(wanted, replacement)

    return replaced


def _fill_template(source: Evaluate, old: Evaluate, template: Evaluate) -> Evaluate:
    def filled(context: Context) -> Value:
        whole = text_or_none(source(context))
        if whole is None:
            return None
        wanted, frame = text(old(context)), text(template(context))
        if not wanted:
            return frame
        bounded(len(frame) // len(wanted) * len(whole), "Replace")
        return frame.replace(wanted, whole)

    return filled


def _replace_matches(
    source: Evaluate, known: Argument, pattern: Callable[[Context], Pattern], new: Argument
) -> Evaluate:
    expanded = _expander(new)

    def replaced(context: Context) -> Value:
        whole = text_or_none(source(context))
        if not whole:
            return whole
        found = pattern(context)
        return _sub(found, expanded(context, found), whole)

    if not (known.constant and new.constant):
        return replaced
    template = text(new.value)
    compiled = compile_pattern(text(known.value))
    replacement = compiled.replacement(template)
    if "\\" in template or len(template) > _SHORT:
        return replaced
    at_once, quick_length = compiled.compiled.sub, min(compiled.quick_length, _SHORT)

    def replaced_at_once(context: Context) -> Value:
        whole = source(context)
        if whole.__class__ is str and len(whole) <= quick_length:
            return at_once(replacement, whole)
        return replaced(context)

    return replaced_at_once


def _replace_group(
    invocation: Invocation, source: Evaluate, pattern: Argument, group: Argument, new: Argument
) -> Evaluate:
    find_pattern, expanded = _pattern(invocation, pattern), _expander(new)
    find_group = _group(invocation, pattern, group)

    def replaced(context: Context) -> Value:
        whole = text_or_none(source(context))
        if not whole:
            return whole
        found = find_pattern(context)
        number, replacement = find_group(context, found), expanded(context, found)

        def inside(match: Match) -> str:
            start, end = match.span(number)
            if start < 0:
                return match.group()
            new_part = replacement if isinstance(replacement, str) else replacement(match)
            return match.string[match.start() : start] + new_part + match.string[end : match.end()]

        return _sub(found, inside, whole)

    return replaced


def _extract_instead(
    invocation: Invocation, source: Evaluate, pattern: Argument, group: Argument, other: Evaluate
) -> Evaluate:
    find_pattern, find_group = _pattern(invocation, pattern), _group(invocation, pattern, group)

    def extracted(context: Context) -> Value:
        own = text_or_none(source(context))
        if own:
            return own
        whole = text_or_none(other(context))
        if whole is None:
            return None
        found = find_pattern(context)
        try:
            match = found.search(whole)
        except PatternTooSlow as slow:
            raise EvaluationError(f"Replace: {slow}") from None
        return None if match is None else match.group(find_group(context, found))

    return extracted


def _sub(found: Pattern, replacement: str | Callable[[Match], str], whole: str) -> str:
    try:
        if isinstance(replacement, str):
            if (len(whole) + 1) * len(replacement) > TEXT_MAX:
                literal = replacement
                replacement = _counting(lambda _: literal)
        elif len(whole) > _SHORT:
            replacement = _counting(replacement)
        return found.sub(replacement, whole)
    except PatternTooSlow as slow:
        raise EvaluationError(f"Replace: {slow}") from None


_SHORT = 1_000


def _counting(replacement: Callable[[Match], str]) -> Callable[[Match], str]:
    made = 0

    def counted(match: Match) -> str:
        nonlocal made
        part = replacement(match)
        made += len(part)
        bounded(made, "Replace")
        return part

    return counted


def _matches(invocation: Invocation) -> Evaluate:
    source, pattern = invocation.arguments
    find, find_pattern = source.evaluate, _pattern(invocation, pattern)

    def matches(context: Context) -> bool:
        value = find(context)
        try:
            return any(find_pattern(context).search(text(one)) is not None for one in values_of(value))
        except PatternTooSlow as slow:
            raise EvaluationError(f"RegexMatch: {slow}") from None

    return matches


def _pattern(invocation: Invocation, argument: Argument) -> Callable[[Context], Pattern]:
    if argument.constant:
        try:
            known = compile_pattern(text(argument.value))
        except PatternRefused as refused:
            raise invocation.refuse(str(refused), at=argument) from None
        return lambda _: known

    def found(context: Context) -> Pattern:
        try:
            return compile_pattern(text(argument.evaluate(context)))
        except PatternRefused:
            raise EvaluationError(
                f"{invocation.call.name} got a regular expression from an attribute that cannot be used"
            ) from None

    return found


def _group(invocation: Invocation, pattern: Argument, group: Argument) -> Callable[[Context, Pattern], int]:
    if not group.given:
        return lambda *_: 0
    if group.constant and pattern.constant:
        number = compile_pattern(text(pattern.value)).group(text(group.value))
        if number is None:
            raise invocation.refuse(f"the regular expression has no group {text(group.value)}", at=group)
        return lambda *_: number

    def found(context: Context, compiled: Pattern) -> int:
        wanted = compiled.group(text(group.evaluate(context)))
        if wanted is None:
            raise EvaluationError("the regular expression of Replace has no group of the name in regexGroupName")
        return wanted

    return found


def _expander(new: Argument) -> Callable[[Context, Pattern], str | Callable[[Match], str]]:
    if not new.constant:
        # the value of an attribute is a text, also where it holds a $
        return lambda context, _: text(new.evaluate(context))
    template = text(new.value)
    last: tuple[Pattern, str | Callable[[Match], str]] | None = None

    def expanded(_: Context, found: Pattern) -> str | Callable[[Match], str]:
        nonlocal last
        if last is None or last[0] is not found:
            last = (found, found.replacement(template))
        return last[1]

    return expanded


FUNCTIONS = (
    Function("RegexMatch", ("source", "regexPattern"), _matches, gives="truth", ours=True),
    Function(
        "Replace",
        (
            "source",
            "oldValue?",
            "regexPattern?",
            "regexGroupName?",
            "replacementValue?",
            "replacementAttributeName?",
            "template?",
        ),
        _replace,
    ),
)
