"""Shapes requests to Microsoft Graph, and tells what its answers mean."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from reconciler.core import paths as target_paths
from reconciler.core.diffing import is_empty
from reconciler.core.model import Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.profile import Profile
from reconciler.core.reasons import Reason
from reconciler.dialects import halves, refusals
from reconciler.dialects.identifiers import names_one
from reconciler.net.statuses import fault_of

COLLECTIONS: dict[Kind, str] = {"user": "/users", "group": "/groups"}
SYNCED = "onPremisesSyncEnabled"
"""True: a directory on premises is the master of most properties, and Graph refuses to write them."""
SET_APART = frozenset({"employeeLeaveDateTime"})
"""Properties with a permission of their own: set in a call of their own, so that everything else is done without it."""
EVENTUAL = {"ConsistencyLevel": "eventual"}
"""What an advanced query needs: endsWith, $count."""
BATCH_MAX = 20

_NOBODY = ("Request_ResourceNotFound", "ResourceNotFound", "Directory_ObjectNotFound")
_WORDS_MAX = 300
_PAGE_MAX = 999
"""So many rows Graph gives in a page at most; 100 where it is not told."""
_OF_ELSEWHERE = "#ext#"
"""In the user principal name of whoever signs in at another tenant."""
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
_ONE_ENTRY = frozenset({"businessPhones"})
"""Collections that take one entry only."""


class Call(NamedTuple):
    """One request, alone or within a batch. `path` begins at the version: /users/…; it is encoded."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}
    repeatable: bool = False
    """Doing it twice is the same as doing it once, although it is a POST."""

    @property
    def is_idempotent(self) -> bool:
        return self.repeatable or self.method != "POST"


class Readers(NamedTuple):
    """How the accounts of one kind are asked for and read."""

    query: str
    """$select and $expand: most properties are only shown to who asks for them."""
    values: tuple[tuple[str, Callable[[Mapping[str, Any]], Any]], ...]


def readers(kind: Kind, mapped: Sequence[str], profile: Profile) -> Readers:
    """Compile what is asked for and read of the accounts of one kind."""
    selected: dict[str, None] = {"id": None}
    if kind == "user":
        selected[SYNCED] = None
    expanded: list[str] = []
    values: list[tuple[str, Callable[[Mapping[str, Any]], Any]]] = []
    for path in mapped:
        attribute = profile.attribute(kind, path)
        if attribute.references is not None:
            if not attribute.multivalued:
                expanded.append(f"{path}($select=id)")
                values.append((path, _reference(path)))
            continue
        selected[target_paths.parse(path).attribute] = None
        values.append((path, target_paths.reader(path)))
    query = f"$select={','.join(selected)}"
    if expanded:
        query += f"&$expand={','.join(expanded)}"
    return Readers(query, tuple(values))


def account(content: Mapping[str, Any], how: Readers) -> Account | None:
    """Return the account that a resource shows, None where it has no id."""
    target_id = content.get("id")
    if not isinstance(target_id, str) or not names_one(target_id):
        return None
    found: Resource = {}
    for path, read in how.values:
        value = read(content)
        if not is_empty(value):
            found[path] = value
    return Account(TargetId(target_id), found)


def one_path(kind: Kind, target_id: str, rest: str = "", query: str = "") -> str:
    """Return the path of one resource, or of what hangs on it."""
    path = f"{COLLECTIONS[kind]}/{quote(target_id, safe='')}{rest}"
    return f"{path}?{query}" if query else path


def equals(path: str, value: str, *, multivalued: bool) -> str:
    """Return an encoded $filter for the resources whose property has this value."""
    name = "/".join((target_paths.parse(path).attribute, *target_paths.parse(path).sub))
    if multivalued:
        return quote(f"{name}/any(v:v eq {literal(value)})", safe="")
    return quote(f"{name} eq {literal(value)}", safe="")


