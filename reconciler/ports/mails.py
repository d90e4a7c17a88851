"""What is asked of a mail server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.notices import Notice


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A mail, or a recipient of it, that the mail server did not take; `problem` is a sentence for an administrator."""

    problem: str
    lasting: bool = False
    """The same mail would be refused again."""
    of_server: bool = False
    """It has nothing to do with this mail: every other would fare as it did."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server has the mail, and answers for it."""

    answer: str
    refused: Mapping[str, NotTaken]
    """Recipients that it would not take it for."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The whole text was sent, and the mail server did not answer in time: it may have the mail."""

    problem: str


class Notifier(Protocol):
    """Makes a mail of a notice, hands it to the mail server: once, without a retry."""

    async def hand_over(
        self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken | InDoubt:
        """Hand it over. `begin` is awaited when all that is left is to send the text: nothing was taken before it."""
        ...
