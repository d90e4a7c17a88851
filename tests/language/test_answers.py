"""What each function answers to odd arguments is as it was written down, word for word."""

from __future__ import annotations

import pytest

from tests.language.answers import answers, functions, read


@pytest.mark.parametrize(("dialect", "name"), functions())
def test_a_function_answers_as_it_was_written_down(dialect: str, name: str) -> None:
    assert answers(dialect, name) == read()[dialect, name], "on purpose? python -m tests.language.answers"


def test_every_function_is_written_down_and_no_other() -> None:
    assert list(read()) == functions()
