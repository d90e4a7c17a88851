"""The page of the language names every function as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.language.catalogue import FUNCTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text("utf-8")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_page_has_the_signature_of_each_function(name: str) -> None:
    assert f"`{FUNCTIONS[name].signature}`" in PAGE
