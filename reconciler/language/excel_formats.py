"""Excel's TEXT: numbers and dates in a format such as 0.00, #,##0 or dd.mm.yyyy."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from reconciler.language import values
from reconciler.language.excel_values import date, text, wrong_value
from reconciler.language.moments import print_as
from reconciler.language.values import Value

_PLACES_MAX = 30
_PLACE = "\ue000"
"""Stands for a quoted text while a format is read."""
_DATE_LETTERS = re.compile(r"[ymdhsYMDHS]")
_QUOTED = re.compile(r'"[^"]*"|\\.')
_DATE_PIECE = re.compile(r'"[^"]*"|\\.|AM/PM|A/P|y+|m+|d+|h+|s+|.', re.IGNORECASE | re.DOTALL)
_NUMBER_FORMAT = re.compile(
    r"(?P<before>[^#0.,%]*)(?P<whole>[#0,]*)(?:\.(?P<places>[#0]*))?(?P<percent>%?)(?P<after>[^#0.,%]*)"
)


def formatted(value: Value, form: str) -> str:
    """Return a number or a date in an Excel format; a text that is neither stays as it is."""
    if form in ("@", "", "General"):
        return text(value)
    if _DATE_LETTERS.search(_QUOTED.sub("", form)) is not None:
        if not text(value):
            return ""
        return print_as(date(value, "TEXT"), _dotnet(form), zoned=False)
    found = values.number(0 if value is None or value == "" else value)
    return text(value) if found is None else _number(found, form)


@lru_cache(maxsize=256)
def _dotnet(form: str) -> str:
    """Return a date format as .NET has it: months are M, minutes (beside hours or seconds) m."""
    pieces = _DATE_PIECE.findall(form)
    half_day = any(piece.upper() in ("AM/PM", "A/P") for piece in pieces)
    fields = [place for place, piece in enumerate(pieces) if piece[0].lower() in "ymdhs" and piece[0] not in '"\\']
    written = []
    for place, piece in enumerate(pieces):
        letter = piece[0].lower()
        if piece.upper() in ("AM/PM", "A/P"):
            written.append("tt" if len(piece) > 3 else "%t" if len(pieces) == 1 else "t")
        elif place not in fields:
            literal = piece[1:-1] if piece[0] == '"' else piece[-1]
            written.append("".join(["\\" + one for one in literal]))
        elif letter == "m":
            written.append(("m" if _is_minute(pieces, fields, place) else "M") * min(len(piece), 4))
        elif letter == "h":
            written.append(("h" if half_day else "H") * min(len(piece), 2))
        elif letter == "y":
            written.append("yy" if len(piece) <= 2 else "yyyy")
        else:
            written.append(letter * min(len(piece), 4 if letter == "d" else 2))
    found = "".join(written)
    return "%" + found if len(found) == 1 else found


def _is_minute(pieces: list[str], fields: list[int], place: int) -> bool:
    at = fields.index(place)
    before = pieces[fields[at - 1]][0].lower() if at else ""
    after = pieces[fields[at + 1]][0].lower() if at + 1 < len(fields) else ""
    return before == "h" or after == "s"


def _number(found: int | float, form: str) -> str:
    positive, _, negative = form.partition(";")
    if found < 0 and negative:
        found, positive = -found, negative.partition(";")[0]
    quoted = [part[1:-1] if part[0] == '"' else part[1:] for part in _QUOTED.findall(positive)]
    parts = _NUMBER_FORMAT.fullmatch(_QUOTED.sub(_PLACE, positive))
    if parts is None:
        raise wrong_value("TEXT does not know this format; numbers are written as 0.00, #,##0, 00000, 0%")
    places = (parts["places"] or "")[:_PLACES_MAX]
    amount = Decimal(str(found)) * (100 if parts["percent"] else 1)
    written = format(abs(amount).quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP), "f")
    ones, _, fraction = written.partition(".")
    least = places.count("0")
    while len(fraction) > least and fraction.endswith("0"):
        fraction = fraction[:-1]
    digits = parts["whole"].replace(",", "")
    ones = ones.lstrip("0").rjust(min(digits.count("0"), _PLACES_MAX), "0")
    if "," in parts["whole"]:
        ones = re.sub(r"(?<=[0-9])(?=(?:[0-9]{3})+$)", ",", ones)
    sign = "-" if amount < 0 and (ones.strip("0,") or fraction.strip("0")) else ""
    point = "." if fraction or (places and "0" in places) else ""
    whole = sign + parts["before"] + ones + point + fraction + parts["percent"] + parts["after"]
    for literal in quoted:
        whole = whole.replace(_PLACE, literal, 1)
    return whole
