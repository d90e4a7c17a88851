"""What a way of writing expressions is: its grammar, its functions, what its operators do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from reconciler.errors import ExpressionSyntaxError
from reconciler.language.functions import Evaluate, Function
from reconciler.language.tree import Call, Node


@dataclass(frozen=True, slots=True)
class Dialect:
    parse: Callable[[str], Node]
    functions: Mapping[str, Function]
    """By name; in upper case where letter case does not count."""
    concatenation: Callable[[Sequence[Evaluate]], Evaluate]
    arithmetic: Callable[[Sequence[str], Sequence[Evaluate]], Evaluate]
    """(operators, operands, one more of these) → the closure."""
    comparison: Callable[[str, Evaluate, Evaluate], Evaluate]
    """(operator, left, right) → the closure."""
    case_counts: bool = True
    not_offered: Mapping[str, str] = field(default_factory=dict)
    """Functions that somebody may well write, and what they are for: left out, and said so."""

    def find(self, call: Call) -> Function:
        """Return the function that a call names; raises ExpressionSyntaxError with the nearest name."""
        name = call.name if self.case_counts else call.name.upper()
        function = self.functions.get(name)
        if function is None:
            if name in self.not_offered:
                problem = f"{call.name} is not offered: {self.not_offered[name]}"
                raise ExpressionSyntaxError(problem, call.start, "docs/expressions.md lists every function")
            raise ExpressionSyntaxError(f"unknown function {call.name}", call.start, self._nearest(call.name))
        return function

    def _nearest(self, name: str) -> str:
        by_lower = {known.lower(): known for known in self.functions}
        exact = by_lower.get(name.lower())
        if exact is not None:
            return f"names are case-sensitive: write {exact}"
        near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
        return f"did you mean {by_lower[near[0]]}?" if near else "docs/expressions.md lists every function"
