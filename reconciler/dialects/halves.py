"""Reads JSON in which a character was cut in half, as programs do that cut a text by its UTF-16 units."""

from __future__ import annotations

import re
from typing import Any

import orjson

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
"""An escape with what belongs to it; a half that stands alone is a group (RFC 8259 §8.2)."""
NO_CHARACTER = "\ufffd"
_WRITTEN = b"\\ufffd"


def loads(text: bytes) -> Any:
    """Return what JSON says, U+FFFD for half of a character. Raises orjson.JSONDecodeError where it is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        mended = _ESCAPE.sub(lambda found: _WRITTEN if found[1] else found[0], text)
        if mended == text:
            raise
    return orjson.loads(mended)
