"""What a configuration becomes: the state's address with its password, masked secrets, what a reload says."""

from __future__ import annotations

import io
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import structlog
from sqlalchemy import make_url

from reconciler import config, logs, wiring
from reconciler.errors import ConfigError
from reconciler.secrets import Secret
from tests.config.texts import JOB, SOUND

PASSWORD = "p@ss/w:rd%41 +?"


def loaded(tmp_path: Path, text: str = SOUND + JOB) -> config.Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return config.load(path)


def with_password(tmp_path: Path, url: str) -> config.Config:
    kept = tmp_path / "password"
    kept.touch(mode=0o600)
    kept.write_text(PASSWORD + "\n")
    return loaded(tmp_path, f'[state]\nurl = "{url}"\npassword = {{ file = "password" }}\n{SOUND}{JOB}')


@pytest.mark.parametrize(
    ("url", "user", "host"),
    [
        ("postgresql://reconciler@db.example.com:5433/state?sslmode=require", "reconciler", "db.example.com"),
        ("postgresql://re%40conciler@[::1]/state", "re@conciler", "::1"),
    ],
)
def test_the_password_of_the_state_is_taken_from_its_place(url: str, user: str, host: str, tmp_path: Path) -> None:
    loaded_ = with_password(tmp_path, url)
    made = make_url(wiring.state_url(loaded_))
    assert (made.username, made.password, made.host, made.database) == (user, PASSWORD, host, "state")
    assert PASSWORD not in repr(loaded_)


def test_a_password_for_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[state\] url: names no user.*postgresql://user@host/name"):
        wiring.state_url(with_password(tmp_path, "postgresql://db.example.com/state"))


def test_a_state_without_a_password_is_as_it_stands(tmp_path: Path) -> None:
    assert wiring.state_url(loaded(tmp_path)) == f"sqlite:///{tmp_path}/state.db"


async def test_a_state_is_copied_beside_what_the_process_does_otherwise(tmp_path: Path) -> None:
    loaded_ = loaded(tmp_path)
    async with wiring.open_house(loaded_, write=True):
        pass
    begun, copied = anyio.Event(), anyio.Event()

    async def copy() -> None:
        begun.set()
        async with wiring.open_house(loaded_, write=True, scratch=True):
            copied.set()

    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(copy)
            await begun.wait()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()  # whoever reads the file waits for the other program; we do not
            assert not copied.is_set()
            other.close()
            await copied.wait()


@pytest.fixture
def the_log_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_secrets", set())
    monkeypatch.setattr(logs, "_secret", None)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("the_log_as_before")
def test_a_secret_is_masked_in_the_log_from_the_moment_it_is_read(tmp_path: Path) -> None:
    wiring.state_url(with_password(tmp_path, "postgresql://reconciler@db.example.com/state"))
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("told", text=f"the server said {PASSWORD}")
    assert "***" in stream.getvalue()
    assert PASSWORD not in stream.getvalue()


def test_a_reload_names_the_settings_that_changed_and_never_their_values(tmp_path: Path) -> None:
    before = loaded(tmp_path)
    text = (SOUND + JOB).replace("https://phone.example.com/scim", "https://phone.example.org/scim")
    text = text.replace("users.jsonl", "people.jsonl").replace('"PHONE_TOKEN" } }', '"OTHER" } }\nconcurrency = 2')
    after = loaded(tmp_path, text + '\n[state]\nurl = "sqlite:///other.db"\n')
    said, touched = wiring.connection_changes(before, after)
    assert said == (
        "[state] changed: the daemon goes on with the state that it has open until it is started again",
        "source staff: users changed",
        "target phone: limits are lowered at once, raised when the daemon is started again",
        "target phone: url, auth, concurrency changed",
    )
    assert touched == {"phone"}
    assert wiring.connection_changes(before, before) == ((), frozenset())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[control]\nsocket = "other.sock"', "[control] socket or group changed: "),
        ('[control]\ngroup = "it"', "[control] socket or group changed: "),
        ('[control]\nreaders = ["ann"]', ""),
        ('[metrics]\nlisten = "127.0.0.1:9464"', "[metrics] changed: "),
    ],
)
def test_a_reload_says_what_only_a_new_start_changes(table: str, words: str, tmp_path: Path) -> None:
    said, touched = wiring.connection_changes(loaded(tmp_path), loaded(tmp_path, f"{SOUND}{JOB}\n{table}\n"))
    assert ([one.partition("the ")[0] for one in said], touched) == ([words] if words else [], frozenset())


def test_a_source_or_target_of_another_type_is_named(tmp_path: Path) -> None:
    before = loaded(tmp_path)
    after = replace(
        before, targets={"phone": config.RestTargetSettings("phone", "https://phone.example.com", "app", None)}
    )
    assert wiring.connection_changes(before, after)[0][-1] == "target phone: type changed"


def test_a_secret_that_others_may_read_is_refused_when_it_is_read(tmp_path: Path) -> None:
    open_to_all = tmp_path / "password"
    loaded_ = replace(
        with_password(tmp_path, "postgresql://reconciler@db.example.com/state"),
        state_password=Secret("file", str(open_to_all), "[state] password"),
    )
    open_to_all.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        wiring.state_url(loaded_)
