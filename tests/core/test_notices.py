"""What a notice is about is in its key; what it says is plain JSON."""

from __future__ import annotations

from datetime import date

import orjson
import pytest

from reconciler.core import notices
from reconciler.core.notices import FailedEntry, HeldEntry, Notice, StillOn
from reconciler.core.standing import Quarantine, QuarantineReason

QUARANTINE = Quarantine(
    reason=QuarantineReason.EXCEPTION,
    error_code="Unauthorized",
    rule="the target refuses the credentials",
    arithmetic="",
    began=200.0,
    series_began=100.0,
    series_count=2,
    next_attempt=2600.0,
    request="GET /Users",
    answer="401",
)
LEAVER = HeldEntry("user", "u1", "ann@example.com", "disable", "gone from the source")
LOST = FailedEntry("user", "u1", "ann@example.com", "create", "EntryConflict", "the name is taken")

ALL = (
    notices.quarantine_entered("app", 1.0, QUARANTINE),
    notices.quarantine_changed("app", 1.0, QUARANTINE, before=QUARANTINE),
    notices.quarantine_reminder("app", 1.0, QUARANTINE, tested_every_seconds=60.0),
    notices.quarantine_left("app", 1.0, QUARANTINE, how="a cycle succeeded"),
    notices.job_stopped("app", 1.0, QUARANTINE, stop_after_seconds=28 * 86400.0),
    notices.held("app", 1.0, hold_id="7", since=0.5, arithmetic="12 > 5", operations=[LEAVER], total=12),
    notices.failures(
        *("app", 1.0),
        cycle_id="c",
        rule="20 %",
        failed=2,
        judged=9,
        cycles_running=2,
        codes={"EntryConflict": 2},
        entries=[LOST],
    ),
    notices.no_cycle("app", 1.0, interval_seconds=60.0, last_finished_at=None),
    notices.watermark_old("app", 1.0, interval_seconds=60.0, watermark_at=None),
    notices.absence_not_judged("app", 1.0, cycles_running=2, last_judged_at=None),
    notices.not_off("app", 1.0, people=[StillOn("u1", "ann", "held", 0.5)]),
    notices.credential_expiring("app", 1.0, target="phone", expires=date(2026, 8, 1), days_left=14),
    notices.doubtful(notices.trial("app", 1.0), 2.0),
    notices.trial("app", 1.0),
)


def test_there_is_one_for_each_kind() -> None:
    assert [notice.kind for notice in ALL] == list(notices.NoticeKind)
    assert len({notice.key for notice in ALL}) == len(ALL)


@pytest.mark.parametrize("notice", ALL, ids=lambda notice: notice.kind)
def test_facts_are_plain_json(notice: Notice) -> None:
    assert orjson.loads(orjson.dumps(dict(notice.facts))) == notice.facts
    assert notice.key.startswith(f"app/{notice.kind}/") or notice.kind == "doubtful"


def test_a_quarantine_is_told_once_and_each_further_reason_once() -> None:
    later = notices.quarantine_entered("app", 99.0, QUARANTINE)
    assert later.key == notices.quarantine_entered("app", 1.0, QUARANTINE).key
    assert later.key != notices.quarantine_entered("other", 99.0, QUARANTINE).key


def test_a_hold_counts_all_and_names_some() -> None:
    people = [HeldEntry("user", f"u{n}", f"u{n}", "disable" if n % 2 else "delete", "gone") for n in range(50)]
    facts = notices.held("app", 1.0, hold_id="1", since=0.0, arithmetic="", operations=people).facts
    assert (facts["total"], facts["counts"], len(facts["operations"])) == (50, {"delete": 25, "disable": 25}, 20)


def test_who_is_on_longest_is_named_first() -> None:
    people = [StillOn("b", "b", "held", 5.0), StillOn("c", "c", "escrow", 2.0), StillOn("a", "a", "held", 5.0)]
    facts = notices.not_off("app", 9.0, people=people).facts
    assert [person["id"] for person in facts["people"]] == ["c", "a", "b"]
    assert facts["oldest_since"] == 2.0
