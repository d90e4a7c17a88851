"""Functions that turn a value into another kind: numbers, bytes, names."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from reconciler.errors import EvaluationError
from reconciler.language.functions import Function, Invocation, checked, plain, whole_number
from reconciler.language.values import Value, bounded, integer, single, text, text_or_none

ENCODINGS = {"Unicode": "utf-16-le", "ASCII": "ascii", "UTF8": "utf-8"}


def _bit_and(first: Value, second: Value) -> int | None:
    if text_or_none(first) is None or text_or_none(second) is None:
        return None
    return integer(first, "value1 of BitAnd") & integer(second, "value2 of BitAnd")


def _to_base64(source: Value) -> str | None:
    whole = text_or_none(source)
    bounded(len(whole or ""), "ConvertToBase64")
    return None if whole is None else base64.b64encode(whole.encode("utf-16-le", "surrogatepass")).decode("ascii")


def _from_base64(source: Value, encoding: Value) -> str | None:
    whole = text_or_none(source)
    if whole is None:
        return None
    codec = ENCODINGS.get("Unicode" if encoding is None else text(encoding))
    if codec is None:
        raise EvaluationError(f"the encoding of ConvertFromBase64 must be one of {', '.join(ENCODINGS)}")
    try:
        return base64.b64decode("".join(whole.split()), validate=True).decode(codec, "replace")
    except (binascii.Error, ValueError):
        raise EvaluationError("the source of ConvertFromBase64 is not Base64") from None


def _to_utf8_hex(source: Value) -> str | None:
    whole = text_or_none(source)
    bounded(len(whole or ""), "ConvertToUTF8Hex")
    return None if whole is None else whole.encode("utf-8", "replace").hex().upper()


def _dn_component(dn: Value, component_number: Value) -> str | None:
    whole = text_or_none(dn)
    wanted = integer(component_number, "ComponentNumber of DNComponent")
    if wanted < 1:
        raise EvaluationError("ComponentNumber of DNComponent counts from 1")
    if not whole:
        return None
    components = _DN_COMPONENT.findall(whole)
    if wanted > len(components):
        return None
    name, equals, value = components[wanted - 1].partition("=")
    return _unescape_dn((value if equals else name).strip())


_DN_COMPONENT = re.compile(r"(?:\\.|\"(?:\\.|[^\"\\])*\"|[^,;\\])+", re.DOTALL)
_DN_ESCAPES = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)


def _unescape_dn(value: str) -> str:
    """Return the value of a component without its quotes or escapes (RFC 4514 §3)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]

    def plain_text(found: re.Match[str]) -> str:
        if found.group(1) is not None:
            return found.group(1)
        return bytes.fromhex(found.group().replace("\\", "")).decode("utf-8", "replace")

    return _DN_ESCAPES.sub(plain_text, value)


def _string_from_sid(object_sid: Value) -> str | None:
    found = object_sid
    if isinstance(found, list) and found and all(isinstance(one, int) and 0 <= one <= 255 for one in found):
        found = bytes(found)
    else:
        found = single(found)
    if found is None or found == "":
        return None
    if isinstance(found, str):
        if found.startswith("S-1-"):
            return found
        try:
            found = base64.b64decode(found, validate=True)
        except (binascii.Error, ValueError):
            raise EvaluationError("ObjectSID of StringFromSid must be binary: Base64 or a list of bytes") from None
    if not isinstance(found, bytes) or len(found) < 8 or found[0] != 1 or len(found) != 8 + 4 * found[1]:
        raise EvaluationError("ObjectSID of StringFromSid is not a security identifier")
    parts = struct.unpack(f"<{found[1]}I", found[8:])
    return "-".join(["S-1", str(int.from_bytes(found[2:8], "big")), *[str(part) for part in parts]])


def _known_encoding(invocation: Invocation) -> None:
    encoding = invocation.arguments[1]
    if encoding.constant and encoding.given and text(encoding.value) not in ENCODINGS:
        raise invocation.refuse("unknown encoding", f"write one of {', '.join(ENCODINGS)}", encoding)


def _same(value: Value) -> str | None:
    return text_or_none(value)


FUNCTIONS = (
    Function(
        "BitAnd", ("value1", "value2"), checked(plain(_bit_and), whole_number(0), whole_number(1)), gives="number"
    ),
    Function("CRef", ("value",), plain(_same)),
    Function("CStr", ("value",), plain(_same)),
    Function(
        "ConvertFromBase64",
        ("source", "encoding?"),
        checked(plain(_from_base64), _known_encoding),
        words={1: tuple(ENCODINGS)},
    ),
    Function("ConvertToBase64", ("source",), plain(_to_base64)),
    Function("ConvertToUTF8Hex", ("source",), plain(_to_utf8_hex)),
    Function("DNComponent", ("dn", "componentNumber"), checked(plain(_dn_component), whole_number(1, 1))),
    Function("StringFromSid", ("objectSid",), plain(_string_from_sid)),
)
