"""The sample organisation is believable, the same every time, and its files can be read whole."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

from reconciler import config
from reconciler.core.model import AssignedGroup
from reconciler.demo import organisation, story
from reconciler.ports import EntryPage, ReadEnd, Wanted
from reconciler.sources.file import FileSource

COLUMNS = {
    "id",
    "employeeId",
    "userPrincipalName",
    "mail",
    "givenName",
    "surname",
    "displayName",
    "department",
    "jobTitle",
    "city",
    "country",
    "manager",
    "accountEnabled",
    "startDate",
}


class Noon:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_760_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("reading a file waits for nothing")


def write(directory: Path) -> None:
    token_file = directory / "server.token"
    token_file.write_text("token")
    token_file.chmod(0o600)
    organisation.write(directory, "http://127.0.0.1:1234/v2", token_file)


def test_there_are_five_hundred_people_and_none_is_another() -> None:
    staff = organisation.people()
    assert len(staff) == organisation.PEOPLE == 500
    assert all(set(person) == COLUMNS for person in staff)
    for column in ("id", "employeeId", "userPrincipalName", "mail"):
        assert len({person[column] for person in staff}) == 500, column
    assert all(person["userPrincipalName"].isascii() for person in staff)
    assert sum(not person["accountEnabled"] for person in staff) == 3
    assert {person["jobTitle"] for person in staff} > {None, "Chief Executive", "Head of Sales", "Support Team Lead"}


def test_names_are_in_nine_scripts_and_some_have_apostrophes() -> None:
    staff = organisation.people()
    letters = {letter for person in staff for letter in person["givenName"] + person["surname"] if letter.isalpha()}
    scripts = Counter(unicodedata.name(letter).split()[0].split("-")[0] for letter in letters)
    assert set(scripts) == {"LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "ARABIC", "DEVANAGARI", "HANGUL"}
    assert any("O'Brien" in person["displayName"] for person in staff)
    assert any(ord(letter) > 0xFFFF for letter in letters)
    assert {person["displayName"] for person in staff} >= {
        "佐藤 太郎",
        "陳怡君",
        "김민준",
        "Łukasz Nowak",
        "محمد السيد",
    }


def test_everybody_has_a_manager_who_is_there_but_the_chief() -> None:
    staff = {person["id"]: person for person in organisation.people()}
    chiefs = [person["id"] for person in staff.values() if person["manager"] is None]
    assert chiefs == ["p0001"]
    for person in staff.values():
        steps = 0
        while person["manager"] is not None:
            person, steps = staff[person["manager"]], steps + 1
            assert person["accountEnabled"]
            assert steps <= 3


def test_there_are_25_groups_of_people_who_are_there_and_one_of_groups() -> None:
    staff = organisation.people()
    groups = organisation.groups(staff)
    by_name = {group["displayName"]: group["members"] for group in groups}
    assert len(groups) == len(by_name) == len({group["id"] for group in groups}) == 25
    people, ids = {person["id"] for person in staff}, {group["id"] for group in groups}
    nested = by_name.pop("Sites in Europe")
    assert len(nested) == 5
    assert set(nested) < ids
    for name, members in by_name.items():
        assert set(members) <= people, name
        assert len(members) == len(set(members)) > 0, name
    assert 400 < len(by_name["APP-Phone"]) < 500
    assert set(by_name["APP-Phone-Admins"] + by_name["Sales"] + by_name["Support"]) < set(by_name["APP-Phone"])


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for directory in (first, second):
        directory.mkdir()
        write(directory)
        assert story.tell(directory)
    for name in ("users.jsonl", "groups.jsonl", "config.toml"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


async def test_the_files_are_whole_before_and_after_the_story(tmp_path: Path) -> None:
    write(tmp_path)
    source = FileSource("staff", users=tmp_path / "users.jsonl", groups=tmp_path / "groups.jsonl", clock=Noon())
    wanted = Wanted(frozenset(COLUMNS), frozenset({"displayName"}), groups=True, memberships=True)
    for people in (500, 504):
        events = [event async for event in source.read(wanted, None)]
        assert all(event.complete for event in events if isinstance(event, ReadEnd))
        pages = [event for event in events if isinstance(event, EntryPage)]
        assert sum(len(page.entries) for page in pages if page.kind == "user") == people
        story.tell(tmp_path)


def test_the_job_can_be_loaded(tmp_path: Path) -> None:
    write(tmp_path)
    job = config.load(tmp_path / "config.toml").jobs["phone"]
    assert AssignedGroup(organisation.PHONE_GROUP) in job.assigned
    assert job.protected == (organisation.ADMINISTRATOR,)
    assert job.person == "employeeId"


def test_the_accounts_from_before_are_of_nobody_one_of_us_and_one_who_left() -> None:
    sign_ins = {person["userPrincipalName"] for person in organisation.people()}
    accounts = organisation.accounts_from_before()
    assert [account["userName"] in sign_ins for account in accounts] == [False, True, False]
    assert [account["active"] for account in accounts] == [True, True, False]
