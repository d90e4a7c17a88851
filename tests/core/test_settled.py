"""What is remembered after whatever happened is as it was written down, word for word."""

from __future__ import annotations

from tests.core.settled import PAGE, written


def test_what_is_remembered_is_as_it_was_written_down() -> None:
    assert written().split("\n\n") == PAGE.read_text("utf-8").split("\n\n"), "on purpose? python -m tests.core.settled"
