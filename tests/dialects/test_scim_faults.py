"""What a SCIM server's refusal means, whatever form it comes in."""

from __future__ import annotations

import orjson
import pytest

from reconciler.core.outcomes import Fault
from reconciler.dialects.scim_faults import failed, hidden_error, is_error, not_scim

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def error(status: object, detail: str = "", scim_type: str | None = None) -> bytes:
    document: dict[str, object] = {"schemas": [ERROR], "status": status, "detail": detail}
    return orjson.dumps(document if scim_type is None else {**document, "scimType": scim_type})


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (302, b"", Fault.NOT_SCIM),
        (400, error("400", "bad"), Fault.INVALID),
        (400, error(400, "no such element", "noTarget"), Fault.NO_TARGET),
        (400, error("400", "no such element", "NOTARGET"), Fault.NO_TARGET),
        (400, error("400", "taken", "uniqueness"), Fault.CONFLICT),
        (400, b"<html><body>noTarget</body></html>", Fault.INVALID),
        (400, b"", Fault.INVALID),
        (401, b"", Fault.UNAUTHORIZED),
        (403, b"", Fault.FORBIDDEN),
        (404, error("404", "gone", "invalidSyntax"), Fault.NOT_FOUND),
        (405, b"", Fault.UNSUPPORTED),
        (409, b"", Fault.CONFLICT),
        (410, b"", Fault.NOT_FOUND),
        (412, b"", Fault.PRECONDITION),
        (413, b"", Fault.TOO_LARGE),
        (415, b"", Fault.INVALID),
        (422, b"", Fault.INVALID),
        (429, b"", Fault.THROTTLED),
        (500, error("500", "bad", "noTarget"), Fault.SERVER_ERROR),
        (501, b"", Fault.UNSUPPORTED),
        (503, b"", Fault.SERVER_ERROR),
        (507, b"", Fault.SERVER_ERROR),
    ],
)
def test_the_status_decides(status: int, body: bytes, fault: Fault) -> None:
    outcome = failed(status, body, doing="changing a user")
    assert (outcome.fault, outcome.status) == (fault, status)
    assert outcome.reason.startswith(f"changing a user: the target answered {status}")


def test_a_503_that_asks_to_wait_is_throttling() -> None:
    outcome = failed(503, b"", doing="x", wait_seconds=3.0)
    assert (outcome.fault, outcome.wait_seconds) == (Fault.THROTTLED, 3.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (error("400", "title is too long", "invalidValue"), "title is too long (invalidValue)"),
        (b'{"message": "title is too long"}', "title is too long"),
        (b'{"error": {"message": "title is too long"}}', "title is too long"),
        (b'{"Errors": [{"description": "title is too long", "code": "400"}]}', "title is too long"),
        (b'[{"detail": "title is too long"}]', "title is too long"),
        (b"title\n is  too long", "title is too long"),
        (b"<!DOCTYPE html><html><head><title>Bad\nrequest</title></head><body>x</body>", "Bad request"),
        (b"<html><style>p{}</style><p>It is <b>bad</b></p></html>", "It is bad"),
        (b'{"schemas": ["urn:', '{"schemas": ["urn:'),
    ],
)
def test_the_servers_own_words_are_found(body: bytes, words: str) -> None:
    assert failed(400, body, doing="x").reason == f"x: the target answered 400: {words}"


def test_long_words_are_cut_and_credentials_masked() -> None:
    reason = failed(400, b"Authorization: Bearer abcdefgh.ijkl-mno " + b"x" * 100_000, doing="x").reason
    assert len(reason) < 400
    assert "Bearer ***" in reason
    assert "abcdefgh" not in reason


PATHS = (
    "userName",
    "name.familyName",
    'emails[type eq "work"].value',
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "title",
    "user",
)


@pytest.mark.parametrize(
    ("detail", "attribute"),
    [
        ("Attribute 'title' is not known", "title"),
        ("usertitle is wrong", None),
        ("The value of name.familyName is too long", "name.familyName"),
        ("familyname: field required", "name.familyName"),
        ('emails[type eq "work"].value is not an address', 'emails[type eq "work"].value'),
        ("emails must not be empty", 'emails[type eq "work"].value'),
        (
            "unknown urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        ),
        ("userName is taken", "userName"),
        ("the value is wrong", None),
    ],
)
def test_an_attribute_that_is_named_is_told(detail: str, attribute: str | None) -> None:
    assert failed(400, error("400", detail), doing="x", paths=PATHS).attribute == attribute


def test_an_administrator_is_told_what_the_profile_knows() -> None:
    hints = {"forbidden": "give the token the right to provision"}
    assert failed(403, b"", doing="x", hints=hints).reason.endswith("(give the token the right to provision)")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "301, a redirect, which is"),
        (
            "https://new.example.com:8443/scim/v2/Users?filter=x",
            "a redirect to https://new.example.com:8443/scim/v2/Users,",
        ),
        (
            "https://ann:secret@login.example.com/sso?token=secret#secret",
            "a redirect to https://login.example.com/sso,",
        ),
        ("/scim/v2/Users", "a redirect to /scim/v2/Users,"),
        ("//new.example.com/scim/v2", "a redirect to //new.example.com/scim/v2,"),
        ("http://[::1]:8080/scim", "a redirect to http://[::1]:8080/scim,"),
        ("http://[broken", "301, a redirect, which is"),
    ],
)
def test_a_redirect_says_where_it_leads_and_what_to_do_and_no_secret(location: str, said: str) -> None:
    reason = failed(301, b"<html>moved</html>", doing="x", location=location).reason
    assert said in reason
    assert "secret" not in reason
    assert "final url" in reason


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"<html><title>Sign in</title>", "a web page"), (b"", "nothing"), (b"[]", "something"), (b"OK", "something")],
)
def test_what_is_not_scim_is_described(body: bytes, words: str) -> None:
    outcome = not_scim(200, body, doing="listing users")
    assert outcome.fault is Fault.NOT_SCIM
    assert words in outcome.reason


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"schemas": [ERROR], "status": "409"}, 409),
        ({"schemas": [ERROR.lower()], "status": 400}, 400),
        ({"schemas": [ERROR]}, 500),
        ({"schemas": [ERROR], "status": "fine"}, 500),
        ({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "status": "409"}, None),
        ({"id": "1"}, None),
        ({"schemas": 7}, None),
    ],
)
def test_an_error_behind_a_200_is_seen(content: dict[str, object], status: int | None) -> None:
    assert hidden_error(content) == status


def test_only_a_json_object_speaks_for_scim() -> None:
    assert is_error(error("404", "gone"))
    assert not is_error(b"<html>")
    assert not is_error(b"")
    assert not is_error(orjson.dumps({"message": "no Route matched with those values"}))