def deleted(user_principal_name: str, mail: str | None) -> str:
    """Return the path that finds soft-deleted users: their user principal name has their id in front of it."""
    condition = f"endsWith(userPrincipalName,{literal(user_principal_name)})"
    if mail:
        condition += f" or mail eq {literal(mail)}"
    shown = "$select=id,userPrincipalName,mail,employeeId,userType"
    query = f"$count=true&$top={_PAGE_MAX}&{shown}&$filter={quote(condition, safe='')}"
    return f"/directory/deletedItems/microsoft.graph.user?{query}"


def is_somebody_else(content: Mapping[str, Any], employee_id: Any) -> bool:
    """Whether a soft-deleted user of the same name has the number of another employee: names are given anew."""
    held = content.get("employeeId")
    return bool(held) and not is_empty(employee_id) and str(held).casefold() != str(employee_id).casefold()


def was_called(content: Mapping[str, Any], user_principal_name: str, mail: str | None) -> bool:
    """Whether a soft-deleted user had this user principal name, or is a member of the tenant with this mail address.

    A guest has an address of elsewhere: with the same one it may be the person, but is not what she works with here.
    """
    named = str(content.get("userPrincipalName") or "").casefold()
    prefix = str(content.get("id") or "").replace("-", "").casefold()
    wanted = user_principal_name.casefold()
    if named in (wanted, prefix + wanted):
        return True
    if str(content.get("userType") or "").casefold() == "guest" or _OF_ELSEWHERE in named:
        return False
    return mail is not None and str(content.get("mail") or "").casefold() == mail.casefold()


def literal(value: str) -> str:
    """Return a text as OData writes it: a quote is doubled."""
    return "'" + value.replace("'", "''") + "'"


def body(values: Iterable[tuple[str, Any]], kind: Kind, profile: Profile) -> dict[str, Any] | Failed:
    """Return the body that sets these values; None clears. References are not among them."""
    made: dict[str, Any] = {}
    for path, value in values:
        attribute = profile.attribute(kind, path)
        if attribute.multivalued and is_empty(value):
            value = []
        if path in _ONE_ENTRY and isinstance(value, list) and len(value) > 1:
            return Failed(
                Fault.INVALID,
                f"{path} takes one entry and the mapping gives {len(value)}; choose one with Item",
                attribute=path,
                code="SchemaPropertyCanOnlyAcceptValue",
            )
        target_paths.write(made, path, value, reference=False)
    return made


def reference_body(root: str, kind: Kind, target_id: str) -> dict[str, str]:
    """Return what a $ref is set to."""
    return {"@odata.id": f"{root}{COLLECTIONS[kind]}/{quote(target_id, safe='')}"}


def batch(groups: Sequence[Sequence[Call]]) -> dict[str, Any]:
    """Return the body of a $batch; within a group each call depends on the one before it."""
    requests: list[dict[str, Any]] = []
    for group in groups:
        before: str | None = None
        for call in group:
            number = str(len(requests) + 1)
            one: dict[str, Any] = {"id": number, "method": call.method, "url": call.path}
            headers = dict(call.headers)
            if call.body is not None:
                one["body"] = call.body
                headers["Content-Type"] = "application/json"
            if headers:
                one["headers"] = headers
            if before is not None:
                one["dependsOn"] = [before]
            before = number
            requests.append(one)
    return {"requests": requests}


def batch_answers(content: bytes) -> dict[str, tuple[int, dict[str, str], bytes]] | None:
    """Return status, headers and body by the id of the request; None where this is no answer to a batch."""
    responses = json_object(content).get("responses")
    if not isinstance(responses, list):
        return None
    found: dict[str, tuple[int, dict[str, str], bytes]] = {}
    for one in responses:
        if not isinstance(one, dict) or not isinstance(one.get("status"), int):
            continue
        given = one.get("headers")
        headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        found[str(one.get("id"))] = (one["status"], headers, _as_sent(one.get("body")))
    return found


def _as_sent(body: Any) -> bytes:
    """Return the body of a part of a batch as it would be alone; what is no JSON, a web page, is a text there."""
    if body is None:
        return b""
    return body.encode(errors="replace") if isinstance(body, str) else orjson.dumps(body)


