"""What a notice is about is in its key; what it says is plain JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Any

import orjson
import pytest

from reconciler.core import notices
from reconciler.core.notices import FailedEntry, HeldEntry, Notice, StillOn
from reconciler.core.standing import Quarantine, QuarantineReason, Standing

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
    notices.groups_missing("app", 1.0, groups=["Crew"]),
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


# --- notices to the last field -----------------------------------------------------------------------------------

AS_FACTS = {
    "reason": "EncounteredQuarantineException",
    "error_code": "Unauthorized",
    "rule": "the target refuses the credentials",
    "arithmetic": "",
    "began": 200.0,
    "series_began": 100.0,
    "series_count": 2,
    "next_attempt": 2600.0,
    "request": "GET /Users",
    "answer": "401",
    "rules": "",
    "lifted_by_test": False,
    "test_passed_at": None,
    "source": "",
    "tested_every_seconds": None,
    "stop_after_seconds": None,
}
BEFORE = replace(QUARANTINE, error_code="Timeout", rule="out of reach")
LOST_TOO = replace(LOST, error_code="Timeout", id="u2")


@pytest.mark.parametrize(
    ("notice", "key", "facts"),
    [
        (
            notices.quarantine_entered("app", 1.0, QUARANTINE, tested_every_seconds=60.0, stop_after_seconds=9.0),
            "app/quarantine_entered/100.0",
            {**AS_FACTS, "tested_every_seconds": 60.0, "stop_after_seconds": 9.0},
        ),
        (
            notices.quarantine_changed(
                "app", 1.0, QUARANTINE, before=BEFORE, tested_every_seconds=60.0, stop_after_seconds=9.0
            ),
            "app/quarantine_changed/100.0/200.0",
            {
                **AS_FACTS,
                "tested_every_seconds": 60.0,
                "stop_after_seconds": 9.0,
                "before": {
                    "reason": "EncounteredQuarantineException",
                    "error_code": "Timeout",
                    "rule": "out of reach",
                },
            },
        ),
        (
            notices.quarantine_reminder("app", 1.0, QUARANTINE, tested_every_seconds=60.0, stop_after_seconds=9.0),
            "app/quarantine_reminder/1.0",
            {**AS_FACTS, "tested_every_seconds": 60.0, "stop_after_seconds": 9.0},
        ),
        (
            notices.quarantine_left("app", 1.0, QUARANTINE, how="a cycle succeeded"),
            "app/quarantine_left/100.0",
            {**AS_FACTS, "how": "a cycle succeeded"},
        ),
        (
            notices.job_stopped("app", 1.0, QUARANTINE, stop_after_seconds=9.0),
            "app/job_stopped/100.0",
            {**AS_FACTS, "stop_after_seconds": 9.0},
        ),
        (
            notices.held("app", 1.0, hold_id="7", since=0.5, arithmetic="12 > 5", operations=[LEAVER], total=12),
            "app/held/7/0.5",
            {
                "hold": "7",
                "since": 0.5,
                "arithmetic": "12 > 5",
                "total": 12,
                "counts": {"disable": 1},
                "operations": [asdict(LEAVER)],
            },
        ),
        (
            notices.failures(
                *("app", 1.0),
                cycle_id="c",
                rule="20 %",
                failed=3,
                judged=9,
                cycles_running=2,
                codes={"Timeout": 1, "EntryConflict": 1, "ZZZ": 2},
                entries=[LOST, LOST_TOO],
            ),
            "app/failures/1.0",
            {
                "cycle_id": "c",
                "rule": "20 %",
                "failed": 3,
                "judged": 9,
                "cycles_running": 2,
                "codes": {"ZZZ": 2, "EntryConflict": 1, "Timeout": 1},
                "entries": [asdict(LOST), asdict(LOST_TOO)],
            },
        ),
        (
            notices.no_cycle(
                *("app", 1.0),
                interval_seconds=60.0,
                last_finished_at=2.0,
                running_since=3.0,
                next_due_at=4.0,
                problem="no state",
            ),
            "app/no_cycle/1.0",
            {
                "interval_seconds": 60.0,
                "last_finished_at": 2.0,
                "running_since": 3.0,
                "next_due_at": 4.0,
                "problem": "no state",
            },
        ),
        (
            notices.no_cycle("app", 1.0, interval_seconds=60.0, last_finished_at=None),
            "app/no_cycle/1.0",
            {
                "interval_seconds": 60.0,
                "last_finished_at": None,
                "running_since": None,
                "next_due_at": None,
                "problem": "",
            },
        ),
        (
            notices.watermark_old("app", 1.0, interval_seconds=60.0, watermark_at=2.0, problems=["p"] * 30),
            "app/watermark_old/1.0",
            {"interval_seconds": 60.0, "watermark_at": 2.0, "problems": ["p"] * 20},
        ),
        (
            notices.absence_not_judged("app", 1.0, cycles_running=2, last_judged_at=3.0, problems=["p"] * 30),
            "app/absence_not_judged/1.0",
            {"cycles_running": 2, "last_judged_at": 3.0, "problems": ["p"] * 20, "n_problems": 30},
        ),
        (
            notices.groups_missing("app", 1.0, groups=[f"{n:02}" for n in range(30, 0, -1)]),
            "app/groups_missing/1.0",
            {"groups": [f"{n:02}" for n in range(1, 21)], "n_groups": 30},
        ),
        (
            notices.not_off("app", 1.0, people=[StillOn("u1", "ann", "held", 0.5)], total=3),
            "app/not_off/1.0",
            {
                "total": 3,
                "oldest_since": 0.5,
                "people": [{"id": "u1", "name": "ann", "why": "held", "since": 0.5}],
            },
        ),
        (
            notices.not_off("app", 1.0, people=[]),
            "app/not_off/1.0",
            {"total": 0, "oldest_since": 1.0, "people": []},
        ),
        (
            notices.credential_expiring("app", 1.0, target="phone", expires=date(2026, 8, 1), days_left=-2),
            "app/credential_expiring/phone/2026-08-01/-2",
            {"target": "phone", "expires": "2026-08-01", "days_left": -2},
        ),
        (
            notices.doubtful(notices.trial("app", 0.5), 1.0),
            "app/test/0.5/doubtful",
            {"kind": "test", "queued_at": 0.5},
        ),
        (notices.trial("app", 1.0), "app/test/1.0", {}),
    ],
    ids=lambda one: one.kind if isinstance(one, Notice) else "",
)
def test_a_notice_to_the_last_field(notice: Notice, key: str, facts: dict[str, Any]) -> None:
    assert (notice.job, notice.at, notice.key) == ("app", 1.0, key)
    assert notice.facts == facts
    assert list(notice.facts.get("codes", ())) == list(facts.get("codes", ())), "the most frequent first"


def test_a_long_list_is_cut_and_counted() -> None:
    people = [StillOn(f"u{n:02}", "x", "held", float(n)) for n in range(30)]
    assert [one["id"] for one in notices.not_off("app", 1.0, people=people).facts["people"]] == [
        f"u{n:02}" for n in range(20)
    ]
    lost = [LOST] * 30
    digest = notices.failures(
        *("app", 1.0), cycle_id="c", rule="r", failed=30, judged=30, cycles_running=1, codes={}, entries=lost
    )
    assert len(digest.facts["entries"]) == 20


def test_two_changes_of_a_standing_are_told_one_after_the_other() -> None:
    def first(standing: Standing) -> tuple[Standing, list[Notice]]:
        return replace(standing, failing_cycles=standing.failing_cycles + 1), [notices.trial("first", 1.0)]

    def second(standing: Standing) -> tuple[Standing, list[Notice]]:
        return replace(standing, failing_cycles=standing.failing_cycles * 10), [notices.trial("second", 1.0)]

    standing, told = notices.both(first, second)(Standing())
    assert (standing.failing_cycles, [notice.job for notice in told]) == (10, ["first", "second"])
