"""Says when a file that is read was replaced, so that nobody has to wait for the next cycle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.errors import NotAnnounced
from reconciler.ports import Diagnosis, ReadEvent, Source, Tidying, Wanted

LOOK_SECONDS = 2.0
"""How often the files are looked at where nothing is told of them: network file systems tell nothing."""
_GATHERED_MILLISECONDS = 50
_STEP_MILLISECONDS = 20


class Watched:
    """A source of files that announces changes. `places` are the files; the last name of each may be a pattern."""

    def __init__(self, source: Source, places: Sequence[Path]) -> None:
        self._source, self._places = source, tuple(places)

    @property
    def identity(self) -> Identity:
        return self._source.identity

    @property
    def incremental(self) -> bool:
        return self._source.incremental

    def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        return self._source.read(wanted, since)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        return await self._source.fetch(kind, ids, wanted)

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        return await self._source.test(wanted)

    async def close(self) -> None:
        await self._source.close()

    async def settled(self) -> list[str]:
        """See `ports.Tidying`."""
        return await self._source.settled() if isinstance(self._source, Tidying) else []

    async def changes(self) -> AsyncIterator[None]:
        """See `ports.Announcing`. The system tells at once of a rename or a write; the files are looked at besides."""
        # Only who listens needs it.
        from watchfiles import awatch

        seen = self._versions()
        yield
        directories = sorted({place.parent for place in self._places})
        try:
            async for told in awatch(
                *directories,
                watch_filter=self._is_ours,
                debounce=_GATHERED_MILLISECONDS,
                step=_STEP_MILLISECONDS,
                rust_timeout=int(LOOK_SECONDS * 1000),
                yield_on_timeout=True,
                recursive=False,
            ):
                now = self._versions()
                if told or now != seen:
                    seen = now
                    yield
        except (OSError, RuntimeError) as error:
            where = ", ".join(map(str, directories))
            raise NotAnnounced(f"{where} cannot be watched: {getattr(error, 'strerror', None) or error}") from error
        raise NotAnnounced("nothing is watched any more")

    def _is_ours(self, _change: object, path: str) -> bool:
        name = Path(path).name
        return any(fnmatchcase(name, place.name) for place in self._places)

    def _versions(self) -> dict[Path, tuple[int, int, int]]:
        found = {}
        for place in self._places:
            try:
                for path in place.parent.glob(place.name):
                    status = path.stat()
                    found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
            except OSError:
                continue  # the reading says what is wrong with it
        return found
