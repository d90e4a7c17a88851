"""Functions on text: parts of it, its case, its spaces, words, accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from reconciler.errors import EvaluationError
from reconciler.language.functions import Evaluate, Function, Invocation, checked, plain, whole_number
from reconciler.language.values import Context, Value, integer, text, text_or_none

COMPARE_WORDS = ("vbTextCompare", "vbBinaryCompare")


def on_each(function: Callable[[str], str]) -> Callable[[Value], Value]:
    """Apply a function to a text, or to each value of a list; null stays null."""

    def applied(value: Value) -> Value:
        if value.__class__ is str:
            return function(value)
        if value is None:
            return None
        if isinstance(value, list):
            return [function(text(one)) for one in value if one is not None]
        return function(text(value))

    return applied


def upper(value: str) -> str:
    """Upper-case letter by letter, as the invariant culture: ß stays, since it has no single capital."""
    if value.isascii():
        return value.upper()
    return "".join([_capital(letter) for letter in value])


def lower(value: str) -> str:
    """Lower-case letter by letter, as the invariant culture."""
    if value.isascii():
        return value.lower()
    return "".join([_small(letter) for letter in value])


def normalize_diacritics(value: str) -> str:
    """Replace Latin letters that carry marks by plain ones; other scripts stay as they are."""
    if value.isascii():
        return value
    bare = _MARKED_LATIN.sub(r"\1", unicodedata.normalize("NFD", value))
    return unicodedata.normalize("NFC", bare).translate(_EXPANSIONS)


def _capital(letter: str) -> str:
    found = letter.upper()
    return found if len(found) == 1 and letter != "ı" else letter


def _small(letter: str) -> str:
    found = letter.lower()
    return found if len(found) == 1 else letter


def _turkish_upper(value: str) -> str:
    return "".join([{"i": "İ", "ı": "I"}.get(letter) or _capital(letter) for letter in value])


def _turkish_lower(value: str) -> str:
    return "".join([{"I": "ı", "İ": "i"}.get(letter) or _small(letter) for letter in value])


_CULTURE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def _case(invariant: Callable[[str], str], turkish: Callable[[str], str]) -> Callable[[Invocation], Evaluate]:
    by_invariant, by_turkish = on_each(invariant), on_each(turkish)

    def chosen(culture: str) -> Callable[[Value], Value]:
        if culture and _CULTURE.fullmatch(culture) is None:
            raise EvaluationError("the culture must be a name such as en-US or tr-TR")
        return by_turkish if culture.lower().split("-")[0] in ("tr", "az") else by_invariant

    def build(invocation: Invocation) -> Evaluate:
        source, culture = invocation.arguments
        if culture.constant:
            try:
                convert = chosen(text(culture.value))
            except EvaluationError as error:
                raise invocation.refuse(str(error), at=culture) from None
            return plain(convert)(Invocation(invocation.call, [source]))
        return plain(lambda value, name: chosen(text(name))(value))(invocation)

    return build


_MARKED_LATIN = re.compile("([A-Za-zæÆøØœŒıłŁđĐħĦŧŦ])[\u0300-\u036f]+")
_EXPANSIONS = str.maketrans(
    {
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "oe",
        "Ø": "OE",
        "ß": "ss",
        "ẞ": "SS",
        "ı": "i",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ħ": "h",
        "Ħ": "H",
        "ŧ": "t",
        "Ŧ": "T",
    }
)


def _append(source: Value, suffix: Value) -> Value:
    start = text_or_none(source)
    return None if start is None else start + text(suffix)


def _prepend(prefix: Value, source: Value) -> Value:
    return _append(source, None) if text_or_none(source) is None else text(prefix) + text(source)


def _left(source: Value, count: Value) -> str:
    whole, wanted = text(source), integer(count, "NumChars of Left")
    return whole if wanted < 0 else whole[:wanted]


def _mid(source: Value, start: Value, length: Value) -> str | None:
    whole = text_or_none(source)
    if whole is None:
        return None
    first = integer(start, "start of Mid")
    if first < 1:
        raise EvaluationError("start of Mid counts from 1")
    if length is None:
        return whole[first - 1 :]
    count = integer(length, "length of Mid")
    if count < 0:
        raise EvaluationError("length of Mid must not be negative")
    return whole[first - 1 : first - 1 + count]


def _left_of(invocation: Invocation) -> Evaluate:
    source, count = invocation.arguments
    if not count.constant:
        return plain(_left)(invocation)
    find, wanted = source.evaluate, integer(count.value, "NumChars of Left")
    if wanted < 0:
        return lambda context: text(find(context))
    return lambda context: text(find(context))[:wanted]


def _mid_of(invocation: Invocation) -> Evaluate:
    source, start, length = invocation.arguments
    if not (start.constant and length.constant):
        return plain(_mid)(invocation)
    find, first = source.evaluate, integer(start.value, "start of Mid") - 1
    last = first + integer(length.value, "length of Mid") if length.given else None

    def middle(context: Context) -> str | None:
        whole = text_or_none(find(context))
        return None if whole is None else whole[first:last]

    return middle


def _length(value: Value) -> int:
    return len(text(value))


def _in_string(value: Value, wanted: Value, start: Value, compare: Value) -> int:
    whole, part = text(value), text(wanted)
    first = 1 if start is None else integer(start, "start of InStr")
    if first < 1:
        raise EvaluationError("start of InStr counts from 1")
    if compare is not None and compare not in COMPARE_WORDS:
        raise EvaluationError("compareType of InStr must be vbTextCompare or vbBinaryCompare")
    if compare == "vbTextCompare":
        whole, part = lower(whole), lower(part)
    return whole.find(part, first - 1) + 1


def _strip_spaces(value: str) -> str:
    return value.replace(" ", "")


def _word(source: Value, number: Value, delimiters: Value) -> str:
    wanted, separators = integer(number, "WordNumber of Word"), frozenset(text(delimiters))
    if wanted < 1 or not separators:
        return ""
    spaced = "".join(["\0" if letter in separators else letter for letter in text(source)])
    words = [word for word in spaced.split("\0") if word]
    return words[wanted - 1] if wanted <= len(words) else ""


def _proper_case(source: Value, separators: Value) -> Value:
    if separators is None:
        return on_each(_title_case)(source)
    between = frozenset(text(separators))
    return on_each(lambda value: _words_capital(value, between))(source)


def _words_capital(value: str, between: frozenset[str]) -> str:
    letters = list(lower(value))
    for index, letter in enumerate(letters):
        if index == 0 or letters[index - 1] in between:
            letters[index] = _capital(letter)
    return "".join(letters)


def _title_case(value: str) -> str:
    """Capital after every separator, as .NET's ToTitleCase: an apostrophe or a digit does not end a word."""
    letters, within = list(lower(value)), False
    for index, letter in enumerate(letters):
        category = unicodedata.category(letter)
        if not within:
            if category[0] == "L":
                letters[index], within = _capital(letter), True
        elif letter != "'" and category[0] in "ZPSC" and category not in ("Co", "Cs", "Cn"):
            within = False
    return "".join(letters)


