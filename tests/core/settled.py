"""Writes down what is remembered of an entry after whatever was done, failed or seen: python -m tests.core.settled.

Each situation is a record as it was before, and one thing that happened. What is written down is what that changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

from reconciler.core import settling
from reconciler.core.decisions import Leave, Operation, Word
from reconciler.core.model import Cause, Change, Resource, SourceId, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.profile import Profile, TargetAttribute
from reconciler.core.records import BY_OTHERS, Escrow, Link, Record, Verdict

PAGE = Path(__file__).parent / "settled.txt"
NOW, DAY = 1_000_000.0, 86400.0
PROFILE = Profile(
    "example",
    {"pin": TargetAttribute("pin", shown=False), "userName": TargetAttribute("userName", max_changes=5)},
    {
        "displayName": TargetAttribute("displayName", max_changes=2),
        "externalId": TargetAttribute("externalId", max_changes=1),
    },
)
ON: Resource = {"active": True, "title": "Engineer", "pin": "1"}
OFF: Resource = {**ON, "active": False}


def _record(agreed: Resource | None = None, *, verdict: Verdict = Verdict.IN_SCOPE, **of: Any) -> Record:
    link = None
    if agreed is not None:
        linked = {key: of.pop(key) for key in list(of) if key in {each.name for each in fields(Link)}}
        link = Link(TargetId("t1"), "created", agreed, NOW - 90 * DAY, **linked)
    return Record("user", SourceId("s1"), fingerprint=b"before", verdict=verdict, why="before", link=link, **of)


_OFF_BY_US: Mapping[str, Any] = {"disabled_at": NOW - DAY, "disabled_because": "inactive", "delete_at": NOW + DAY}
_OFF_SENT: Mapping[str, Any] = {"attempted_at": NOW - 5, "attempted_off_at": NOW - 5}
RECORDS: Mapping[str, Record] = {
    "without an account": _record(),
    "without, attempted": _record(attempted_at=NOW - 5, attempted_match=(("userName", "ann"),), claims=TargetId("t7")),
    "on": _record(ON),
    "on, and gone": _record(ON, verdict=Verdict.GONE, off_since=NOW - DAY, due_at=NOW + 3 * DAY),
    "on, not known": _record(ON, verdict=Verdict.UNKNOWN, escrow=Escrow(2, NOW - DAY, "Timeout", "no answer")),
    "on, in escrow for long": _record(ON, verdict=Verdict.INACTIVE, escrow=Escrow(9, NOW - 60 * DAY, "Timeout", "no")),
    "on, an update without an answer": _record(ON, attempted_at=NOW - 5),
    "on, a disable without an answer": _record(ON, verdict=Verdict.INACTIVE, off_since=NOW - 5, **_OFF_SENT),
    "on, enabled and not kept": _record(ON, disabled_because="gone"),
    "on, by others before": _record(ON, disabled_because=BY_OTHERS),
    "off, by us": _record(OFF, verdict=Verdict.INACTIVE, **_OFF_BY_US),
    "off, by us, doubtful": _record(OFF, verdict=Verdict.GONE, **_OFF_BY_US, **_OFF_SENT),
    "off, by the mapping": _record(OFF, disabled_at=NOW - DAY, disabled_because="in_scope"),
    "off, by others": _record(OFF, verdict=Verdict.GONE, disabled_because=BY_OTHERS),
    "off, by nobody knows whom": _record(OFF),
    "on or off": _record({"title": "Engineer"}, unkept={"title": 2, "nick": 1}, changed={"userName": 3}),
}
_CHANGES: Mapping[Word, tuple[Change, ...]] = {
    "update": (Change("title", "Engineer", "Chief"),),
    "enable": (Change("active", False, True), Change("title", "By hand", "Engineer")),
    "disable": (Change("active", True, False), Change("title", "By hand", "Engineer")),
    "adopt": (Change("title", "Old", "Engineer"),),
}
_BESIDE = Leave("is off", "RedundantExport", Verdict.INACTIVE, due_at=NOW + 9 * DAY, leaves_disabled=Cause.INACTIVE)


def _operations(record: Record) -> Iterator[tuple[str, Operation]]:
    """Yield the operations that can be sent to an account as this one."""

    def of(word: Word, verdict: Verdict = Verdict.IN_SCOPE, **more: Any) -> Operation:
        changes = _CHANGES.get(word, ())
        return Operation(word, deepcopy(record), "because", verdict, b"now", changes, **more)

    named = (("userName", "ann"),)
    if record.link is None:
        yield "create", of("create", resource=dict(ON), match=named)
        yield "create, dated", of("create", resource=dict(ON), match=named, due_at=NOW + 2 * DAY, in_doubt=True)
        yield "adopt", of("adopt", account=Account(TargetId("t2"), {**OFF, "title": "Old"}), match=named)
        adopted = Account(TargetId("t2"), dict(ON))
        yield "disable whom we adopt", of("disable", Verdict.GONE, account=adopted, cause=Cause.GONE)
        return
    yield "update", of("update")
    yield "update, dated", of("update", due_at=NOW + 2 * DAY, in_doubt=True)
    yield "update of a leaver", of("update", Verdict.INACTIVE, cause=Cause.INACTIVE, beside=_BESIDE, due_at=NOW + DAY)
    yield "enable", of("enable")
    yield "disable by the mapping", of("disable")
    yield "disable", of("disable", Verdict.GONE, cause=Cause.GONE)
    yield "delete", of("delete", Verdict.INACTIVE, cause=Cause.INACTIVE, due_at=NOW - DAY)
    for target_id in ("t1", "t2"):
        account = Account(TargetId(target_id), {**OFF, "title": "Old"})
        yield f"adopt {target_id}", of("adopt", account=account)


_FAILURES = {
    "no answer": Failed(Fault.INTERRUPTED, "no answer"),
    "refused": Failed(Fault.INVALID, "refused", 400),
    "refused, after no answer": Failed(Fault.INVALID, "refused", 400, repeated=True),
    "not sent": Failed(Fault.UNREACHABLE, "not sent", unsent=True),
}
_LEAVES = {
    "as it should be": Leave("in scope", "RedundantExport", Verdict.IN_SCOPE),
    "waits": Leave("waits", "GracePeriod", Verdict.INACTIVE, due_at=NOW + 7 * DAY),
    "off already": Leave("off", "RedundantExport", Verdict.GONE, due_at=settling.WHEN_ALL_ARE, off_by_others=True),
    "leaves disabled": Leave("off", "RedundantExport", Verdict.GONE, due_at=NOW + DAY, leaves_disabled=Cause.GONE),
    "claims": Leave("taken", "EntryConflict", Verdict.UNKNOWN, claims=TargetId("t9")),
}
_SHOWN: Mapping[str, Resource] = {
    "on": {"active": True, "title": "engineer"},
    "off": {"active": False, "title": "By hand", "nick": "Annie"},
    "neither": {"title": "Engineer"},
    "nothing": {},
}


def situations() -> Iterator[tuple[str, str]]:
    """Yield each situation, and what it changes."""
    for name, before in RECORDS.items():
        for what, after in _happenings(before):
            yield f"{name}: {what}", _changed(before, after)
    for kind in ("user", "group"):
        for times in (0, 1, 2, 3, 4):
            record = _record({}, changed={"userName": times, "displayName": times})
            record.kind = "user" if kind == "user" else "group"
            changes = [Change(path, "a", "b") for path in ("userName", "displayName", "externalId", "title")]
            counted, said = settling.numbered(record, changes, PROFILE)
            yield f"{kind}, changed {times} times before: changed again", f"{_changed(record, counted)}; {said}"


def _happenings(before: Record) -> Iterator[tuple[str, Record]]:
    created = Account(TargetId("t9"), {"active": True})
    for what, _ in _operations(before):
        for waits in (30 * DAY, None):
            for missing in ((), ("active",)):
                how = f"{'deleted in time' if waits else 'never deleted'}, missing {', '.join(missing) or 'nothing'}"
                yield f"{what} done, {how}", settling.done(_of(before, what), created, waits, "active", NOW, missing)
        for name, failure in _FAILURES.items():
            yield f"{what}, {name}", settling.failed(_of(before, what), failure, NOW)
        yield f"{what} about to be sent", settling.attempted(_of(before, what), NOW)
        yield f"{what} held", settling.not_sent(_of(before, what), NOW)
        yield f"{what} rejected by a person", settling.let_be(_of(before, what), "let be", NOW)
        yield f"{what}, the first change alone", _first_alone(_of(before, what))
    for name, leave in _LEAVES.items():
        yield f"left, {name}", settling.left(deepcopy(before), leave, b"now", NOW)
    yield "rejected", settling.rejected(deepcopy(before), b"now", "ImportSkipped", "no name", NOW)
    if before.link is None:
        return
    yield "not shown", settling.not_shown(deepcopy(before), "active")
    for name, shown in _SHOWN.items():
        yield f"shown {name}", settling.looked_at(deepcopy(before), shown, "active")
        yield f"compared, {name}", _compared(deepcopy(before), shown)
        yield f"compared and left, {name}", _compared_and_left(deepcopy(before), shown)
        yield f"sent title again, {name}", _sent_again(deepcopy(before), shown)


def _of(before: Record, what: str) -> Operation:
    """Return the operation anew: what happens changes its record."""
    return next(operation for name, operation in _operations(before) if name == what)


def _first_alone(operation: Operation) -> Record:
    settling.send_only(operation, operation.changes[:1])
    assert operation.fingerprint is None
    return operation.record


def _compared(record: Record, shown: Resource) -> Record:
    assert record.link is not None
    record.link = settling.compared(record.link, Account(TargetId("t1"), shown), "user", PROFILE)
    return record


def _compared_and_left(record: Record, shown: Resource) -> Record:
    settling.left_on(_compared(record, shown), Account(TargetId("t1"), shown), "active")
    return record


def _sent_again(record: Record, shown: Resource) -> Record:
    settling.to_be_sent(record, ("title", "nick"), Account(TargetId("t1"), shown), NOW)
    return record


def _changed(before: Record, after: Record) -> str:
    """Return what differs, the link's parts one by one."""
    was, now = _parts(before), _parts(after)
    return ", ".join(f"{name}={_said(now[name])}" for name in now if now[name] != was.get(name)) or "nothing"


def _parts(record: Record) -> dict[str, Any]:
    parts = {each.name: getattr(record, each.name) for each in fields(Record) if each.name != "link"}
    parts["linked"] = record.link is not None
    if record.link is not None:
        parts |= {f"link.{each.name}": getattr(record.link, each.name) for each in fields(Link)}
    return parts


def _said(value: Any) -> str:
    if isinstance(value, float) and value != settling.WHEN_ALL_ARE:
        return f"now{(value - NOW) / DAY:+g}d" if value != NOW else "now"
    if isinstance(value, dict):
        return repr(dict(sorted(value.items())))
    return str(value) if isinstance(value, Verdict) else repr(value)


def written() -> str:
    """Return the file: each change once, with the situations that come to it."""
    by_change: dict[str, list[str]] = {}
    for situation, changed in situations():
        by_change.setdefault(changed, []).append(situation)
    return "\n\n".join("\n".join((f"# {changed}", *found)) for changed, found in by_change.items()) + "\n"


def main() -> None:
    """Rewrite the file."""
    PAGE.write_text(written(), "utf-8")


if __name__ == "__main__":
    main()
