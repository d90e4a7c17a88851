"""Puts users into groups of a Graph, and takes them out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import quote

import anyio

from reconciler.core.model import TargetId
from reconciler.core.outcomes import Failed, Fault, MembersDone, Missing
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.ports import chunks
from reconciler.targets.graph_wire import Wire

_HOPELESS = (Fault.UNREACHABLE, Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.THROTTLED)


class Membership:
    """The members of groups: each goes in a call of its own, twenty of them in a request."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def change(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId]
    ) -> MembersDone | Failed:
        """Add, then remove; of those who were refused it is looked whether they are as asked all the same."""
        done: list[TargetId] = []
        refused: dict[TargetId, Failed] = {}

        async def put_in(member: TargetId) -> None:
            place = graph.one_path("group", group, "/members/$ref")
            body = {"@odata.id": f"{self._wire.url}/directoryObjects/{quote(member, safe='')}"}
            take_note(member, await self._send(Call("POST", place, body, repeatable=True), group, member))

        async def take_out(member: TargetId) -> None:
            place = graph.one_path("group", group, f"/members/{quote(member, safe='')}/$ref")
            take_note(member, await self._send(Call("DELETE", place), group, member))

        def take_note(member: TargetId, outcome: Failed | None) -> None:
            if outcome is None:
                done.append(member)
            else:
                refused[member] = outcome

        for members, change in ((add, put_in), (remove, take_out)):
            for some in chunks(members, graph.BATCH_MAX):
                async with anyio.create_task_group() as tasks:
                    for member in some:
                        tasks.start_soon(change, member)
                hopeless = [failure for failure in refused.values() if failure.fault in _HOPELESS]
                if hopeless and not done:
                    return hopeless[0]
                if any(failure.fault is not Fault.FORBIDDEN for failure in hopeless):
                    break  # a member of its own may be forbidden; what the whole Graph does not take is left for later
        missed = [failure for failure in refused.values() if failure.fault is Fault.NOT_FOUND]
        if missed:
            shown = await self._shown(group, about=())  # a group that was made just now was waited for already
            if isinstance(shown, Missing):
                return missed[0]
            if isinstance(shown, frozenset):
                settled = [one for one in refused if (one in shown) == (one in add)]
                done += settled
                refused = {one: failure for one, failure in refused.items() if one not in settled}
        return MembersDone(tuple(done), refused)

    async def read(self, group: TargetId) -> frozenset[TargetId] | Missing | Failed:
        return await self._shown(group, about=(group,))

    async def _shown(self, group: TargetId, *, about: Collection[str]) -> frozenset[TargetId] | Missing | Failed:
        call = Call("GET", graph.one_path("group", group, "/members", "$select=id&$top=999"))
        rows = await self._wire.pages(call, doing="reading the members of a group", about=about)
        if isinstance(rows, Failed):
            return Missing() if rows.fault is Fault.NOT_FOUND else rows
        return frozenset(TargetId(str(row["id"])) for row in rows if "id" in row)

    async def _send(self, call: Call, group: TargetId, member: TargetId) -> Failed | None:
        outcome = await self._wire.write(
            call, doing="changing a group", about=(group, member), forgives=graph.says_already_there
        )
        return outcome if isinstance(outcome, Failed) else None
