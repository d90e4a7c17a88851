"""The mapping language, pure: from the text of an expression to a value."""

from reconciler.language.compiling import Expression, compile_expression
from reconciler.language.tracing import Step, trace
from reconciler.language.values import IGNORE_FLOW, IGNORE_OBJECT, Context, Dice, Ignored, LookupTable, Redacted

__all__ = [
    "IGNORE_FLOW",
    "IGNORE_OBJECT",
    "Context",
    "Dice",
    "Expression",
    "Ignored",
    "LookupTable",
    "Redacted",
    "Step",
    "compile_expression",
    "trace",
]
