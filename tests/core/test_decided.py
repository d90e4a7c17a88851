"""What is decided of one entry in every situation is as it was written down, word for word."""

from __future__ import annotations

from tests.core.decided import PAGE, written


def test_every_decision_is_as_it_was_written_down() -> None:
    assert written().split("\n\n") == PAGE.read_text("utf-8").split("\n\n"), "on purpose? python -m tests.core.decided"
