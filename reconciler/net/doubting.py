"""Says of an outcome that what was sent before it, and never answered, may have come through."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.outcomes import Failed
from reconciler.ports import Response


def after(outcome: Response | Failed, *, lost: bool) -> Response | Failed:
    """Return an outcome; where an earlier try of the same request was `lost`, it says so, whatever came of this one."""
    if not lost or outcome.repeated:
        return outcome
    return replace(outcome, repeated=True) if isinstance(outcome, Failed) else outcome._replace(repeated=True)