def json_object(content: bytes) -> dict[str, Any]:
    """Return a JSON object, an empty one where the text is none."""
    try:
        read = halves.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


def failed(
    status: int,
    content: bytes,
    *,
    doing: str,
    wait_seconds: float | None = None,
    hints: Mapping[str, str] | None = None,
) -> Failed:
    """Return the fault that an answer means; `doing` says what was asked ("creating a user")."""
    error = json_object(content).get("error")
    error = error if isinstance(error, dict) else {}
    message = _message(error)
    fault = fault_of(status, asks_to_wait=wait_seconds is not None) or Fault.NOT_SCIM
    reason_code: Reason | None = None
    attribute = _named(error)
    match fault:
        case Fault.NOT_FOUND if error.get("code") not in _NOBODY:
            fault = Fault.NOT_SCIM
            message = message or "no error of Graph: is the url the one of Graph, with its version?"
        case Fault.INVALID if _is_conflict(error, message):
            fault = Fault.CONFLICT
        case Fault.INVALID if "on-premises mastered" in message.lower():
            reason_code = "OnPremisesMastered"
        case Fault.INVALID if "domain portion" in message.lower():
            reason_code = "DomainNotInTenant"
        case _:
            pass
    reason = f"{doing}: Graph answered {status}"
    if message:
        reason += f": {message}"
    hint = (hints or {}).get(fault.value)
    if hint:
        reason += f" ({hint})"
    inner = error.get("innerError")
    named = str(inner.get("request-id") or "") if isinstance(inner, dict) else ""
    return Failed(fault, reason, status, wait_seconds, attribute, reason_code or "", request_id=named[:100])


def hidden_refusal(status: int, content: bytes, *, doing: str, asked: str) -> Failed | None:
    """Return what is wrong with an answer that says it succeeded: a web page, or an error inside; None: nothing."""
    error = json_object(content).get("error") if b'"error"' in content else None
    if error:
        message = _message(error) if isinstance(error, dict) else ""
        conflict = isinstance(error, dict) and _is_conflict(error, message)
        reason = f"{doing}: Graph answered {status} with an error inside" + (f": {message}" if message else "")
        return Failed(Fault.CONFLICT if conflict else Fault.NOT_SCIM, reason, status, request=asked)
    if refusals.is_html(content):
        reason = f"{doing}: the answer is a web page (a login?): what answers is not Graph: check the url"
        return Failed(Fault.NOT_SCIM, reason, status, request=asked)
    return None


def granted_permissions(header: str) -> frozenset[str] | None:
    """Return the application permissions in a token, None where it cannot be read: its form is no promise."""
    parts = header.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return None
    try:
        claims: dict[str, Any] = json_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    roles = claims.get("roles")
    if not claims:
        return None
    return frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset()


def says_already_there(content: bytes) -> bool:
    """Whether a refusal says that the reference to be added exists."""
    error = json_object(content).get("error")
    return isinstance(error, dict) and "references already exist" in str(error.get("message") or "").lower()


def _message(error: Mapping[str, Any]) -> str:
    return _SPACES.sub(" ", str(error.get("message") or ""))[:_WORDS_MAX].strip()


def _is_conflict(error: Mapping[str, Any], message: str) -> bool:
    if any(code in ("ObjectConflict", "ConflictingObjects") for code, _ in _details(error)):
        return True
    return "another object with the same value" in message.lower()


def _named(error: Mapping[str, Any]) -> str | None:
    for _, named in _details(error):
        if named:
            return named
    return None


def _details(error: Mapping[str, Any]) -> list[tuple[str, str]]:
    details = error.get("details")
    rows = details if isinstance(details, list) else []
    return [(str(one.get("code") or ""), str(one.get("target") or "")) for one in rows if isinstance(one, dict)]


def _reference(path: str) -> Callable[[Mapping[str, Any]], Any]:
    def read(content: Mapping[str, Any]) -> Any:
        held = content.get(path)
        return held.get("id") if isinstance(held, Mapping) else None

    return read
