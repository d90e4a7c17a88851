"""Every function of the language of Entra mappings, by name, with what we add."""

from __future__ import annotations

from reconciler.language import beyond, conversion, dates, generating, lists, logic, replacing, roles, wording
from reconciler.language.dialects import Dialect
from reconciler.language.functions import Function
from reconciler.language.operators import addition, comparison, concatenation
from reconciler.language.syntax import parse

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in sorted(
        (
            *beyond.FUNCTIONS,
            *conversion.FUNCTIONS,
            *dates.FUNCTIONS,
            *generating.FUNCTIONS,
            *lists.FUNCTIONS,
            *logic.FUNCTIONS,
            *replacing.FUNCTIONS,
            *roles.FUNCTIONS,
            *wording.FUNCTIONS,
        ),
        key=lambda function: function.name,
    )
}

ENTRA = Dialect(parse, FUNCTIONS, concatenation, addition, comparison)
