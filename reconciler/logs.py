"""The process log: JSON lines off a terminal, colours on it, secrets in neither.

    log = logs.get()
    log.info("cycle.done", job="phone", created=3)

What other libraries write with `logging` comes out in the same form. Masking is the last step before the line is made,
so it sees what the context, the event and a traceback have become.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast
from urllib.parse import quote, quote_plus

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MASKED: Final = "***"
SECRET_LENGTH_MIN: Final = 4
"""Shorter ones are not looked for in texts: they would blot out ordinary words. A telling key still hides them."""


def get(**context: Any) -> FilteringBoundLogger:
    """Return a logger that carries `context` on every line. It may be made before `configure` was called."""
    logger: FilteringBoundLogger = structlog.get_logger(**context)
    return logger


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send everything from `level` up to `stream` (stderr by default). May be called again, to change the level."""
    stream = sys.stderr if stream is None else stream
    written = cast("TextIO", _Bearing(stream))  # of a stream no more is asked than writing
    threshold = LEVELS[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_event,
        _console() if stream.isatty() else _json_line,
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(threshold, written, shared, last)


def mask(secret: str) -> None:
    """Never let this text appear in the log again, also as it is written within a URL, JSON or a Python value.

    It is remembered for the life of the process: meant for the secrets of a configuration. What lives an hour belongs
    under a key that says what it is (`token=…`), or in no log call at all.
    """
    global _secret
    if len(secret) < SECRET_LENGTH_MIN:
        return
    within = (quote(secret, safe=""), quote_plus(secret), orjson.dumps(secret).decode()[1:-1], repr(secret)[1:-1])
    _secrets.update((secret, *within))
    # The longest first: where one secret begins with another, nothing of it may stay.
    _secret = re.compile("|".join(re.escape(one) for one in sorted(_secrets, key=len, reverse=True)))


# --- masking -----------------------------------------------------------------------------------------------------

_secrets: set[str] = set()
_secret: re.Pattern[str] | None = None

_TELLING_KEY = re.compile(
    r"token|authorization|password|passwd|passphrase|secret|credential|api_?-?key|private_?-?key|cookie", re.IGNORECASE
)
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE)
_USER_INFO = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_QUERY = re.compile(r"([?&][^=&\s]*(?:token|password|secret|key|signature)[^=&\s]*=)[^&\s\"']+", re.IGNORECASE)


def _mask_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: _masked(value, key) for key, value in event.items()}


def _masked(value: Any, key: str = "") -> Any:
    """Return the value as it may be shown: simple values, lists and dicts of them, anything else as text."""
    if value is None or isinstance(value, bool):
        return value
    if key and _TELLING_KEY.search(key):
        return MASKED
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, Mapping):
        return {_masked_text(str(inner)): _masked(item, str(inner)) for inner, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return _masked_text(value.decode("utf-8", "replace"))
    return _masked_text(str(value))


def _masked_text(text: str) -> str:
    if _secret is not None:
        text = _secret.sub(MASKED, text)
    if "://" in text:
        text = _USER_INFO.sub(rf"\1{MASKED}@", text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{MASKED}", text)
    return _SCHEME.sub(rf"\1 {MASKED}", text)


# --- where lines go ------------------------------------------------------------------------------------------------


class _Bearing:
    """A stream that stops nobody's work: a line that it cannot take (a full disk, a reader who is gone) is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


# --- the two forms of a line ---------------------------------------------------------------------------------------


def _json_line(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    head = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event")}
    return orjson.dumps({**head, **event}, default=str).decode()


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors="NO_COLOR" not in os.environ,
        # The pretty one shows local variables, and they hold whatever the code was working on.
        exception_formatter=structlog.dev.plain_traceback,
    )


# --- what others log ---------------------------------------------------------------------------------------------

_TALKATIVE = ("aiohttp.access", "alembic.runtime.plugins", "apscheduler", "asyncio", "sqlalchemy", "uvicorn.access")
"""Their ordinary work is not ours, and an access log holds what was searched for: a person's name."""
_WITH_HANDLERS_OF_THEIR_OWN = ("uvicorn", "uvicorn.access", "uvicorn.error")


def _route_standard_logging(threshold: int, stream: TextIO, shared: list[Processor], last: list[Processor]) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _WITH_HANDLERS_OF_THEIR_OWN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(threshold if threshold < logging.INFO else max(threshold, logging.WARNING))
    logging.captureWarnings(True)
