"""Names that entries of one cycle have spoken for, so that no two of them take the same."""

from __future__ import annotations

from collections.abc import Sequence, Set

from reconciler.core.met import Owners
from reconciler.core.model import Kind, SourceId
from reconciler.runtime.asking import Asking

Claimed = Owners
"""(kind, path=value) or (kind, id=account) → the entry that it is spoken for by."""


class Claims:
    """Who has spoken for what; what is matched once more at the end of the cycle speaks anew."""

    def __init__(self) -> None:
        self.claimed = Claimed()
        self._claimed_last = Claimed()

    def take(
        self,
        asking: Asking,
        kind: Kind,
        own: SourceId,
        match: Sequence[tuple[str, str]],
        in_doubt: Set[tuple[Kind, SourceId]],
        *,
        last: bool,
    ) -> bool:
        """Speak for the matching values of an entry; False where another entry of this cycle has done so already.

        At last a name is free again whose first speaker came to nothing, unless nobody knows what it came to.
        """
        claimed = self._claimed_last if last else self.claimed
        keys = [(kind, asking.key(path, value)) for path, value in match]
        for key in keys:
            if claimed.get(key) not in (None, own):
                return False
        if last and any((kind, self.claimed.get(key) or own) in in_doubt - {(kind, own)} for key in keys):
            return False
        for key in keys:
            claimed.put(key, own)
        return True
