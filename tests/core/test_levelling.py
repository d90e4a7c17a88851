"""Names that are one although they are written otherwise, and names that are not."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from reconciler.core.levelling import guarded, level, spellings, spoken

COMPOSED, DECOMPOSED = normalize("NFC", "Zoë"), normalize("NFD", "Zoë")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "aNN"),
        (COMPOSED, DECOMPOSED),
        (COMPOSED.upper(), DECOMPOSED),
        ("\N{ANGSTROM SIGN}", "å"),
        ("\N{KELVIN SIGN}", "k"),
        ("Ω", "\N{OHM SIGN}"),
        ("각", normalize("NFD", "각")),
    ],
)
def test_names_are_one_whatever_their_letter_case_and_normal_form(one: str, other: str) -> None:
    assert level(one) == level(other)
    assert not guarded(one).isdisjoint(guarded(other))


@pytest.mark.parametrize(("one", "other"), [("weiß", "weiss"), ("İ", "i"), ("ı", "i"), ("ａnn", "ann"), ("zoë", "zoe")])
def test_two_people_whose_names_are_only_alike_stay_two(one: str, other: str) -> None:
    assert level(one) != level(other)


def test_what_a_person_says_finds_both_who_may_be_meant() -> None:
    assert spoken("WEISS") == spoken("Weiß") == spoken("weiss")
    assert spoken(COMPOSED) == spoken(DECOMPOSED.upper())


def test_what_is_exact_differs_in_letter_case() -> None:
    assert level("Ann", exact=True) != level("ann", exact=True)
    assert level(COMPOSED, exact=True) == level(DECOMPOSED, exact=True)


def test_a_server_is_asked_in_both_normal_forms_where_there_are_two() -> None:
    assert spellings("ann") == ("ann",)
    assert spellings(COMPOSED) == (COMPOSED, DECOMPOSED)
    assert spellings(DECOMPOSED) == (DECOMPOSED, COMPOSED)
    assert len(spellings("Łódź")) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("strasse", "STRAßE"), ("İSMAIL", "ismail"), ("admın", "ADMIN"), ("ａｄｍｉｎ", "Admin"), ("ﬁn", "FIN")],
)
def test_a_protected_name_protects_whatever_anybody_takes_for_it(one: str, other: str) -> None:
    assert not guarded(one).isdisjoint(guarded(other))


def test_every_letter_is_protected_by_all_its_forms() -> None:
    letters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    for letter in letters:
        forms = {letter.lower(), letter.upper(), letter.title(), letter.casefold(), level(letter)}
        forms |= {normalize(form, letter) for form in ("NFC", "NFD", "NFKC", "NFKD")}
        for form in forms - {letter}:
            assert not guarded(letter).isdisjoint(guarded(form)), (letter, form)


def test_protecting_does_not_make_other_names_one() -> None:
    assert guarded("müller").isdisjoint(guarded("muller"))
