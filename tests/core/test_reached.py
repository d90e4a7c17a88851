"""What each path reaches in a body is as it was written down, word for word."""

from __future__ import annotations

from tests.core.reached import PAGE, written


def test_every_path_reaches_what_was_written_down() -> None:
    assert written().split("\n\n") == PAGE.read_text("utf-8").split("\n\n"), "on purpose? python -m tests.core.reached"
