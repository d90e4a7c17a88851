"""The mapping language, pure: from the text of an expression to a value."""

from reconciler.language.compiling import Expression, compile_expression
from reconciler.language.tracing import Step, trace
from reconciler.language.values import (
    IGNORE_FLOW,
    IGNORE_OBJECT,
    Choice,
    Context,
    Dice,
    Ignored,
    LookupTable,
    Redacted,
    ask_later,
)

__all__ = [
    "IGNORE_FLOW",
    "IGNORE_OBJECT",
    "Choice",
    "Context",
    "Dice",
    "Expression",
    "Ignored",
    "LookupTable",
    "Redacted",
    "Step",
    "ask_later",
    "compile_expression",
    "trace",
]
