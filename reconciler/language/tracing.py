"""Evaluates an expression once and keeps the value of everything in it."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import EvaluationError
from reconciler.language.compiling import compile_expression
from reconciler.language.functions import Evaluate
from reconciler.language.tree import Constant, Node, Word
from reconciler.language.values import Context, NothingFlows, Redacted, Value


@dataclass(frozen=True, slots=True)
class Step:
    """One part of an expression that was evaluated. A part that was not needed has no step."""

    depth: int
    expression: str
    value: Value
    error: str | None = None


def trace(text: str, context: Context) -> tuple[Step, ...]:
    """Return every evaluated part, outermost first; the first step is the whole. A value that fails is no exception."""
    recorder = _Recorder(text)
    expression = compile_expression(text, recorder.observe)
    error, value = None, None
    try:
        value = expression.evaluate(context)
    except EvaluationError as failure:
        error = str(failure)
    # the whole may differ from its tree: what is made of a secret is redacted
    whole = Step(0, text.strip(), value, error)
    if isinstance(value, Redacted):
        return (whole,)
    return (whole, *[step for step in recorder.steps[1:] if step is not None])


class _Recorder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.steps: list[Step | None] = []

    def observe(self, node: Node, evaluate: Evaluate) -> Evaluate:
        if isinstance(node, Constant | Word):
            return evaluate
        part = self.text[node.start : node.end]

        def observed(context: Context) -> Value:
            place, depth = len(self.steps), self.depth
            self.steps.append(None)
            self.depth += 1
            try:
                value = evaluate(context)
            except EvaluationError as failure:
                self.steps[place] = Step(depth, part, None, str(failure))
                raise
            except NothingFlows as nothing:
                self.steps[place] = Step(depth, part, nothing.ignored)
                raise
            finally:
                self.depth = depth
            self.steps[place] = Step(depth, part, value)
            return value

        return observed
