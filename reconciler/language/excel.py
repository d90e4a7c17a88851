"""The Excel dialect: a formula that begins with =, with Excel's functions and, where they have no namesake, ours."""

from __future__ import annotations

from reconciler.language import excel_dates, excel_logic, excel_maths, excel_text
from reconciler.language.catalogue import FUNCTIONS as ENTRA_FUNCTIONS
from reconciler.language.dialects import Dialect
from reconciler.language.excel_syntax import parse
from reconciler.language.excel_values import arithmetic, comparison, concatenation
from reconciler.language.functions import Function

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in sorted(
        (*excel_dates.FUNCTIONS, *excel_logic.FUNCTIONS, *excel_maths.FUNCTIONS, *excel_text.FUNCTIONS),
        key=lambda function: function.name,
    )
}
"""Excel's own."""

_FINANCE = (
    "ACCRINT CUMIPMT CUMPRINC DB DDB DISC DURATION EFFECT FV INTRATE IPMT IRR MIRR NOMINAL NPER NPV PMT PPMT PRICE PV "
    "RATE SLN SYD TBILLPRICE VDB XIRR XNPV YIELD"
)
_TRIGONOMETRY = (
    "ACOS ACOSH ACOT ASIN ASINH ATAN ATAN2 ATANH COS COSH COT CSC DEGREES EXP LN LOG LOG10 PI RADIANS SEC SIN SINH "
    "SQRTPI TAN TANH"
)
_STATISTICS = (
    "AVERAGE AVERAGEA AVERAGEIF AVERAGEIFS CORREL COUNTBLANK COUNTIF COUNTIFS COVAR FORECAST FREQUENCY LARGE LINEST "
    "MAXIFS MEDIAN MINIFS MODE NORMDIST NORMINV PERCENTILE QUARTILE RANK SMALL STDEV STDEVP SUMIF SUMIFS SUMPRODUCT "
    "TREND VAR VARP"
)
_CELLS = "ADDRESS AREAS CELL COLUMN COLUMNS FILTER FORMULATEXT HLOOKUP INDIRECT LOOKUP OFFSET ROW ROWS SORT TRANSPOSE"

NOT_OFFERED = {
    **dict.fromkeys(_FINANCE.split(), "finance is left out"),
    **dict.fromkeys(_TRIGONOMETRY.split(), "trigonometry and logarithms are left out"),
    **dict.fromkeys(_STATISTICS.split(), "statistics are left out"),
    **dict.fromkeys(_CELLS.split(), "there are no cells here; for tables there are VLOOKUP and XLOOKUP"),
}

EXCEL = Dialect(
    parse,
    {**{name.upper(): function for name, function in ENTRA_FUNCTIONS.items()}, **FUNCTIONS},
    concatenation,
    arithmetic,
    comparison,
    case_counts=False,
    not_offered=NOT_OFFERED,
)
