"""Picks the one error to raise where several tasks were brought down together."""

from __future__ import annotations

from reconciler.errors import StateError


def one_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that a person can mend, where several tasks were brought down by one."""
    state = errors.subgroup(StateError)
    chosen: BaseException = state if state is not None else errors
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return chosen
