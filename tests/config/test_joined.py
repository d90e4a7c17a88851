"""What a joined source may be made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.config import JoinedSourceSettings
from reconciler.errors import ConfigError
from reconciler.runtime.clock import SystemClock

PARTS = """
[sources.directory]
type = "file"
users = "directory.csv"
[sources.hr]
type = "file"
users = "hr.csv"
"""
JOINED = """
[sources.people]
type = "joined"
of = ["directory", "hr"]
key = { directory = "number", hr = "id" }
"""
PAGE = Path(__file__).parents[2] / "docs/sources/joined.md"


def loaded(text: str, directory: Path) -> config.Config:
    path = directory / "config.toml"
    path.write_text(text, "utf-8")
    return config.load(path)


def test_a_joined_source_says_where_attributes_come_from(tmp_path: Path) -> None:
    more = 'attributes = { title = ["hr.job_title", "directory"], mail = ["hr"] }\nexists = "all"\n'
    found = loaded(PARTS + JOINED + more, tmp_path).sources["people"]
    assert isinstance(found, JoinedSourceSettings)
    assert (found.of, found.keys, found.everywhere) == (("directory", "hr"), ("number", "id"), True)
    assert found.attributes == {"title": (("hr", "job_title"), ("directory", "title")), "mail": (("hr", "mail"),)}


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('of = ["directory", "hr"]', 'of = ["directory", "rh"]', "unknown source 'rh'"),
        ('of = ["directory", "hr"]', 'of = ["directory"]', "of"),
        ('of = ["directory", "hr"]', 'of = ["directory", "directory"]', "directory is named twice"),
        ('of = ["directory", "hr"]', 'of = ["directory", "people"]', "people is a joined source itself"),
        ("{ directory =", "{ people =", "says nothing of directory"),
        ("{ directory =", "{ people =", "people is not one of the joined"),
        ("key =", 'attributes = { title = ["rh.title"] }\nkey =', "names none of the joined sources"),
        ("key =", 'exists = "any"\nkey =', "exists"),
    ],
)
def test_what_cannot_be_joined_is_a_problem(before: str, after: str, problem: str, tmp_path: Path) -> None:
    assert before in JOINED
    with pytest.raises(ConfigError, match=re.escape(problem)):
        loaded(PARTS + JOINED.replace(before, after), tmp_path)


def test_the_example_of_the_page_is_one(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    text = text.split("[targets.phone]")[0].replace('ca_file = "ca.pem"\n', "")
    assert isinstance(loaded(text, tmp_path).sources["people"], JoinedSourceSettings)


async def test_a_change_of_a_part_touches_the_jobs_of_what_joins_it(tmp_path: Path) -> None:
    job = """
[targets.app]
type = "scim"
url = "http://127.0.0.1:1/scim"
[jobs.app]
source = "people"
target = "app"
scope = "all"
[jobs.app.users]
attributes = [ { to = "userName", from = "mail", match = 1 } ]
"""
    before = loaded(PARTS + JOINED + job, tmp_path)
    after = loaded(PARTS.replace("hr.csv", "hr2.csv") + JOINED + job, tmp_path)
    said, touched = wiring.connection_changes(before, after)
    assert touched == {"app"}
    assert said == ("source hr: users changed",)
    source = wiring.build_source(config.load(tmp_path / "config.toml"), "people", SystemClock())
    assert "hr2.csv" in source.identity.place
    await source.close()
