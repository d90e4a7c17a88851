"""Every function of the language, by name."""

from __future__ import annotations

from reconciler.language import conversion, dates, generating, lists, logic, replacing, roles, wording
from reconciler.language.functions import Function

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in sorted(
        (
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
