"""Excel formulas: each function, its errors as values, its words for what is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.errors import EvaluationError
from reconciler.language import IGNORE_FLOW, Context, LookupTable, Redacted, compile_expression, trace
from reconciler.language.excel import FUNCTIONS, NOT_OFFERED

HER = {
    "name": "Ann Lee",
    "number": "5",
    "day": "2025-03-31",
    "nothing": None,
    "blank": "",
    "list": ["b", "a", "b"],
    "yes": True,
    "city": "ZÜRICH",
    "half": 2.5,
}
NOW = datetime(2025, 8, 1, 12, 30, 5, tzinfo=UTC)
TABLES = {"Regions": LookupTable(("code", "name", "zip"), {"BE": ("BE", "Bern", "3000"), "ZH": ("ZH", "Zürich", "")})}


class Counting:
    """Dice that give a sequence: the same each time."""

    thrown = 0

    def hex(self, digits: int) -> str:
        self.thrown += 0x9E3779B97F4A7C15
        return f"{self.thrown % 16**digits:0{digits}x}"


def of(formula: str) -> Any:
    def member(group: str, nested: bool) -> bool:
        return group == "Staff" and not nested

    context = Context(HER, now=NOW, tables=TABLES, member_of=member, dice=Counting())
    return compile_expression(formula).evaluate(context)


WORKED: dict[str, list[tuple[str, Any]]] = {
    "ABS": [("=ABS(-3)", 3)],
    "AND": [("=AND(TRUE,[number]=5)", True), ("=AND([nothing],1)", False), ("=AND(FALSE,NA())", False)],
    "BASE": [("=BASE(7,2,8)", "00000111")],
    "BIN2DEC": [('=BIN2DEC("1010")', 10), ('=BIN2DEC("1111111111")', -1)],
    "BIN2HEX": [('=BIN2HEX("11111011",4)', "00FB")],
    "BIN2OCT": [('=BIN2OCT("1001",3)', "011")],
    "BITAND": [("=BITAND(514,2)", 2)],
    "BITOR": [("=BITOR(512,2)", 514)],
    "BITXOR": [("=BITXOR(3,1)", 2)],
    "CEILING": [("=CEILING(7,5)", 10), ("=CEILING(2.1)", 3), ("=CEILING(2,0)", 0)],
    "CHAR": [("=CHAR(65)", "A"), ("=CHAR(128)", "€")],
    "CHOOSE": [('=CHOOSE(2,"a",[name],NA())', "Ann Lee")],
    "CLEAN": [('=CLEAN("a"&UNICHAR(10)&"b")', "ab")],
    "CODE": [('=CODE("é")', 233)],
    "CONCAT": [('=CONCAT([list],"-",[nothing],1)', "bab-1")],
    "CONCATENATE": [('=CONCATENATE("a",TRUE,2.0)', "aTRUE2")],
    "COUNT": [("=COUNT([list],[number],7,[nothing])", 2)],
    "COUNTA": [("=COUNTA([list],[nothing],[blank])", 3)],
    "DATE": [("=DATE(2025,1,5)", "2025-01-05"), ("=DATE(2025,14,0)", "2026-01-31"), ("=DATE(2025,1,-1)", "2024-12-30")],
    "DATEDIF": [
        ('=DATEDIF("2024-02-29",[day],"D")', 396),
        ('=DATEDIF("2024-02-29",[day],"M")', 13),
        ('=DATEDIF("2024-02-29",[day],"y")', 1),
        ('=DATEDIF("2024-02-29",[day],"YM")', 1),
        ('=DATEDIF("2024-02-29",[day],"MD")', 2),
        ('=DATEDIF("2024-02-29",[day],"YD")', 31),
    ],
    "DATEVALUE": [('=DATEVALUE("3/16/2020 7:00:00 AM")', "2020-03-16")],
    "DAY": [("=DAY([day])", 31)],
    "DAYS": [('=DAYS([day],"2025-03-01")', 30)],
    "DEC2BIN": [("=DEC2BIN(9)", "1001"), ("=DEC2BIN(-1)", "1111111111")],
    "DEC2HEX": [("=DEC2HEX(255,4)", "00FF")],
    "DEC2OCT": [("=DEC2OCT(8)", "10")],
    "DECIMAL": [('=DECIMAL("FF",16)', 255)],
    "EDATE": [("=EDATE([day],-1)", "2025-02-28"), ('=EDATE("2024-02-29",12)', "2025-02-28")],
    "EOMONTH": [("=EOMONTH([day],-1)", "2025-02-28"), ('=EOMONTH("2024-01-31T10:00:00Z",1)', "2024-02-29")],
    "EXACT": [('=EXACT("a","A")', False), ('=EXACT([name],"Ann Lee")', True)],
    "FALSE": [("=FALSE()", False)],
    "FIND": [('=FIND("L",[name])', 5), ('=FIND("n",[name],3)', 3)],
    "FIXED": [("=FIXED(1234.567,1)", "1,234.6"), ("=FIXED(1234.567,1,TRUE)", "1234.6")],
    "FLOOR": [("=FLOOR(7,5)", 5)],
    "HEX2BIN": [('=HEX2BIN("F",8)', "00001111")],
    "HEX2DEC": [('=HEX2DEC("FF")', 255), ('=HEX2DEC("FFFFFFFFFF")', -1)],
    "HEX2OCT": [('=HEX2OCT("F")', "17")],
    "HOUR": [("=HOUR(NOW())", 12)],
    "IF": [
        ('=IF([number]>3,"big",NA())', "big"),
        ('=IF([nothing]="",[name],"x")', "Ann Lee"),
        ("=IF(FALSE,1)", False),
        ("=IF([number]>9,1,)", None),
    ],
    "IFERROR": [('=IFERROR(1/0,"oops")', "oops"), ("=IFERROR([number],0)", "5"), ("=IFERROR(CDATE([name]),)", None)],
    "IFNA": [('=IFNA(NA(),"na")', "na")],
    "IFS": [('=IFS([number]>9,NA(),TRUE,"y")', "y")],
    "INDEX": [("=INDEX([list],2)", "a"), ("=INDEX([name],1)", "Ann Lee")],
    "INT": [("=INT(-1.5)", -2)],
    "ISBLANK": [("=ISBLANK([blank])", True), ("=ISBLANK([name])", False)],
    "ISERR": [("=ISERR(1/0)", True), ("=ISERR(NA())", False)],
    "ISERROR": [("=ISERROR(NA())", True), ("=ISERROR([name])", False)],
    "ISEVEN": [("=ISEVEN(4)", True)],
    "ISLOGICAL": [("=ISLOGICAL([yes])", True), ("=ISLOGICAL([name])", False)],
    "ISNA": [("=ISNA(NA())", True), ("=ISNA(1/0)", False)],
    "ISNONTEXT": [("=ISNONTEXT([number])", True), ("=ISNONTEXT([name])", False)],
    "ISNUMBER": [('=ISNUMBER(SEARCH("z",[name]))', False), ("=ISNUMBER([number])", True), ("=ISNUMBER([name])", False)],
    "ISODD": [("=ISODD(-3)", True)],
    "ISOWEEKNUM": [('=ISOWEEKNUM("2021-01-03")', 53)],
    "ISTEXT": [("=ISTEXT([name])", True), ("=ISTEXT([number])", False), ("=ISTEXT([nothing])", False)],
    "LEFT": [("=LEFT([name],3)", "Ann"), ("=LEFT([name])", "A"), ("=LEFT([nothing],3)", "")],
    "LEN": [("=LEN([name])", 7), ("=LEN([nothing])", 0)],
    "LOWER": [("=LOWER([city])", "zürich")],
    "MATCH": [('=MATCH("A",[list],0)', 2)],
    "MAX": [("=MAX([number],7,[nothing])", 7), ("=MAX([nothing])", 0)],
    "MID": [("=MID([name],5,9)", "Lee"), ("=MID([name],99,1)", "")],
    "MIN": [("=MIN([number],7.5,[list])", 5)],
    "MINUTE": [("=MINUTE(NOW())", 30)],
    "MOD": [("=MOD(-3,2)", 1), ("=MOD(5.5,2)", 1.5)],
    "MONTH": [("=MONTH([day])", 3)],
    "N": [("=N([yes])", 1), ("=N([name])", 0)],
    "NA": [("=IFNA(NA(),1)", 1)],
    "NETWORKDAYS": [
        ('=NETWORKDAYS("2025-08-01","2025-08-31")', 21),
        ('=NETWORKDAYS("2025-08-31","2025-08-01",DATE(2025,8,4))', -20),
    ],
    "NOT": [("=NOT([yes])", False)],
    "NOW": [("=NOW()", "2025-08-01T12:30:05Z")],
    "NUMBERVALUE": [('=NUMBERVALUE("1.234,5",",",".")', 1234.5)],
    "OCT2BIN": [('=OCT2BIN("7")', "111")],
    "OCT2DEC": [('=OCT2DEC("17")', 15)],
    "OCT2HEX": [('=OCT2HEX("17")', "F")],
    "OR": [("=OR(FALSE,[number]=5,NA())", True), ("=OR([nothing])", False)],
    "POWER": [("=POWER(2,10)", 1024)],
    "PRODUCT": [("=PRODUCT(2,3,[nothing])", 6)],
    "PROPER": [('=PROPER("o\'neil MC-x2y")', "O'Neil Mc-X2Y")],
    "QUOTIENT": [("=QUOTIENT(-7,2)", -3)],
    "RAND": [("=AND(RAND()>=0,RAND()<1)", True)],
    "RANDBETWEEN": [("=AND(RANDBETWEEN(1,6)>=1,RANDBETWEEN(1,6)<=6)", True)],
    "REGEXEXTRACT": [('=REGEXEXTRACT([name],"[A-Z]e+")', "Lee")],
    "REGEXREPLACE": [('=REGEXREPLACE([name],"(?<a>\\w+) (\\w+)","$1, ${a}")', "Lee, Ann")],
    "REGEXTEST": [('=REGEXTEST([name],"^a")', False), ('=REGEXTEST([name],"^a",1)', True)],
    "REPLACE": [('=REPLACE("abcdef",2,3,"X")', "aXef")],
    "REPT": [('=REPT("ab",3)', "ababab")],
    "RIGHT": [("=RIGHT([name],3)", "Lee"), ("=RIGHT([name],0)", ""), ("=RIGHT([name],99)", "Ann Lee")],
    "ROUND": [("=ROUND([half])", 3), ("=ROUND(-1.25,1)", -1.3), ("=ROUND(1234,-2)", 1200), ("=ROUND(2.675,2)", 2.68)],
    "ROUNDDOWN": [("=ROUNDDOWN(-1.29,1)", -1.2)],
    "ROUNDUP": [("=ROUNDUP(1.21,1)", 1.3)],
    "SEARCH": [('=SEARCH("LEE",[name])', 5), ('=SEARCH("n*e",[name])', 2), ('=SEARCH("~*","a*")', 2)],
    "SECOND": [("=SECOND(NOW())", 5)],
    "SIGN": [("=SIGN(-2)", -1)],
    "SQRT": [("=SQRT(16)", 4)],
    "SUBSTITUTE": [
        ('=SUBSTITUTE("a-b-c","-","+")', "a+b+c"),
        ('=SUBSTITUTE("a-b-c","-","+",2)', "a-b+c"),
        ('=SUBSTITUTE("a-b","-","+",3)', "a-b"),
    ],
    "SUM": [('=SUM(1,2,"3",[list])', 6), ("=SUM(0.1,0.2)", 0.3)],
    "SWITCH": [
        ('=SWITCH([number],"4","four",5,"five")', "five"),
        ('=SWITCH([number],"4","four","other")', "other"),
        ('=SWITCH([city],"zürich","ZH")', "ZH"),
    ],
    "T": [("=T([name])", "Ann Lee"), ("=T(5)", "")],
    "TEXT": [
        ('=TEXT([day],"dd.mm.yyyy")', "31.03.2025"),
        ('=TEXT([day],"mmmm d, yy")', "March 31, 25"),
        ('=TEXT([day],"dddd")', "Monday"),
        ('=TEXT([day],"m")', "3"),
        ('=TEXT(NOW(),"h:mm AM/PM")', "12:30 PM"),
        ('=TEXT(NOW(),"yyyymmdd""T""hhmmss")', "20250801T123005"),
        ('=TEXT(NOW(),"mm:ss")', "30:05"),
        ('=TEXT(1234.567,"#,##0.00")', "1,234.57"),
        ('=TEXT(7,"000")', "007"),
        ('=TEXT(0.256,"0.0%")', "25.6%"),
        ('=TEXT(-5,"0;(0)")', "(5)"),
        ('=TEXT(0.5,"#.##")', ".5"),
        ('=TEXT(1.5,"0.##")', "1.5"),
        ('=TEXT(5,"""no. ""0")', "no. 5"),
        ('=TEXT([name],"0")', "Ann Lee"),
        ('=TEXT([nothing],"yyyy")', ""),
    ],
    "TEXTAFTER": [('=TEXTAFTER("a@b@c","@")', "b@c"), ('=TEXTAFTER("a@b@c","@",-1)', "c")],
    "TEXTBEFORE": [('=TEXTBEFORE("a@b@c","@")', "a"), ('=TEXTBEFORE("a@b@c","@",2)', "a@b")],
    "TEXTJOIN": [('=TEXTJOIN("-",TRUE,[list],[nothing],1)', "b-a-b-1"), ('=TEXTJOIN("-",FALSE,"a",[nothing])', "a-")],
    "TEXTSPLIT": [('=TEXTSPLIT("a,b,",",")', ["a", "b", ""])],
    "TODAY": [("=TODAY()", "2025-08-01")],
    "TRIM": [('=TRIM("  a   b ")', "a b")],
    "TRUE": [("=TRUE", True)],
    "TRUNC": [("=TRUNC(-1.9)", -1)],
    "UNICHAR": [("=UNICHAR(233)", "é")],
    "UNICODE": [('=UNICODE("é")', 233)],
    "UNIQUE": [("=UNIQUE([list])", ["b", "a"])],
    "UPPER": [("=UPPER([name])", "ANN LEE")],
    "VALUE": [('=VALUE("1,234.5")', 1234.5), ('=VALUE("50%")', 0.5)],
    "VLOOKUP": [('=VLOOKUP("BE",Regions,2,FALSE)', "Bern"), ('=VLOOKUP("BE","Regions",3)', "3000")],
    "WEEKDAY": [("=WEEKDAY([day])", 2), ("=WEEKDAY([day],2)", 1), ("=WEEKDAY([day],3)", 0)],
    "WEEKNUM": [("=WEEKNUM([day])", 14), ('=WEEKNUM("2021-01-03",21)', 53)],
    "WORKDAY": [('=WORKDAY("2025-08-01",3)', "2025-08-06"), ('=WORKDAY("2025-08-04",-1,"2025-08-01")', "2025-07-31")],
    "XLOOKUP": [
        ('=XLOOKUP("Bern",Regions[name],Regions[code])', "BE"),
        ('=XLOOKUP("GE",Regions[code],Regions[name],"?")', "?"),
    ],
    "XOR": [("=XOR(TRUE,TRUE)", False), ("=XOR(TRUE,FALSE)", True)],
    "YEAR": [("=YEAR([day])", 2025)],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_excel(name: str) -> None:
    for formula, expected in WORKED[name]:
        found = of(formula)
        assert (formula, found, type(found)) == (formula, expected, type(expected))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ('=[name]&" "&[nothing]&1.0', "Ann Lee 1"),
        ("=[number]+1", 6),
        ("=[nothing]+1", 1),
        ("=[yes]+1", 2),
        ("=1/3", 0.333333333333333),
        ("=-2^2", 4),
        ("=2^3^2", 64),
        ("=50%*[number]", 2.5),
        ("=[day]+1", "2025-04-01"),
        ('=[day]-"2025-03-01"', 30),
        ("=1+[day]", "2025-04-01"),
        ('="a"="A"', True),
        ('=[nothing]=""', True),
        ("=[nothing]=0", True),
        ('="10">9', True),
        ('="b">"A"', True),
        ('=[day]<"4/1/2025"', True),
        ("=[yes]=TRUE", True),
        ('="true"=TRUE', True),
        ('=IF([number]>=5,IGNOREATTRIBUTEFLOW,"x")', IGNORE_FLOW),
        ("=NormalizeDiacritics([city])", "ZURICH"),
        ('=MemberOf("Staff")', True),
        ('=Lookup("Regions","BE")', "Bern"),
        ('=Redact([name])&"!"', Redacted("Ann Lee!")),
        ('=SelectUniqueValue([name],"x")', "Ann Lee"),
    ],
)
def test_operators_and_our_own_functions_in_a_formula(formula: str, expected: Any) -> None:
    found = of(formula)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("=1/0", "#DIV/0!"),
        ("=MOD(1,[nothing])", "#DIV/0!"),
        ("=[name]*2", "#VALUE!"),
        ('=FIND("z",[name])', "#VALUE!"),
        ("=NA()", "#N/A"),
        ('=VLOOKUP("GE",Regions,2,FALSE)', "#N/A"),
        ('=VLOOKUP("BE",Regions,9,FALSE)', "#REF!"),
        ('=VLOOKUP("BE",Regions,2,TRUE)', "#VALUE!"),
        ("=IFNA(1/0,1)", "#DIV/0!"),
        ('=SWITCH([number],"4","four")', "#N/A"),
        ("=CHOOSE(3,1,2)", "#VALUE!"),
        ("=POWER(9,999)", "#NUM!"),
        ("=(-1)^0.5", "#NUM!"),
        ("=SQRT(-1)", "#NUM!"),
        ("=DATE(99999,1,1)", "#NUM!"),
        ("=YEAR([name])", "#VALUE!"),
        ("=YEAR([nothing])", "#VALUE!"),
        ("=INDEX([list],4)", "#REF!"),
        ("=DEC2BIN(9999)", "#NUM!"),
        ('=TEXT(5,"0.0.0")', "#VALUE!"),
        ('=REGEXTEST("' + "a" * 80 + '","(a|aa)+!")', "#VALUE!"),
        ('=REPT("ab",9999999)', None),
        ("=NOT([name])", "#VALUE!"),
    ],
)
def test_an_error_ends_the_formula_or_is_caught(formula: str, code: str | None) -> None:
    with pytest.raises(EvaluationError) as raised:
        of(formula)
    assert code is None or str(raised.value).startswith(f"{code} ")
    assert "Ann" not in str(raised.value)
    assert of(f'=IFERROR({formula[1:]},"caught")') == "caught"


