"""The page of the language has every function, as the functions themselves say."""

from __future__ import annotations

import pytest

from reconciler.language.catalogue import FUNCTIONS
from reconciler.language.excel import FUNCTIONS as EXCEL_FUNCTIONS
from tests.language.reference import PAGE as FILE
from tests.language.reference import with_tables

PAGE = FILE.read_text("utf-8")


def test_the_tables_are_those_that_the_functions_give() -> None:
    assert with_tables(PAGE) == PAGE, "run: python -m tests.language.reference"


@pytest.mark.parametrize("signature", [f.signature for f in (*FUNCTIONS.values(), *EXCEL_FUNCTIONS.values())])
def test_the_page_has_the_signature_of_each_function(signature: str) -> None:
    assert f"`{signature}`" in PAGE


@pytest.mark.parametrize("name", [function.name for function in FUNCTIONS.values() if function.ours])
def test_what_entra_does_not_have_is_marked(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if f"`{FUNCTIONS[name].signature}`" in line)
    assert "*(ours)*" in row
