"""What each type of attribute makes of each value is as it was written down, word for word."""

from __future__ import annotations

from tests.core.taken import PAGE, written


def test_every_value_is_taken_as_it_was_written_down() -> None:
    assert written().split("\n\n") == PAGE.read_text("utf-8").split("\n\n"), "on purpose? python -m tests.core.taken"
