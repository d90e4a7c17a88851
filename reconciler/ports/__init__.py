"""Where the house ends: what is asked of the world, as Protocols, and the values that cross.

An adapter stands behind each of them. The simulator replaces all of them at once.
"""

from __future__ import annotations

from reconciler.ports.clock import Clock, Dice, Ticks
from reconciler.ports.exchange import Diagnosis, Exchange, Request, Response
from reconciler.ports.kept import (
    Attempt,
    Batch,
    Claim,
    Decided,
    Decision,
    Figures,
    HeldOperation,
    Hold,
    JobState,
    LogQuery,
    MatchPairs,
    MemberDelta,
    Owner,
    PendingReference,
    QueuedNotice,
    Seen,
    Statistics,
)
from reconciler.ports.mails import InDoubt, Notifier, NotTaken, Taken
from reconciler.ports.progress import Progress
from reconciler.ports.source import (
    Announcing,
    AssignmentPage,
    EntryPage,
    GroupMembers,
    MembershipPage,
    PresentPage,
    ReadEnd,
    ReadEvent,
    Source,
    Tidying,
    Wanted,
    Watermark,
    Withholding,
    chunks,
)
from reconciler.ports.store import Store
from reconciler.ports.target import Foreseeing, Target

__all__ = [
    "Announcing",
    "AssignmentPage",
    "Attempt",
    "Batch",
    "Claim",
    "Clock",
    "Decided",
    "Decision",
    "Diagnosis",
    "Dice",
    "EntryPage",
    "Exchange",
    "Figures",
    "Foreseeing",
    "GroupMembers",
    "HeldOperation",
    "Hold",
    "InDoubt",
    "JobState",
    "LogQuery",
    "MatchPairs",
    "MemberDelta",
    "MembershipPage",
    "NotTaken",
    "Notifier",
    "Owner",
    "PendingReference",
    "PresentPage",
    "Progress",
    "QueuedNotice",
    "ReadEnd",
    "ReadEvent",
    "Request",
    "Response",
    "Seen",
    "Source",
    "Statistics",
    "Store",
    "Taken",
    "Target",
    "Ticks",
    "Tidying",
    "Wanted",
    "Watermark",
    "Withholding",
    "chunks",
]