def test_what_is_left_out_is_no_function_by_mistake() -> None:
    assert not NOT_OFFERED.keys() & FUNCTIONS.keys()


def test_rules_within_rules_fill_no_memory() -> None:
    formula = "[name]"
    for _ in range(30):
        formula = f'SUBSTITUTE({formula},"n","nnnnnnnnnnnnnnnnnnnnnn")'
    with pytest.raises(EvaluationError, match="more than 1,000,000 characters"):
        of(f"={formula}")


def test_a_formula_is_traced_like_every_expression() -> None:
    steps = trace('=IF([number]>3,LEFT([name],3),"")', Context(HER))
    assert [(step.depth, step.expression, step.value) for step in steps] == [
        (0, '=IF([number]>3,LEFT([name],3),"")', "Ann"),
        (1, "[number]>3", True),
        (2, "[number]", "5"),
        (1, "LEFT([name],3)", "Ann"),
        (2, "[name]", "Ann Lee"),
    ]


def test_a_part_that_fails_or_lets_nothing_flow_says_so_in_its_step() -> None:
    steps = trace("=IFERROR(LEFT([name],1)/0,IF(TRUE,IGNOREATTRIBUTEFLOW))", Context(HER))
    assert [(step.depth, step.expression, step.value, step.error) for step in steps] == [
        (0, "=IFERROR(LEFT([name],1)/0,IF(TRUE,IGNOREATTRIBUTEFLOW))", IGNORE_FLOW, None),
        (1, "LEFT([name],1)/0", None, "#DIV/0! division by zero"),
        (2, "LEFT([name],1)", "A", None),
        (3, "[name]", "Ann Lee", None),
        (1, "IF(TRUE,IGNOREATTRIBUTEFLOW)", IGNORE_FLOW, None),
        (2, "TRUE", True, None),
    ]
    failed = trace(" =NOT([name]) ", Context(HER))
    why = "#VALUE! NOT needs something that is true or false"
    assert [(step.expression, step.value, step.error) for step in failed] == [
        ("=NOT([name])", None, why),
        ("[name]", "Ann Lee", None),
    ]
    nothing = trace("ToUpper(IgnoreFlowIfNullOrEmpty([nothing]))", Context(HER))
    assert [(step.depth, step.value, step.error) for step in nothing] == [
        (0, IGNORE_FLOW, None),
        (1, IGNORE_FLOW, None),
        (2, None, None),
    ]


@pytest.mark.parametrize(
    ("formula", "rounded"),
    [
        ("=ROUND(99999999999999.9,15)", 99999999999999.9),
        ("=ROUND(99999999999999.9,0)", 100000000000000),
        ("=ROUNDUP(1E14,15)", 100000000000000),
        ("=TRUNC(-99999999999999.9,9)", -99999999999999.9),
        ("=ROUNDDOWN(99999999999999.9,-13)", 90000000000000),
    ],
)
def test_the_longest_numbers_are_rounded_to_any_digits(formula: str, rounded: float) -> None:
    assert of(formula) == rounded


@pytest.mark.parametrize("system", ["BIN", "OCT", "HEX"])
def test_nothing_is_the_number_zero_in_every_system(system: str) -> None:
    assert (of(f"={system}2DEC([nothing])"), of(f"=DEC2{system}([nothing])")) == (0, "0")
