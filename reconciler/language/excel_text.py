"""Excel's functions on text."""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler.language import values
from reconciler.language.excel_formats import formatted
from reconciler.language.excel_values import NUMBER, TRUTH, flat, not_available, number, text, whole, wrong_value
from reconciler.language.functions import Evaluate, Function, Invocation, plain
from reconciler.language.patterns import PatternRefused, PatternTooSlow, compile_pattern
from reconciler.language.values import Context, Value, bounded
from reconciler.language.wording import lower, upper


def _each(invocation: Invocation) -> list[Evaluate]:
    return [argument.evaluate for argument in invocation.arguments if argument.given]


def _concat(invocation: Invocation) -> Evaluate:
    parts = _each(invocation)
    return lambda context: "".join([text(one) for one in flat([part(context) for part in parts])])


def _text_join(invocation: Invocation) -> Evaluate:
    delimiter, ignore_empty, *others = [argument.evaluate for argument in invocation.arguments]

    def joined(context: Context) -> str:
        between, skips = text(delimiter(context)), values.truth(ignore_empty(context), "ignore_empty of TEXTJOIN")
        found = [text(one) for one in flat([other(context) for other in others])]
        if skips:
            found = [one for one in found if one]
        bounded(len(between) * len(found), "TEXTJOIN")
        return between.join(found)

    return joined


def _text_split(source: Value, delimiter: Value) -> list[str]:
    between = text(delimiter)
    if not between:
        raise wrong_value("TEXTSPLIT needs a delimiter")
    whole_text = text(source)
    return whole_text.split(between) if whole_text else []


def _left(source: Value, count: Value) -> str:
    return text(source)[: _count(count, "LEFT")]


def _right(source: Value, count: Value) -> str:
    wanted, whole_text = _count(count, "RIGHT"), text(source)
    return whole_text[max(0, len(whole_text) - wanted) :]


def _count(count: Value, function: str) -> int:
    wanted = 1 if count is None else whole(count, function)
    if wanted < 0:
        raise wrong_value(f"the number of characters of {function} must not be negative")
    return wanted


def _mid(source: Value, start: Value, count: Value) -> str:
    first, wanted = whole(start, "MID"), whole(count, "MID")
    if first < 1 or wanted < 0:
        raise wrong_value("positions of MID count from 1, and its length must not be negative")
    return text(source)[first - 1 : first - 1 + wanted]


def _trim(source: Value) -> str:
    return " ".join([word for word in text(source).split(" ") if word])


def _clean(source: Value) -> str:
    return "".join([letter for letter in text(source) if letter >= " "])


def _proper(source: Value) -> str:
    letters, within = list(lower(text(source))), False
    for index, letter in enumerate(letters):
        if not within:
            letters[index] = upper(letter)
        within = letter.isalpha()
    return "".join(letters)