def _default_domain(_: Invocation) -> Evaluate:
    def domain(context: Context) -> str:
        if not context.default_domain:
            raise EvaluationError("DefaultDomain() has no value: no verified domain is marked as the default")
        return context.default_domain

    return domain


FUNCTIONS = (
    Function("Append", ("source", "suffix"), plain(_append)),
    Function("DefaultDomain", (), _default_domain),
    Function(
        "InStr",
        ("value1", "value2", "start?", "compareType?"),
        checked(plain(_in_string), whole_number(2, 1)),
        words={3: COMPARE_WORDS},
        gives="number",
    ),
    Function("Left", ("string", "numChars"), checked(_left_of, whole_number(1))),
    Function("Len", ("string",), plain(_length), gives="number"),
    Function("Mid", ("source", "start", "length?"), checked(_mid_of, whole_number(1, 1), whole_number(2, 0))),
    Function("NormalizeDiacritics", ("source",), plain(on_each(normalize_diacritics))),
    Function("PCase", ("source", "wordSeparators?"), plain(_proper_case)),
    Function("Prepend", ("prefix", "source"), plain(_prepend)),
    Function("StripSpaces", ("source",), plain(on_each(_strip_spaces))),
    Function("ToLower", ("source", "culture?"), _case(lower, _turkish_lower)),
    Function("ToUpper", ("source", "culture?"), _case(upper, _turkish_upper)),
    Function("Trim", ("value",), plain(on_each(str.strip))),
    Function("Word", ("string", "wordNumber", "delimiters"), checked(plain(_word), whole_number(1))),
)
