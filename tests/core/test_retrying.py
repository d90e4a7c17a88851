"""How long a call waits before it is sent again, and when it is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.outcomes import Fault
from reconciler.core.retrying import next_wait, parse_retry_after

RETRIED = {Fault.THROTTLED, Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.SERVER_ERROR}


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("idempotent", [True, False])
def test_only_what_cannot_do_harm_is_sent_again(fault: Fault, idempotent: bool) -> None:
    wait = next_wait(fault, 1, 0.0, None, 1.0, idempotent=idempotent)
    harmless = idempotent or fault in (Fault.THROTTLED, Fault.UNREACHABLE)
    assert (wait is not None) is (fault in RETRIED and harmless)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [(Fault.THROTTLED, 8), (Fault.UNREACHABLE, 4), (Fault.INTERRUPTED, 4), (Fault.SERVER_ERROR, 4)],
)
def test_a_call_is_given_up_after_so_many_attempts(fault: Fault, attempts: int) -> None:
    assert next_wait(fault, attempts - 1, 0.0, None, 1.0, idempotent=True) is not None
    assert next_wait(fault, attempts, 0.0, None, 1.0, idempotent=True) is None


def test_the_waits_grow_to_the_cap_and_jitter_takes_any_part_of_them() -> None:
    waits = [next_wait(Fault.THROTTLED, attempt, 0.0, None, 1.0, idempotent=False) for attempt in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert next_wait(Fault.THROTTLED, 4, 0.0, None, 0.25, idempotent=False) == 1.0
    assert next_wait(Fault.THROTTLED, 4, 0.0, None, 0.0, idempotent=False) == 0.0


def test_what_the_target_asks_is_honoured_up_to_five_minutes() -> None:
    assert next_wait(Fault.THROTTLED, 1, 0.0, 300.0, 0.0, idempotent=False) == 300.0
    assert next_wait(Fault.THROTTLED, 1, 0.0, 301.0, 0.0, idempotent=False) is None
    assert next_wait(Fault.SERVER_ERROR, 1, 0.0, 7.0, 0.0, idempotent=True) == 7.0
    assert next_wait(Fault.THROTTLED, 3, 0.0, 0.0, 1.0, idempotent=False) == 2.0  # asked for nothing: still back off


def test_who_is_out_of_reach_is_tried_again_within_twenty_seconds_alone() -> None:
    assert next_wait(Fault.UNREACHABLE, 1, 19.4, None, 1.0, idempotent=False) == 0.5
    assert next_wait(Fault.UNREACHABLE, 1, 19.5, None, 1.0, idempotent=False) is None
    assert next_wait(Fault.UNREACHABLE, 3, 0.0, 300.0, 1.0, idempotent=False) == 2.0, "nothing was asked for"


@given(st.floats(0.1, 300.0), st.floats(0.0, 1.0), st.integers(1, 7))
def test_a_wait_that_was_asked_for_is_never_undercut(asked: float, dice: float, attempt: int) -> None:
    wait = next_wait(Fault.THROTTLED, attempt, 0.0, asked, dice, idempotent=False)
    assert wait is not None
    assert asked <= wait <= asked * 1.1 + 1e-9


@given(st.floats(0.0, 12.0), st.floats(0.0, 1.0))
def test_a_dead_target_is_given_up_within_its_time(connect_seconds: float, dice: float) -> None:
    """Each attempt takes as long as connecting may take; the last one begins before 20 s have passed."""
    elapsed, attempt = connect_seconds, 1
    while (wait := next_wait(Fault.UNREACHABLE, attempt, elapsed, 600.0, dice, idempotent=False)) is not None:
        assert elapsed + wait < 20.0
        elapsed += wait + connect_seconds
        attempt += 1
    assert elapsed < 20.0 + 12.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 30.0),  # the form of RFC 850
        ("Wed Oct 21 07:28:00 2015", 30.0),  # the form of asctime
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),  # past
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("٣", None),  # a digit, but not one of HTTP's
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    assert parse_retry_after(header, now_epoch=1445412450.0) == seconds


@given(st.text(max_size=60))
def test_no_header_breaks_it(header: str) -> None:
    seconds = parse_retry_after(header, 1445412450.0)
    assert seconds is None or seconds >= 0
