"""An honest double of the AlexisHR API (v1-preview), as far as its public documentation goes.

Written from docs.alexishr.com: bearer tokens, `{status, data, total}`, filters[field][$op], limit and offset, sort,
select. What the documentation leaves open (a limit above 100, unknown fields) it refuses, so that nobody relies on it.
The real service was never asked.
"""

from __future__ import annotations

import re
from datetime import datetime

from aiohttp import web

from tests.servers.http_double import HttpDouble, Json, Refused, answered

SENSITIVE = ("ssn", "birthDate", "gender", "nationality", "privateEmail", "privatePhone")
HOME = ("homeStreet", "homeZip", "homeCity", "homeCountry")
"""The home address, which the documentation does not name: these names are made up, as an administrator finds them."""
EMPLOYEE = [
    "id",
    "active",
    "employeeNumber",
    "firstName",
    "lastName",
    "workEmail",
    "workPhone",
    "title",
    "userName",
    "division",
    "organization",
    "companyId",
    "officeId",
    "departmentId",
    "costCenterId",
    "managerEmployeeId",
    "employmentId",
    "employmentTypeId",
    "employmentCountry",
    "hireDate",
    "endDate",
    "created",
    "updated",
    "shirtSize",
    *SENSITIVE,
    *HOME,
]
FIELDS = {
    "employee": EMPLOYEE,
    "department": ["id", "name"],
    "office": ["id", "name"],
    "employment": ["id", "employeeId", "startDate", "endDate"],
}
_FILTER = re.compile(r"filters\[(\w+)\](?:\[\$(\w+)\])?")


class AlexisHR(HttpDouble):
    def __init__(self, token: str = "owner-token") -> None:
        super().__init__()
        self.token = token
        self.rows: dict[str, dict[str, Json]] = {resource: {} for resource in FIELDS}
        self.clock = datetime(2026, 1, 1, 8)  # moved by tests
        self.page_max = 100
        """How many a page has at most, whatever is asked for: the documentation does not say."""

    def put(self, resource: str, id_: str, **fields: object) -> None:
        """Write what a person writes in the application; `updated` moves with it, of this row only."""
        row = self.rows[resource].setdefault(id_, dict.fromkeys(FIELDS[resource]))
        row |= {"id": id_, **fields}
        if resource == "employee":
            row["updated"] = f"{self.clock.isoformat(timespec='milliseconds')}Z"

    def hire(self, id_: str, **fields: object) -> None:
        self.put(
            "employee",
            id_,
            **{
                "active": True,
                "firstName": id_.capitalize(),
                "lastName": "Ångström",
                "workEmail": f"{id_}@example.com",
                "ssn": "19121212-1212",
                **fields,
            },
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise _refused(401, "Unauthorized")
        if request.method != "GET":
            raise _refused(405, "Method Not Allowed")
        resource, _, id_ = request.path.removeprefix("/v1/").partition("/")
        if not request.path.startswith("/v1/") or resource not in self.rows:
            raise _refused(404, "Not Found")
        if id_:
            row = self.rows[resource].get(id_)
            if row is None:
                raise _refused(404, "Not Found")
            return answered({"status": "success", "data": row})
        return answered(self._listed(resource, request))

    def _listed(self, resource: str, request: web.Request) -> Json:
        rows = sorted(self.rows[resource].values(), key=lambda row: str(row["id"]))
        limit, offset, fields = 20, 0, FIELDS[resource]
        for name, value in request.query.items():
            if name in ("limit", "offset"):
                if not value.isdigit() or (name == "limit" and not 1 <= int(value) <= 100):
                    raise _refused(400, f"{name} is not valid")
                limit, offset = (int(value), offset) if name == "limit" else (limit, int(value))
            elif name == "select":
                fields = value.split(",")
                if set(fields) - set(FIELDS[resource]):
                    raise _refused(400, "select: unknown field")
            elif name == "sort[id]":
                if value != "asc":
                    raise _refused(400, "sort is not valid")
            elif found := _FILTER.fullmatch(name):
                rows = [row for row in rows if _passes(row, resource, found[1], found[2] or "eq", value)]
            else:
                raise _refused(400, f"unknown parameter {name}")
        page = [{field: row[field] for field in fields} for row in rows[offset : offset + min(limit, self.page_max)]]
        return {"status": "success", "data": page, "total": len(rows)}


def _passes(row: Json, resource: str, field: str, operator: str, value: str) -> bool:
    if field not in FIELDS[resource] or operator not in ("eq", "gte", "gt", "lt", "lte"):
        raise _refused(400, "filters: unknown field or operator")
    if field == "updated":
        try:
            asked, has = datetime.fromisoformat(value), datetime.fromisoformat(str(row[field]))
        except ValueError:
            raise _refused(400, "filters: is no date") from None
        if asked.tzinfo is None:
            raise _refused(400, "filters: has no zone")
        return {"gte": has >= asked, "gt": has > asked, "lt": has < asked, "lte": has <= asked, "eq": has == asked}[
            operator
        ]
    return operator == "eq" and str(row[field]) == value


def _refused(status: int, message: str) -> Refused:
    return Refused(status, {"statusCode": status, "message": message, "error": message})
