"""What is wrong with a database as a source is said before anybody signs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config
from reconciler.config import SqlSourceSettings
from reconciler.errors import ConfigError

HEAD = '[sources.hr]\ntype = "sql"\n'
URL = 'url = "postgresql://reader@db.example.com/hr"\n'

WRONG = {
    "a password in the url": (
        'url = "postgresql://reader:hunter2@db.example.com/hr"\nusers = "SELECT 1"',
        "[sources.hr] url: a secret must not stand in an address",
    ),
    "no address": ('url = "db.example.com"\nusers = "SELECT 1"', "[sources.hr] url: is no address of a database"),
    "no file": ('url = "sqlite://"\nusers = "SELECT 1"', "[sources.hr] url: names no file"),
    "a statement that writes": (URL + 'users = "UPDATE people SET x = 1"', "[sources.hr] users: is no query"),
    "two statements": (
        URL + 'groups = "SELECT 1; DROP TABLE people"',
        "[sources.hr] groups: is more than one statement",
    ),
    "no query": (URL, "[sources.hr]: asks for nothing"),
    "deleted alone": (URL + 'users = "SELECT 1"\ndeleted = "gone"', "[sources.hr]: deleted goes with changed"),
    "members alone": (URL + 'users = "SELECT 1"\nmembers = "SELECT 1"', "[sources.hr]: members goes with groups"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_place_and_without_the_secret(tmp_path: Path, case: str) -> None:
    text, said = WRONG[case]
    path = tmp_path / "config.toml"
    path.write_text(HEAD + text)
    with pytest.raises(ConfigError) as raised:
        config.load(path)
    assert any(said in str(problem) for problem in raised.value.problems), raised.value
    assert "hunter2" not in str(raised.value)


def test_a_query_may_have_semicolons_in_its_texts_and_one_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(HEAD + URL + 'users = """-- everybody; really\nWITH a AS (SELECT 1) SELECT \';\' FROM a ; """\n')
    found = config.load(path).sources["hr"]
    assert isinstance(found, SqlSourceSettings)
    assert found.users == "-- everybody; really\nWITH a AS (SELECT 1) SELECT ';' FROM a"
    assert found.url.drivername == "postgresql+psycopg"


def test_a_file_is_found_from_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(HEAD + 'url = "sqlite:///hr.db"\nusers = "SELECT 1"')
    found = config.load(path)
    source = found.sources["hr"]
    assert isinstance(source, SqlSourceSettings)
    assert source.url.database == str(tmp_path / "hr.db")
    assert "the file is not there" in str(found.warnings[0])
