"""The errors that are raised; everything else that goes wrong in the world is a value.

ReconcilerError
├── ConfigError            the configuration cannot be used; carries every problem        exit 2
├── ExpressionSyntaxError  a mapping expression cannot be parsed; says where              exit 2
├── EvaluationError        an expression has no value for this entry; fails that entry only
├── NobodyOrSeveral        a name is not that of one person                               exit 2
├── NotAnnounced           a source does not announce changes, or no longer; says why
├── NoAnswer               the daemon does not answer                                    exit 5
└── StateError             the state cannot be used as it is                              exit 2, of `run` 75
    ├── StateLocked        another process writes to it; names that process             exit 2
    ├── IdentityChanged    source or target is not the one that the links belong to
    └── ClockBehind        the machine's clock says a time that is over for the state
"""

from dataclasses import dataclass

_EXCERPT_BEFORE, _EXCERPT_LENGTH = 60, 100
"""How many characters of a long expression are shown before the place of an error, and in all."""


class ReconcilerError(Exception):
    """Something that a person has to mend; its text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: `where` is `file: key path`, `hint` what to do (may be empty).

    `excerpt` shows an expression that cannot be read, a caret below the place; nothing else is shown as it was written.
    """

    where: str
    problem: str
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        said = f"{self.where}: {self.problem}" + (f" ({self.hint})" if self.hint else "")
        return f"{said}\n{self.excerpt}" if self.excerpt else said


class ConfigError(ReconcilerError):
    """The configuration cannot be used. Holds every problem that was found, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class ExpressionSyntaxError(ReconcilerError):
    """A mapping expression cannot be parsed. `position` counts characters from 0."""

    def __init__(self, problem: str, position: int, hint: str = "") -> None:
        self.problem, self.position, self.hint = problem, position, hint
        super().__init__(f"{problem} at character {position + 1}" + (f" ({hint})" if hint else ""))

    def excerpt(self, text: str) -> str:
        """Return the line of the expression that the error is in, and below it a caret at the place."""
        before = text[: self.position]
        line = text.splitlines()[before.count("\n")] if text.splitlines() else ""
        column = len(before) - (before.rfind("\n") + 1)
        start = max(0, column - _EXCERPT_BEFORE)
        return f"  {line[start : start + _EXCERPT_LENGTH]}\n  {' ' * (column - start)}^"


class EvaluationError(ReconcilerError):
    """An expression has no value for this entry. Never holds the value of an attribute."""


class NobodyOrSeveral(ReconcilerError):
    """A name is not that of one person."""


class NotAnnounced(ReconcilerError):
    """A source does not announce changes, or no longer; its text says why, and what to do."""


class NoAnswer(ReconcilerError):
    """The daemon does not answer; the text says where it was asked, and what to do."""


class StateError(ReconcilerError):
    """The state cannot be used as it is."""


class NoStateYet(StateError):
    """Nothing has been remembered so far."""


class StateLocked(StateError):
    """Another process writes to the state; the text names it."""


class IdentityChanged(StateError):
    """Source or target is not the one that the links belong to; `reconciler rebind` decides what that means."""


class ClockBehind(StateError):
    """The machine's clock is more than a day earlier than the newest cycle: what is written then is due too early."""
