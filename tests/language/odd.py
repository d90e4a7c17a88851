"""Whole expressions on the edges of the language: dates and their formats, patterns, what cannot be read at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

_WRITTEN = (
    *("2026-03-09", "2026/3/9 4:05", "2026.03.09T16:05:06.1234567Z", "3/9/2026 4:05:06 PM", "03-09-2026 12:00 am"),
    *(
        "9 March 2026",
        "Mon, 09-Mar-2026 04:05:06 GMT",
        "March 9, 2026",
        "Mon March 9 2026 4:05 pm +02:00",
        " 2026-03-09 ",
    ),
    *("2026-03-09T00:00+14", "2026-03-09T00:00-1430", "2026-03-09 13:00 PM", "2026-03-09 0:00 AM", "2026-02-30"),
    *(
        "2026-03-09T00:00+15",
        "2026-03-09T00:00+1400",
        "2026-03-09T00:00+0160",
        "0001-01-01T00:00+01",
        "9999-12-31T23:59-1",
    ),
    *("2026-13-01", "20260309", "March 2026", "1 Foo 2026", "2026-3-9 24:00", "2026-3-9 23:60", "2026-03-09 1:02:03,5"),
)
_MOMENTS = (
    "2026-03-09T04:05:06.070809Z",
    "2026-12-31T23:59:59.0Z",
    "2026-01-01T12:00:00.5",
    "2026-06-15T00:30:00.0+02:00",
)
_IN_FULL = "yyyy-MM-ddTHH:mm:ss.FFFFFFFK"
_FORMATS = (
    *("d", "D", "f", "F", "g", "G", "m", "M", "o", "O", "r", "R", "s", "t", "T", "u", "y", "Y", "q", "%d", "%h", "%K"),
    *("d dd ddd dddd ddddd", "M MM MMM MMMM", "y yy yyy yyyy yyyyy yyyyyy", "h hh H HH", "m mm s ss", "t tt", "g gg"),
    *(
        "f ff fff ffff fffff ffffff fffffff",
        "F FF FFF FFFF FFFFF FFFFFF FFFFFFF",
        "ffffffff",
        "FFFFFFFF",
        "KK",
        "z zz zzz",
    ),
    *("yyyy-MM-dd'T'HH:mm:ss.fffK", 'yyyy"y"', "\\\\d\\\\M", "'open", "yyyyMMdd", ""),
)
_READ = (
    ("yyyyMMdd", "20260309"),
    ("yyyyMMdd", "2026039"),
    ("yyyyMMdd", "20261301"),
    ("d/M/yyyy", "9/3/2026"),
    ("d/M/yyyy", "09/03/2026"),
    ("dd/MM/yyyy", "9/3/2026"),
    ("d MMM yyyy", "9 Mar 2026"),
    ("d MMMM yyyy", "9 march 2026"),
    ("dddd d MMMM", "Monday 9 March"),
    ("ddd d MMM", "Mon 29 Feb"),
    ("yy-M-d", "49-1-2"),
    ("yy-M-d", "50-1-2"),
    ("%y", "7"),
    ("yyy-MM", "026-01"),
    ("yyyyy-MM", "02026-01"),
    ("h:mm tt", "12:05 AM"),
    ("h:mm tt", "12:05 pm"),
    ("h:mm tt", "13:05 PM"),
    ("h:mm t", "1:05 P"),
    ("hh:mm", "12:05"),
    ("hh:mm", "11:05"),
    ("HH:mm:ss.fff", "23:59:58.123"),
    ("HH:mm:ss.FFF", "23:59:58."),
    ("HH:mm:ss.ff", "23:59:58.1"),
    ("yyyy-MM-ddTHH:mm:sszzz", "2026-03-09T04:05:06+02:00"),
    ("yyyy-MM-ddTHH:mm:sszz", "2026-03-09T04:05:06+2"),
    ("yyyy-MM-ddTHH:mm:ssK", "2026-03-09T04:05:06Z"),
    ("yyyy-MM-ddTHH:mm:ssK", "2026-03-09T04:05:06-0330"),
    ("yyyy-MM-ddTHH:mm:ssK", "2026-03-09T04:05:06"),
    ("yyyy-MM-ddTHH:mm:ssZ", "2026-03-09T04:05:06Z"),
    ("yyyy  MM", "2026    03"),
    ("yyyy MM yyyy", "2026 03 2026"),
    ("yyyy MM yyyy", "2026 03 2027"),
    ("yyyy g", "2026 A.D."),
    ("HH 'Uhr'", "23 uhr"),
    ("o", "2026-03-09T04:05:06.1234567Z"),
    ("yyyyMMdd", " 20260309 "),
    ("yyyy-MM-ddTHH:mm:sszzzZ", "2026-03-09T04:05:06+02:00Z"),
    ("yyyy-MM-ddTHH:mm:ssZ", "2026-03-09T04:05:06z"),
    ("yyyy-MM-dd zzz", "2026-03-09 +14:00"),
    ("yyyy-MM-dd zzz", "2026-03-09 -14:01"),
    ("yyyy-MM-dd z", "2026-03-09 +15"),
    ("MMM d", "Dec 31"),
    ("yyyy-MM-dd", "2026-02-30"),
    ("yyyy-MM-ddzzz", "0001-01-01+01:00"),
    ("h:mm", "12:05"),
    ("h tt H", "1 PM 13"),
)
_PATTERNS = (
    *(
        "a+",
        "(a)(?<n>n)",
        "(?<n>n)(a)",
        "(?'n'n)",
        "(?<é>n)",
        "(?i)A",
        "(?i:A)n",
        "a(?i)N|N",
        "(?-i)a",
        "(?n)a",
        "(?s-m:a)",
    ),
    *(
        "(?#note)a",
        "(?#note",
        "(n)?(?(1)a|b)",
        "(?(2)a|b)",
        "(?=a)",
        "(?!a)",
        "(?<=a)n",
        "(?<!a)n",
        "(?>a)",
        "(?P<n>a)",
        "(a",
        "a)",
    ),
    *(
        "a|b|c",
        "*a",
        "^*",
        "a{2}",
        "a{2,1}",
        "a{1,2}?",
        "a{,2}",
        "a{1,",
        "a**",
        "a++",
        "a+?n",
        "a{2}{3}",
        "(a+)+$",
        "(a|b)*c",
    ),
    *(
        "[a-n]",
        "[^a]",
        "[]a]",
        "[^]a]",
        "[a",
        "[a-]",
        "[a-z-[n]]",
        "[a-z-[n]x]",
        "[\\\\d-[5]]",
        "[\\\\p{Lu}]",
        "[&|~^-]",
        "[[:alpha:]]",
    ),
    *(
        "\\\\p{Lu}",
        "\\\\P{L}",
        "\\\\p{IsGreek}",
        "\\\\p{IsCyrillic}",
        "\\\\p{Latin}",
        "\\\\d\\\\D\\\\w",
        "\\\\e",
        "\\\\a",
        "\\\\x41",
        "\\\\u0041",
        "\\\\x4",
    ),
    *(
        "\\\\y",
        "\\\\",
        "[\\\\b]",
        "\\\\bA",
        "\\\\BA",
        "\\\\AA",
        "e\\\\z",
        "e\\\\Z",
        "\\\\Gn",
        "(n)\\\\1",
        "(?<q>n)\\\\k<q>",
        "(?<q>n)\\\\k'q'",
        "\\\\2",
    ),
    *("{", "}", "a{x}", "$", "^", "^An", "o{0,70000}", "(?:o?){3}", "((a)(b))?", "(?<a>A)(n)(?<b>n)"),
)
_CUT = (
    *(
        "",
        " ",
        "(",
        ")",
        "()",
        "(1",
        "(1;2)",
        "[",
        "[]",
        "[ ]",
        "[a",
        "[a b]",
        '"',
        '"a',
        '"a"b',
        "'a'",
        "“a”",
        "1a",
        "1.",
        ".5",
        "-",
        "+1",
    ),
    *(
        "--1",
        "1 2",
        "1,2",
        "1 =",
        "1 = = 2",
        "1 <> 2",
        "1 >= 2 <= 3",
        "1 = 2 = 3",
        "1 & ",
        "& 1",
        "&HFF",
        "&H",
        "&HFF&",
        "1 + ",
        "1 - -1",
        "2 - 1",
    ),
    *(
        "F(",
        "F()",
        "Len(",
        "Len(,)",
        "Len(1",
        "Len(1;2)",
        "Len(1))",
        "Len 1",
        "len(1)",
        "Lenn(1)",
        "Xyzzy(1)",
        "vbTextCompare",
        "IgnoreFlow",
    ),
    *(
        "True",
        "TRUE",
        "{1}",
        "#N/A",
        "$A$1",
        "A1",
        "1;2",
        "1%",
        "50%%",
        "2^3^2",
        "-2^2",
        "1E3",
        "1E999",
        "1e5x",
        "Regions[code]",
        "Regions[",
        "@",
    ),
    *(
        "1 + 2 * 3",
        "(1 + 2) * 3",
        "1 / 0",
        '"a" & 1 & "b"',
        '"a""b"',
        r'"a\"b"',
        "9" * 301,
        "1." + "0" * 300,
        "(" * 80 + "1" + ")" * 80,
    ),
    *(
        "IGNOREATTRIBUTEFLOW",
        "IgnoreObjectFlow",
        "TRUE()",
        "PI",
        "PI()",
        "SUM",
        "Sum(1,2)",
        "VLOOKUP(1)",
        "INDIRECT(1)",
        "CELL()",
        "3 4",
        "a b",
    ),
)
_TEXTS = ("0", "0.5", "-0.5", "12", "-1234.567", "1234567.891", "0.001", "1E15", "2.5", "3.5", "-0.004")
_CELLS = (
    *("0", "0.0", "0.00", "#", "#,##0", "#,##0.00", "#.##", "0%", "0.0%", "000", "0000.0#", '0 "pieces"', '"x"', "@"),
    *(
        "0.00;-0.00",
        "General",
        "yyyy-mm-dd",
        "d/m/yy",
        "h:mm AM/PM",
        "hh:mm:ss",
        "mmm",
        "mmmm",
        "ddd",
        "dddd",
        "[h]",
        "0E+00",
        "_0",
        "m:ss",
    ),
)


_REFUSED = (
    *(".", "..", ".e1", "-.", "SelectUniqueValue([a], )", "FormatDateTime([a])", 'FormatDateTime([a], , "yyyy")'),
    *('FormatDateTime([a], , , "yyyy")', 'FormatDateTime([a], "x", "yyyy", "yyyy")', "RandomString(300, 1, 1, 1, 1)"),
    *("RandomString(3, 1, 1, 1, 1)", "RandomString(3, -1, 1, 1, 1)", "0.00000015", "10000000000000000.0"),
    *(
        "ToLower(SelectUniqueValue([a], [b]))",
        "UPPER(SELECTUNIQUEVALUE([a],[b]))",
        "Left([a] [b], 1)",
        "DefaultDomain()",
    ),
    *('DATEDIF("2026-01-02","2026-01-01","D")', 'VLOOKUP("BE",Regions,4,FALSE)', 'VLOOKUP("BE",Regions,3,FALSE)'),
    *("XLOOKUP([text],Regions[code],Other[name])", "VLOOKUP([text],Regions,0)", 'VLOOKUP("BE",Regions,2,TRUE)'),
    *(
        "RegexMatch([text], [torn])",
        "REGEXTEST([text],[torn])",
        'REGEXREPLACE([text],[torn],"")',
        "REGEXEXTRACT([text],[torn])",
    ),
    *(
        'Replace([text], , [torn], , "", , )',
        'Replace([text], , "(?<n>n)", [text], "", , )',
        "SingleAppRoleAssignment([text])",
    ),
    *('Replace([text], , "(?<n>n)", "m", "", , )', 'NumFromDate("1600-12-31T23:59:59Z")', 'NumFromDate("1601-01-01")'),
    *("Trim([object])", "LEN([object])", "Len([object])", "Left([object], 1)", "Item([object], 1)", "[object] & 1"),
    *('SelectUniqueValue("a")', 'XLOOKUP("BE",Regions[X],Regions[name])', "BASE(1,2,256)", "LEN(BASE(1,2,255))"),
)
_NUMERALS = (
    *("", "0", "1", "7", "10", "777", "-1", "-0", "+1", "_1", "1_0", " 11 ", "2.9", "9", "F", "f", "G", "511", "512"),
    *("-512", "-513", "536870911", "536870912", "-536870912", "-536870913", "549755813887", "549755813888"),
    *("-549755813888", "-549755813889", "0111111111", "1000000000", "1111111111", "11111111111", "3777777777"),
    *("4000000000", "7777777000", "7777777777", "1777", "7FFFFFFFFF", "8000000000", "FFFFFFFE00", "FFFFFFFDFF"),
    *("FFFFFFFFFF", "FFC0000000", "1FF", "200", "99999999999999", "999999999999999", "9999999999999999"),
)
_SYSTEMS = ("BIN", "OCT", "DEC", "HEX")
_PLACES = (*("0", "1", "4", "10", "11", "-1", "2.9"), '"x"', "[nothing]")
_RADIXES = (*("1", "2", "8", "10", "16", "36", "37"), '"x"')
_ROUNDED = ("0", "2.5", "-2.5", "2.45", "-2.449", "1234.5678", "-1234.5678", "0.000001", "1E14", "123456789012345678")
_BITS = ("0", "1", "5", "-1", "281474976710655", "281474976710656", '"x"')
_RANDOM = (
    *("Guid()", "RandomString(1, 0, 0, 0, 0)", "RandomString(40, 0, 0, 0, 0)", "RandomString(40, 10, 10, 10, 10)"),
    *("RandomString(256, 1, 0, 0, 0)", "RandomString(256, 0, 1, 0, 0)", "RandomString(256, 0, 0, 1, 0)"),
    *("RandomString(256, 0, 0, 0, 1)", 'RandomString(40, 1, 0, 0, 1, "012345678abcdefghijklmnopqrstuvwxy")'),
    'RandomString(4, 1, 0, 0, 0, "0123456789")',
    'RandomString(4, 0, 0, 0, 0, "0123456789abcdefghijklmnopqrstuvwxyz")',
    "RandomString(4, 0, 0, 0, 0, [everything])",
    "RandomString(4, 0, 0, 0, 1, [everything])",
    *("RandomString([nothing], 0, 0, 0, 0)", "RandomString([most], 0, 0, 0, 0)", "RandomString([half], 0, 0, 0, 0)"),
    *("RandomString(4, [least], 0, 0, 0)", "RandomString(4, 1, [text], 0, 0)", "RandomString(4, 0, 0, [most], 0)"),
    *("=RAND()", "=RANDBETWEEN(1,1)", "=RANDBETWEEN(1,6)", "=RANDBETWEEN(-3,3)", "=RANDBETWEEN(1.2,3.9)"),
    *("=RANDBETWEEN(2,1)", "=RANDBETWEEN(1.2,1.9)", "=RANDBETWEEN(0,9007199254740991)", "=RANDBETWEEN([text],2)"),
    *("=RANDBETWEEN(0,9007199254740992)", "=RANDBETWEEN(1,[text])"),
)
_OPERANDS = (
    "[nothing]",
    "[blank]",
    "[text]",
    '"ANN-MARIE"',
    "[truth]",
    "[list]",
    "[day]",
    "[half]",
    "[most]",
    "0",
    "-3",
    "IgnoreFlowIfNullOrEmpty([nothing])",
)
_DAYS = ("2023-01-01", "2024-01-07", "2024-12-31", "2025-01-05", "2026-01-01", "2026-12-31", "2027-01-03")
_KINDS_OF_WEEK = (
    *("0", "1", "2", "3", "4", "10", "11", "12", "13", "14", "15", "16", "17", "18", "21", "22"),
    "[nothing]",
)
_OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "&", "+", "-")


def _entra(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _excel(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def sections() -> Mapping[str, Sequence[str]]:
    """Return the expressions, by what they are about."""
    return {name: list(found) for name, found in _sections()}


def _sections() -> Iterator[tuple[str, Iterator[str]]]:
    yield "dates that are written", (f"UtcDateTime({_entra(one)})" for one in _WRITTEN)
    zones = ("Europe/Stockholm", "America/St_Johns", "Nowhere/Else", "")
    yield "dates of a zone", (f"UtcDateTime({_entra(one)}, {_entra(zone)})" for one in _WRITTEN[:8] for zone in zones)
    yield (
        "dates that are printed",
        (f'FormatDateTime("{one}", , "{_IN_FULL}", {_entra(f)})' for f in _FORMATS for one in _MOMENTS),
    )
    yield "dates that are read", (f'FormatDateTime("{t}", , "{f}", "yyyy-MM-dd HH:mm:ss.ffK")' for f, t in _READ)
    yield (
        "dates that are counted",
        (
            f'{function}("{one}")'
            for function in ("CDate", "NumFromDate", "DateFromNum", "FormatFileTime")
            for one in (*_WRITTEN[:6], "0", "-1", "116444736000000000", "2650467743999999999", "2650467744000000000")
        ),
    )
    yield "patterns", (f'RegexMatch("Ann Anna 5", "{one}")' for one in _PATTERNS)
    yield "replacing", (f'Replace("Ann Anna 5", , "{one}", , "<$0>", , )' for one in _PATTERNS)
    references = ("$0", "$1", "${n}", "$n", "$$", "$9", "${9}", "$&", "$`", "$'", "$+", "$_", "\\\\1", "[$1]")
    yield "replaced by", (f'Replace("Ann", , "(?<n>n)(n)", , "{one}", , )' for one in references)
    yield "what cannot be read", iter((*_CUT, *_REFUSED))
    yield "formulas that cannot be read", (f"={one}" for one in (*_CUT, *_REFUSED))
    for start, operators in (("", _OPERATORS), ("=", (*_OPERATORS, "*", "/", "^"))):
        for operator in operators:
            about = "a formula" if start else "an expression"
            yield f"{operator} in {about}", iter([f"{start}{a} {operator} {b}" for a in _OPERANDS for b in _OPERANDS])
    yield (
        "weeks and days of weeks",
        (f'={how}("{day}",{kind})' for how in ("WEEKNUM", "WEEKDAY") for day in _DAYS for kind in _KINDS_OF_WEEK),
    )
    free = ("2026-03-07", "2026-03-08", "2026-03-09", "2026-03-13", "2026-03-20")
    spans = (("2026-03-07", "2026-03-15"), ("2026-03-09", "2026-03-13"), ("2026-03-13", "2026-03-07"))
    yield (
        "working days",
        chain(
            (f'=NETWORKDAYS("{first}","{last}","{day}")' for first, last in spans for day in free),
            (f'=WORKDAY("{day}",{days},"{other}")' for day in free for days in (-5, -1, 0, 1, 4) for other in free[:3]),
        ),
    )
    yield "random values", iter(_RANDOM)
    pairs = [(source, target) for source in _SYSTEMS for target in _SYSTEMS if source != target]
    yield "number systems", (f'={one}2{other}("{n}")' for one, other in pairs for n in _NUMERALS)
    placed = [(one, other) for one, other in pairs if other != "DEC"]
    yield (
        "places of numbers",
        (
            f'={one}2{other}("{n}",{p})'
            for one, other in placed
            for n in ("0", "101", "-1", "7777777777")
            for p in _PLACES
        ),
    )
    yield (
        "numbers of a base",
        (f"=BASE({n},{r},{p})" for n in ("0", "255", "-1", "1E16") for r in _RADIXES for p in _PLACES),
    )
    read = ("0", "10", "777", " 11 ", "F", "z", "_1", "2.9")
    yield "numbers of a base that are read", (f'=DECIMAL("{n}",{r})' for n in read for r in _RADIXES)
    yield (
        "numbers that are rounded",
        (
            f"={function}({n},{digits})"
            for function in ("ROUND", "ROUNDUP", "ROUNDDOWN", "TRUNC")
            for n in _ROUNDED
            for digits in ("0", "1", "-2", "15", "0.3")
        ),
    )
    stepped = [(n, step) for n in _ROUNDED[:-1] for step in ("0", "1", "5", "0.3", "[text]")]
    yield "numbers by steps", (f"={how}({n},{step})" for how in ("CEILING", "FLOOR") for n, step in stepped)
    yield (
        "numbers by bits",
        (f"=BIT{how}({n},{other})" for how in ("AND", "OR", "XOR") for n in _BITS for other in _BITS),
    )
    yield "numbers in formulas", (f"=TEXT({n}, {_excel(cell)})" for cell in _CELLS for n in _TEXTS)
    yield "dates in formulas", (f'=TEXT("{one}", {_excel(cell)})' for cell in _CELLS for one in _MOMENTS)
