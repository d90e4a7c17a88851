"""The process log: its two forms, and what never appears in it."""

from __future__ import annotations

import errno
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from reconciler import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def everything_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_secrets", set())
    monkeypatch.setattr(logs, "_secret", None)
    monkeypatch.delenv("NO_COLOR", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_event_is_one_line_of_json() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    structlog.contextvars.bind_contextvars(job="phone")
    logs.get(cycle_id="c1").info("cycle.done", created=3, kinds=("user", "group"))
    logs.get().warning("source.incomplete", text="two\nlines")
    first, second = lines(stream)
    assert list(first)[:3] == ["timestamp", "level", "event"]
    assert first["timestamp"].endswith("Z")
    assert {key: first[key] for key in ("level", "event", "job", "cycle_id", "created", "kinds")} == {
        "level": "info",
        "event": "cycle.done",
        "job": "phone",
        "cycle_id": "c1",
        "created": 3,
        "kinds": ["user", "group"],
    }
    assert second["text"] == "two\nlines"


def test_on_a_terminal_lines_are_for_people_and_coloured() -> None:
    stream = Terminal()
    logs.configure(stream=stream)
    logs.get().info("cycle.done", job="phone")
    assert "cycle.done" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_for_which_there_is_no_room_stops_nobody() -> None:
    logs.configure(stream=Full())
    logs.get().info("cycle.done", job="phone")
    logging.getLogger("others").error("gone wrong")


def test_who_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logs.configure(stream=stream)
    logs.get().info("cycle.done", job="phone")
    assert "job=phone" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "seen"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_the_level_is_a_threshold_for_us_and_for_others(level: str, seen: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(level, stream)
    for logger in (logs.get(), logging.getLogger("some.library")):
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        logger.error("e")
    assert [line["event"] for line in lines(stream)] == seen + seen


def test_a_logger_that_was_made_early_follows_a_change_of_level() -> None:
    early = logs.get()
    stream = io.StringIO()
    logs.configure("warning", stream)
    early.info("before")
    logs.configure("info", stream)
    early.info("after")
    assert [line["event"] for line in lines(stream)] == ["after"]


def test_what_other_libraries_log_has_the_same_form_and_is_masked() -> None:
    logs.mask("s3cr3t-token")
    stream = io.StringIO()
    logs.configure(stream=stream)
    logging.getLogger("uvicorn.error").warning("refused %s", "s3cr3t-token")
    (line,) = lines(stream)
    assert (line["level"], line["event"], line["logger"]) == ("warning", "refused ***", "uvicorn.error")


def test_an_access_log_is_not_ordinary_news() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logging.getLogger("uvicorn.access").info('GET /Users?filter=userName eq "ann"')
    assert stream.getvalue() == ""
    logs.configure("debug", stream)
    logging.getLogger("uvicorn.access").info("GET /Users")
    assert [line["event"] for line in lines(stream)] == ["GET /Users"]


SECRET = 'pa"ss wörd/1'


@dataclass
class Connection:
    url: str

    def __str__(self) -> str:
        return f"connection to {self.url}"


@pytest.mark.parametrize(
    "values",
    [
        {"text": f"it was {SECRET}."},
        {"deep": {"list": [{"x": (SECRET, 1)}]}},
        {"raw": SECRET.encode()},
        {"url": "https://a.example.com/?x=pa%22ss%20w%C3%B6rd%2F1&y=1"},
        {"form": "grant=x&p=pa%22ss+w%C3%B6rd%2F1"},
        {"object": Connection(f"db/{SECRET}")},
        {"dict": {SECRET: 1}},
        {"quoted": repr({"p": SECRET})},
        {"body": json.dumps({"p": SECRET}, ensure_ascii=False)},
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_secret_is_masked_wherever_it_stands(values: dict[str, Any], terminal: bool) -> None:
    logs.mask(SECRET)
    stream = Terminal() if terminal else io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("sent", **values)
    written = stream.getvalue()
    assert logs.MASKED in written
    for form in (SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), "pa%22ss", "wörd"):
        assert form.strip('"') not in written


def test_a_secret_within_the_event_or_the_context_is_masked() -> None:
    logs.mask("hunter22")
    stream = io.StringIO()
    logs.configure(stream=stream)
    structlog.contextvars.bind_contextvars(place="at hunter22")
    logs.get().info("logged in with hunter22")
    assert "hunter22" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_shows_no_secret_and_no_local_variable(terminal: bool) -> None:
    logs.mask("hunter22")
    stream = Terminal() if terminal else io.StringIO()
    logs.configure(stream=stream)

    def connect(person: str) -> None:
        raise ConnectionError(f"no answer to hunter22 within {len(person)} s")

    try:
        connect("Ann " + "Example")
    except ConnectionError:
        logs.get().exception("target.failed")
        logging.getLogger("some.library").exception("failed")
    written = stream.getvalue()
    assert written.count("no answer to *** within 11 s") == 2
    assert "Ann Example" not in written


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "access_token",
        "Authorization",
        "password",
        "client_secret",
        "api_key",
        "apiKey",
        "set-cookie",
        "SECRET",
    ],
)
def test_a_key_that_says_secret_hides_its_value_at_any_depth(key: str) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("sent", **{key: "abc"}, headers={key: ["abc"]}, absent={key: None}, number={key: 1234})
    (line,) = lines(stream)
    assert (line[key], line["headers"]) == ("***", {key: "***"})
    assert (line["absent"], line["number"]) == ({key: None}, {key: "***"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNz", "basic ***"),
        ("postgresql://job:pass@db/state", "postgresql://job:***@db/state"),
        ("GET /x?access_token=abc&page=2", "GET /x?access_token=***&page=2"),
        ("the token was refused", "the token was refused"),
        ("https://a.example.com/b?page=2", "https://a.example.com/b?page=2"),
    ],
)
def test_credentials_are_known_by_their_form(text: str, shown: str) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("sent", text=text)
    assert lines(stream)[0]["text"] == shown


def test_of_two_secrets_the_longer_one_is_masked_whole() -> None:
    logs.mask("hunter")
    logs.mask("hunter-and-more")
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("sent", text="hunter-and-more, hunter")
    assert lines(stream)[0]["text"] == "***, ***"


def test_an_empty_or_tiny_secret_does_not_blot_out_the_log() -> None:
    logs.mask("")
    logs.mask("a")
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.get().info("sent", text="a banana")
    assert lines(stream)[0]["text"] == "a banana"
