"""What a person may say that a restart clears."""

from __future__ import annotations

import pytest

from reconciler.core.restarting import FULL, RESTART, WORDS, ResetScope, scopes_named


@pytest.mark.parametrize(
    ("words", "cleared"),
    [
        ((), RESTART),
        (("None",), RESTART),
        (("watermark",), {ResetScope.WATERMARK}),
        (("Watermark, Escrows,QuarantineState",), RESTART),
        (("links",), {ResetScope.LINKS}),
        (("ConnectorDataStore", "escrows"), {ResetScope.LINKS, ResetScope.ESCROWS}),
        (("force-deletes",), {ResetScope.FORCE_DELETES}),
        (("ForceDeletes",), {ResetScope.FORCE_DELETES}),
        (("force_deletes",), {ResetScope.FORCE_DELETES}),
        (("Full",), FULL),
        (("full", "force-deletes"), FULL | {ResetScope.FORCE_DELETES}),
    ],
)
def test_our_words_and_graphs_names_say_the_same(words: tuple[str, ...], cleared: set[ResetScope]) -> None:
    assert scopes_named(words) == cleared


def test_a_word_that_clears_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="'watermarks'") as refused:
        scopes_named(["escrows,watermarks"])
    assert str(refused.value) == (
        "'watermarks' is nothing that a restart clears; it clears watermark, escrows, quarantine, links, force-deletes,"
        " full"
    )


def test_every_word_of_ours_is_understood_and_nothing_forces_deletes_but_its_own_word() -> None:
    assert set().union(*(scopes_named([word]) for word in WORDS)) == set(ResetScope)
    assert ResetScope.FORCE_DELETES not in FULL | RESTART
