"""Functions that make a value of their own: random ones, unique ones."""

from __future__ import annotations

from reconciler.errors import EvaluationError
from reconciler.language.functions import Evaluate, Function, Invocation, checked, whole_number
from reconciler.language.values import Choice, Context, Dice, Value, ask_later, integer, text, text_or_none

LENGTH_MAX = 256
_DIGITS = "0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = _CAPITALS.lower()
_SPECIAL = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"


def _guid(_: Invocation) -> Evaluate:
    def guid(context: Context) -> str:
        digits = dice_of(context, "Guid()").hex(32)
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}".lower()

    return guid


def _random_string(invocation: Invocation) -> Evaluate:
    arguments = [argument.evaluate for argument in invocation.arguments]
    avoid = arguments.pop()
    if all(argument.constant for argument in invocation.arguments[:-1]):
        counts = [integer(argument.value, "a count") for argument in invocation.arguments[:-1]]
        try:
            _check_counts(*counts)
        except EvaluationError as error:
            raise invocation.refuse(str(error)) from None

    def random(context: Context) -> str:
        names = ("Length", "MinimumNumbers", "MinimumSpecialCharacters", "MinimumCapital", "MinimumLowerCase")
        counts = [
            integer(argument(context), f"{name} of RandomString")
            for name, argument in zip(names, arguments, strict=True)
        ]
        _check_counts(*counts)
        return _throw(dice_of(context, "RandomString"), counts, text(avoid(context)))

    return random


def _check_counts(length: int, *minima: int) -> None:
    if not 1 <= length <= LENGTH_MAX:
        raise EvaluationError(f"Length must be from 1 to {LENGTH_MAX}")
    if min(minima) < 0 or sum(minima) > length:
        raise EvaluationError("the minimum counts must not be negative, nor more together than Length")


def _throw(dice: Dice, counts: list[int], avoid: str) -> str:
    length, *minima = counts
    classes = [
        "".join([letter for letter in letters if letter not in avoid])
        for letters in (_DIGITS, _SPECIAL, _CAPITALS, _SMALL)
    ]
    if any(count and not letters for count, letters in zip(minima, classes, strict=True)):
        raise EvaluationError("CharactersToAvoid of RandomString leaves nothing for one of the minimum counts")
    # characters of a class that nobody asks for are not used, unless that leaves none
    wanted = "".join([letters for count, letters in zip(minima, classes, strict=True) if count]) or "".join(classes)
    if not wanted:
        raise EvaluationError("CharactersToAvoid of RandomString leaves no character")
    found = [
        letters[_below(dice, len(letters))]
        for count, letters in zip(minima, classes, strict=True)
        for _ in range(count)
    ]
    found += [wanted[_below(dice, len(wanted))] for _ in range(length - len(found))]
    for last in range(len(found) - 1, 0, -1):
        other = _below(dice, last + 1)
        found[last], found[other] = found[other], found[last]
    return "".join(found)


def _below(dice: Dice, limit: int) -> int:
    """Return a whole number below `limit`, each as likely as any other to within 2⁻⁵⁰."""
    return int(dice.hex(16), 16) * limit >> 64


def dice_of(context: Context, what: str) -> Dice:
    """Return what random values come from; raises EvaluationError where nothing was given."""
    if context.dice is None:
        raise EvaluationError(f"{what} has no value here: nothing random was given")
    return context.dice


def _select_unique_value(invocation: Invocation) -> Evaluate:
    rules = [argument.evaluate for argument in invocation.arguments if argument.given]
    if len(rules) < 2:
        raise invocation.refuse("needs at least two rules", "each is tried when the value before it is taken")

    def selected(context: Context) -> Value:
        if context.taken is ask_later:
            return _choice(rules, context)
        tried = 0
        for rule in rules:
            value = text_or_none(rule(context))
            if not value:
                continue
            tried += 1
            if context.taken is None or not context.taken(value):
                return value
        if not tried:
            return None
        raise EvaluationError(f"each of the {tried} values that SelectUniqueValue offers is taken in the target")

    return selected


def _choice(rules: list[Evaluate], context: Context) -> Value:
    """Return all that the rules offer. One that fails matters only to whom the values before it do not do."""
    values: dict[str, None] = {}
    problem = ""
    for rule in rules:
        try:
            value = text_or_none(rule(context))
        except EvaluationError as error:
            if not values:
                raise
            problem = str(error)
            break
        if value:
            values[value] = None
    return Choice(tuple(values), problem) if values else None


FUNCTIONS = (
    Function("Guid", (), _guid, volatile=True),
    Function(
        "RandomString",
        (
            "length",
            "minimumNumbers",
            "minimumSpecialCharacters",
            "minimumCapital",
            "minimumLowerCase",
            "charactersToAvoid?",
        ),
        checked(_random_string, *[whole_number(index, 0) for index in range(5)]),
        volatile=True,
    ),
    Function("SelectUniqueValue", ("rule1", "rule..."), _select_unique_value),
)