def _substitute(source: Value, old: Value, new: Value, instance: Value) -> str:
    whole_text, wanted, replacement = text(source), text(old), text(new)
    if not wanted:
        return whole_text
    if instance is None:
        bounded(len(whole_text) // len(wanted) * len(replacement), "SUBSTITUTE")
        return whole_text.replace(wanted, replacement)
    turn = whole(instance, "SUBSTITUTE")
    if turn < 1:
        raise wrong_value("the instance of SUBSTITUTE counts from 1")
    at = -1
    for _ in range(min(turn, len(whole_text) + 1)):
        at = whole_text.find(wanted, at + 1 if at < 0 else at + len(wanted))
        if at < 0:
            return whole_text
    return whole_text[:at] + replacement + whole_text[at + len(wanted) :]


def _replace(source: Value, start: Value, count: Value, new: Value) -> str:
    whole_text, first, wanted = text(source), whole(start, "REPLACE"), whole(count, "REPLACE")
    if first < 1 or wanted < 0:
        raise wrong_value("positions of REPLACE count from 1, and its length must not be negative")
    return whole_text[: first - 1] + text(new) + whole_text[first - 1 + wanted :]


def _find(wanted: Value, source: Value, start: Value) -> int:
    first = _start(start, "FIND")
    at = text(source).find(text(wanted), first - 1)
    if at < 0:
        raise wrong_value("FIND did not find the text")
    return at + 1


def _search(wanted: Value, source: Value, start: Value) -> int:
    """As FIND, whatever the letter case; ? is any character, * any text, ~ takes the meaning from either."""
    first, sought, whole_text = _start(start, "SEARCH"), text(wanted), text(source)
    if not any(letter in sought for letter in "*?~"):
        at = lower(whole_text).find(lower(sought), first - 1)
    else:
        try:
            found = compile_pattern("(?si)" + _WILDCARD.sub(_wildcard, sought)).search(whole_text[first - 1 :])
        except PatternTooSlow as slow:
            raise wrong_value(f"SEARCH: {slow}") from None
        at = -1 if found is None else found.start() + first - 1
    if at < 0:
        raise wrong_value("SEARCH did not find the text")
    return at + 1


_WILDCARD = re.compile(r"~[*?~]|[*?]|[^*?~]+|~")


def _wildcard(found: re.Match[str]) -> str:
    part = found.group()
    if part in "*?":
        return ".*?" if part == "*" else "."
    return re.escape(part[1:] if len(part) == 2 and part[0] == "~" else part)


def _start(start: Value, function: str) -> int:
    first = 1 if start is None else whole(start, function)
    if first < 1:
        raise wrong_value(f"positions of {function} count from 1")
    return first


def _rept(source: Value, times: Value) -> str:
    repeated, turns = text(source), whole(times, "REPT")
    if turns < 0:
        raise wrong_value("REPT repeats no negative number of times")
    bounded(len(repeated) * turns, "REPT")
    return repeated * turns


def _char(code: Value) -> str:
    wanted = whole(code, "CHAR")
    if not 1 <= wanted <= 255:
        raise wrong_value("CHAR takes numbers from 1 to 255")
    return bytes([wanted]).decode("cp1252", "replace")


def _code(source: Value) -> int:
    whole_text = text(source)
    if not whole_text:
        raise wrong_value("CODE needs a character")
    return whole_text[0].encode("cp1252", "replace")[0]


def _unichar(code: Value) -> str:
    wanted = whole(code, "UNICHAR")
    if not 1 <= wanted <= 0x10FFFF or 0xD800 <= wanted <= 0xDFFF:
        raise wrong_value("UNICHAR takes the number of a character")
    return chr(wanted)


def _unicode(source: Value) -> int:
    whole_text = text(source)
    if not whole_text:
        raise wrong_value("UNICODE needs a character")
    return ord(whole_text[0])


def _value(source: Value) -> int | float:
    written = text(source).strip()
    percent = written.endswith("%")
    found = values.number(written.rstrip("%").replace(",", ""))
    if found is None:
        raise wrong_value("VALUE needs a text that is a number")
    return found / 100 if percent else found


def _number_value(source: Value, decimal: Value, group: Value) -> int | float:
    written, point, comma = text(source), text(decimal) or ".", text(group) or ","
    found = values.number("".join(written.split()).replace(comma, "").replace(point, "."))
    if found is None:
        raise wrong_value("NUMBERVALUE needs a text that is a number")
    return found


def _before(source: Value, delimiter: Value, instance: Value) -> str:
    whole_text, at, _ = _cut(source, delimiter, instance, "TEXTBEFORE")
    return whole_text[:at]


def _after(source: Value, delimiter: Value, instance: Value) -> str:
    whole_text, _, end = _cut(source, delimiter, instance, "TEXTAFTER")
    return whole_text[end:]


def _cut(source: Value, delimiter: Value, instance: Value, function: str) -> tuple[str, int, int]:
    """Return the text, and where the n-th delimiter begins and ends, counted from the end where n is negative."""
    whole_text, between = text(source), text(delimiter)
    turn = 1 if instance is None else whole(instance, function)
    if not between or not turn:
        raise wrong_value(f"{function} needs a delimiter, and an instance from 1 or from -1")
    parts = whole_text.split(between)
    if abs(turn) >= len(parts):
        raise not_available(f"{function} did not find the delimiter")
    before = between.join(parts[:turn] if turn > 0 else parts[: len(parts) + turn])
    return whole_text, len(before), len(before) + len(between)


def _text(value: Value, form: Value) -> str:
    return formatted(value, text(form))


def _exact(first: Value, second: Value) -> bool:
    return text(first) == text(second)


def _fixed(value: Value, decimals: Value, no_commas: Value) -> str:
    places = 2 if decimals is None else max(0, min(whole(decimals, "FIXED"), 15))
    grouped = not values.truth(no_commas, "no_commas of FIXED")
    return formatted(number(value, "FIXED"), ("#,##0" if grouped else "0") + ("." + "0" * places if places else ""))


def _regular(function: Callable[..., Value]) -> Callable[[Invocation], Evaluate]:
    def build(invocation: Invocation) -> Evaluate:
        pattern = invocation.arguments[1]
        if pattern.constant:
            try:
                compile_pattern(text(pattern.value))
            except PatternRefused as refused:
                raise invocation.refuse(str(refused), at=pattern) from None

        def guarded(*found: Value) -> Value:
            try:
                return function(*found)
            except PatternRefused:
                problem = "got a regular expression from an attribute that cannot be used"
                raise wrong_value(f"{invocation.call.name} {problem}") from None
            except PatternTooSlow as slow:
                raise wrong_value(f"{invocation.call.name}: {slow}") from None

        return plain(guarded)(invocation)

    return build


def _cased(pattern: Value, ignore_case: Value) -> str:
    return ("(?i)" if ignore_case is not None and whole(ignore_case, "case_sensitivity") == 1 else "") + text(pattern)


def _regex_test(source: Value, pattern: Value, ignore_case: Value) -> bool:
    return compile_pattern(_cased(pattern, ignore_case)).search(text(source)) is not None


def _regex_extract(source: Value, pattern: Value) -> str:
    found = compile_pattern(text(pattern)).search(text(source))
    if found is None:
        raise not_available("REGEXEXTRACT found nothing")
    return str(found.group())


def _regex_replace(source: Value, pattern: Value, replacement: Value) -> str:
    compiled, whole_text, new = compile_pattern(text(pattern)), text(source), text(replacement)
    bounded((len(whole_text) + 1) * len(new), "REGEXREPLACE")
    return compiled.sub(compiled.replacement(new), whole_text)


def _of_text(function: Callable[[str], str]) -> Callable[[Value], str]:
    return lambda value: function(text(value))


FUNCTIONS = (
    Function("CHAR", ("number",), plain(_char)),
    Function("CLEAN", ("text",), plain(_clean)),
    Function("CODE", ("text",), plain(_code), gives=NUMBER),
    Function("CONCAT", ("text...",), _concat),
    Function("CONCATENATE", ("text...",), _concat),
    Function("EXACT", ("text1", "text2"), plain(_exact), gives=TRUTH),
    Function("FIND", ("find_text", "within_text", "start?"), plain(_find), gives=NUMBER),
    Function("FIXED", ("number", "decimals?", "no_commas?"), plain(_fixed)),
    Function("LEFT", ("text", "num_chars?"), plain(_left)),
    Function("LEN", ("text",), plain(lambda value: len(text(value))), gives=NUMBER),
    Function("LOWER", ("text",), plain(_of_text(lower))),
    Function("MID", ("text", "start", "num_chars"), plain(_mid)),
    Function("NUMBERVALUE", ("text", "decimal_separator?", "group_separator?"), plain(_number_value), gives=NUMBER),
    Function("PROPER", ("text",), plain(_proper)),
    Function("REGEXEXTRACT", ("text", "pattern"), _regular(_regex_extract)),
    Function("REGEXREPLACE", ("text", "pattern", "replacement"), _regular(_regex_replace)),
    Function("REGEXTEST", ("text", "pattern", "case_sensitivity?"), _regular(_regex_test), gives=TRUTH),
    Function("REPLACE", ("old_text", "start", "num_chars", "new_text?"), plain(_replace)),
    Function("REPT", ("text", "times"), plain(_rept)),
    Function("RIGHT", ("text", "num_chars?"), plain(_right)),
    Function("SEARCH", ("find_text", "within_text", "start?"), plain(_search), gives=NUMBER),
    Function("SUBSTITUTE", ("text", "old_text", "new_text?", "instance?"), plain(_substitute)),
    Function("TEXT", ("value", "format"), plain(_text)),
    Function("TEXTAFTER", ("text", "delimiter", "instance?"), plain(_after)),
    Function("TEXTBEFORE", ("text", "delimiter", "instance?"), plain(_before)),
    Function("TEXTJOIN", ("delimiter?", "ignore_empty?", "text..."), _text_join),
    Function("TEXTSPLIT", ("text", "delimiter"), plain(_text_split), gives="list"),
    Function("TRIM", ("text",), plain(_trim)),
    Function("UNICHAR", ("number",), plain(_unichar)),
    Function("UNICODE", ("text",), plain(_unicode), gives=NUMBER),
    Function("UPPER", ("text",), plain(_of_text(upper))),
    Function("VALUE", ("text",), plain(_value), gives=NUMBER),
)
