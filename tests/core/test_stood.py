"""Where somebody stands in every situation is as it was written down, word for word."""

from __future__ import annotations

from tests.core.stood import PAGE, written


def test_everybody_stands_where_it_was_written_down() -> None:
    assert written().split("\n\n") == PAGE.read_text("utf-8").split("\n\n"), "on purpose? python -m tests.core.stood"
