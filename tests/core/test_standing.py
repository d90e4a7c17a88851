"""How a job stands is written down and read again, also by an older version."""

from __future__ import annotations

import orjson
import pytest

from reconciler.core.notices import NoticeKind
from reconciler.core.standing import Pause, Quarantine, QuarantineReason, Standing

QUARANTINE = Quarantine(
    QuarantineReason.ESCROW_PROPORTION,
    "Timeout",
    "too many",
    "6 > 5",
    1.0,
    2.0,
    3,
    4.0,
    "GET /",
    "503",
    "r1",
    True,
    5.0,
)
FULL = Standing(
    paused=Pause(1.0, "olga", "holiday"),
    quarantine=QUARANTINE,
    stopped_at=2.0,
    goes_on_since=3.0,
    last_finished_at=4.0,
    last_success_at=5.0,
    last_full_at=6.0,
    compare_next=True,
    watermark_at=7.0,
    judged_at=8.0,
    unjudged_cycles=9,
    failing_cycles=10,
    alerted={NoticeKind.NOT_OFF: 11.0},
    force_deletes=True,
)


@pytest.mark.parametrize("standing", [Standing(), FULL, Standing(quarantine=QUARANTINE), Standing(paused=FULL.paused)])
def test_what_is_written_is_read(standing: Standing) -> None:
    read = Standing.from_json(orjson.loads(orjson.dumps(standing.as_json())))
    assert read == standing
    if read.quarantine is not None:
        assert read.quarantine.reason is QuarantineReason.ESCROW_PROPORTION


def test_names_of_alerts_are_plain_texts() -> None:
    assert [type(name) for name in FULL.as_json()["alerted"]] == [str]


def test_what_a_newer_version_wrote_is_left_out() -> None:
    assert Standing.from_json({"failing_cycles": 2, "mood": "fine"}) == Standing(failing_cycles=2)
