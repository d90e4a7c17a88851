"""Chooses values that nobody else has: the rules offer, the target is asked, no two entries of a cycle get the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.core import diffing
from reconciler.core.mapping import Mapped
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.outcomes import Failed
from reconciler.runtime.asking import Asking, Question
from reconciler.runtime.claims import Claimed


class Choosing(NamedTuple):
    """One entry with choices to be made, and the account that it has already, whose own values are free for it."""

    source_id: SourceId
    mapped: Mapped
    own: TargetId | None


async def choose(
    asking: Asking, kind: Kind, entries: Sequence[Choosing], claimed: Claimed, *, afresh: bool = False
) -> Mapping[SourceId, Failed]:
    """Settle every choice of these entries; return those of whom the target could not be asked.

    Each round asks for one value of every entry that has none yet, all at once.
    """
    unanswered: dict[SourceId, Failed] = {}
    for path in dict.fromkeys(path for entry in entries for path in entry.mapped.choices):
        open_ = {
            entry.source_id: (entry, list(entry.mapped.choices[path].values))
            for entry in entries
            if path in entry.mapped.choices and entry.source_id not in unanswered
        }
        while open_:
            asked: dict[SourceId, Any] = {}
            for source_id, (entry, values) in list(open_.items()):
                value = _next(asking, kind, path, source_id, values, claimed)
                if value is None:
                    entry.mapped.give_up(path)
                    del open_[source_id]
                else:
                    asked[source_id] = value
            questions = [Question(one, ((path, diffing.text(value)),)) for one, value in asked.items()]
            answers = await asking.ask(questions, afresh=afresh) if questions else {}
            for source_id, value in asked.items():
                entry, _ = open_[source_id]
                answer = answers[source_id]
                if isinstance(answer, Failed):
                    unanswered[source_id] = answer
                    del open_[source_id]
                elif all(account.id == entry.own for account in answer):
                    entry.mapped.choose(path, value)
                    del open_[source_id]
    return unanswered


def _next(asking: Asking, kind: Kind, path: str, source_id: SourceId, values: list[Any], claimed: Claimed) -> Any:
    """Return the next value that no other entry of this cycle has spoken for, spoken for by this one; None: none."""
    while values:
        value = values.pop(0)
        key = (kind, asking.key(path, diffing.text(value)))
        if claimed.first(key, source_id) == source_id:
            return value
    return None
