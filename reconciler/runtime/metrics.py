"""Counts what the daemon does, and says it together with how its jobs stand, as Prometheus reads it.

No label ever holds a value of a person: labels are names of jobs, and words that are listed here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from reconciler import __version__
from reconciler.core.standing import QuarantineReason, Standing
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Figures, Hold, Store
from reconciler.runtime.events import Event
from reconciler.runtime.report import COUNTS
from reconciler.runtime.service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
READ_AGAIN_SECONDS = 15.0
"""So long serves what was read of a job's state, unless a cycle of it ends: the state has its rest, whoever looks."""

DONE = tuple(word for word in COUNTS if word not in ("skip", "failure", "held"))
_OTHER = "other"
_FAILING = frozenset({*DONE, "match", "link", "reference", "members"})
"""What a failure may be of; whatever else a cycle names is "other"."""


@dataclass(slots=True)
class _Latency:
    """How long the requests of one job and method took."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Return how many took so long at most."""
        counted, total = [], 0
        for bound, n in zip((*map(str, BUCKETS_SECONDS), "+Inf"), self.buckets, strict=True):
            total += n
            counted.append((bound, float(total)))
        return counted


@dataclass(frozen=True, slots=True)
class _Read:
    """What the state says of a job."""

    at: float
    standing: Standing
    figures: Figures
    holds: Collection[Hold]


class Metrics:
    """What is counted since the daemon was started. `take` every event, `note` every request."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began = clock, clock.now()
        self._cycles: Counter[tuple[str, str, str]] = Counter()
        self._operations: Counter[tuple[str, str, str]] = Counter()
        self._skipped: Counter[str] = Counter()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._latencies: dict[tuple[str, str], _Latency] = {}
        self._took_seconds: dict[str, float] = {}
        self._read: dict[str, _Read] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._shown: list[Metric] = []
        self._registry.register(self)

    # --- what happens --------------------------------------------------------------------------------------------

    def note(self, job: str, method: str, status: str, seconds: float) -> None:
        """Count a request that a job sent to its target."""
        self._requests[job, method, status] += 1
        latency = self._latencies.get((job, method))
        if latency is None:
            latency = self._latencies[job, method] = _Latency()
        latency.add(seconds)

    def take(self, event: Event) -> None:
        """Count what an event tells of."""
        if event.job is None:
            return
        if event.name != "cycle.progress":
            self._read.pop(event.job, None)
        if event.name == "cycle.ended":
            self._count(event.job, event.facts)
        elif event.name == "job.provisioned":
            self._cycles[event.job, "on_demand", str(event.facts["state"])] += 1

    def _count(self, job: str, ended: Mapping[str, Any]) -> None:
        report = ended["report"]
        if report is None:
            self._cycles[job, "none", "failed"] += 1
            return
        self._cycles[job, report["kind"], report["state"]] += 1
        self._took_seconds[job] = report["duration_seconds"]
        counts = report["counts"]
        for word in DONE:
            if counts[word]:
                self._operations[job, word, "success"] += counts[word]
        named = Counter(one["operation"] if one["operation"] in _FAILING else _OTHER for one in report["failures"])
        named[_OTHER] += counts["failure"] - named.total()  # a report names the first thousand
        for word, n in named.items():
            if n > 0:
                self._operations[job, word, "failure"] += n
        self._skipped[job] += counts["skip"]

    # --- what is said --------------------------------------------------------------------------------------------

    async def text(self, service: Service, store: Store) -> bytes:
        """Return all of it in the text format of Prometheus. Jobs whose state cannot be read are left out of it."""
        readable = True
        for name in service.plans:
            try:
                await self._look(name, store)
            except ReconcilerError:
                readable = False
                self._read.pop(name, None)
        self._shown = [*self._counted(), *self._standing(service, readable=readable)]
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Return what was found out last; called by the registry."""
        return self._shown

    async def _look(self, name: str, store: Store) -> None:
        now, known = self._clock.now(), self._read.get(name)
        if known is None or not 0 <= now - known.at < READ_AGAIN_SECONDS:
            standing, figures = await store.standing(name), await store.figures(name)
            self._read[name] = _Read(now, standing, figures, await store.held(name))

    def _counted(self) -> Iterator[Metric]:
        cycles = _counter("cycles", "Cycles that ended, by kind and by what they came to.", "job", "kind", "result")
        for labels, n in self._cycles.items():
            cycles.add_metric(labels, n)
        yield cycles
        operations = _counter("operations", "Operations of cycles.", "job", "operation", "outcome")
        for labels, n in self._operations.items():
            operations.add_metric(labels, n)
        yield operations
        skipped = _counter("entries_skipped", "Entries that a cycle judged and left as they are.", "job")
        for job, n in self._skipped.items():
            skipped.add_metric([job], n)
        yield skipped
        requests = _counter("requests", "Requests to the target, retries included.", "job", "method", "status")
        for labels, n in self._requests.items():
            requests.add_metric(labels, n)
        yield requests
        name, text = "reconciler_request_seconds", "How long requests to the target took."
        latencies = HistogramMetricFamily(name, text, labels=["job", "method"])
        for key, latency in self._latencies.items():
            latencies.add_metric(key, latency.cumulative(), latency.seconds)
        yield latencies
        took = _gauge("last_cycle_seconds", "How long the last cycle took.", "job")
        for job, seconds in self._took_seconds.items():
            took.add_metric([job], seconds)
        yield took

    def _standing(self, service: Service, *, readable: bool) -> Iterator[Metric]:
        info = _gauge("info", "The version that runs.", "version")
        info.add_metric([__version__], 1)
        yield info
        up = _gauge("state_up", "Whether the state can be read (1) or not (0).")
        up.add_metric([], int(readable))
        yield up
        now = self._clock.now()
        shown = {name: _Shown() for name in _GAUGES}
        for name, plan in service.plans.items():
            shown["running"].add(service.running(name) is not None, name)
            shown["enabled"].add(plan.job.enabled, name)
            shown["interval_seconds"].add(plan.job.interval_seconds, name)
            read = self._read.get(name)
            if read is not None:
                self._of_job(name, read, now, shown)
        for name, (text, *labels) in _GAUGES.items():
            gauge = _gauge(name, text, *labels)
            for values, value in shown[name].samples:
                gauge.add_metric(values, value)
            yield gauge

    def _of_job(self, job: str, read: _Read, now: float, shown: Mapping[str, _Shown]) -> None:
        standing, figures = read.standing, read.figures
        quarantine = standing.quarantine
        for reason in QuarantineReason:
            shown["quarantined"].add(quarantine is not None and quarantine.reason is reason, job, reason.value)
        shown["quarantine_seconds"].add(0.0 if quarantine is None else now - quarantine.series_began, job)
        shown["paused"].add(standing.paused is not None, job)
        shown["stopped"].add(standing.stopped_at is not None, job)
        succeeded = standing.last_success_at
        shown["seconds_since_success"].add(now - (self._began if succeeded is None else succeeded), job)
        if standing.watermark_at is not None:
            shown["watermark_age_seconds"].add(now - standing.watermark_at, job)
        shown["managed"].add(figures.managed, job)
        shown["escrow"].add(figures.escrow, job)
        shown["escrow_oldest_seconds"].add(_age(figures.escrow_since, now), job)
        shown["should_be_off"].add(figures.should_be_off, job)
        shown["should_be_off_oldest_seconds"].add(_age(figures.should_be_off_since, now), job)
        shown["pending_references"].add(figures.pending_references, job)
        held = Counter[str]()
        for hold in read.holds:
            held[hold.safeguard] += len(hold.operations)
        for safeguard, n in held.items():
            shown["held_operations"].add(n, job, safeguard)
        shown["held_oldest_seconds"].add(_age(min((hold.since for hold in read.holds), default=None), now), job)
        shown["mails_unsent"].add(figures.mails_waiting, job)
        shown["mails_given_up"].add(figures.mails_given_up, job)


@dataclass(slots=True)
class _Shown:
    """The samples of one gauge."""

    samples: list[tuple[tuple[str, ...], float]] = field(default_factory=list)

    def add(self, value: float, *labels: str) -> None:
        self.samples.append((labels, float(value)))


_GAUGES: Mapping[str, tuple[str, ...]] = {
    "enabled": ("Whether the job is enabled in the configuration.", "job"),
    "running": ("Whether a cycle of the job runs now.", "job"),
    "interval_seconds": ("How often the job is to run.", "job"),
    "seconds_since_success": (
        "Seconds since a cycle read everything and both sides answered; before the first one, since the daemon began.",
        "job",
    ),
    "watermark_age_seconds": ("Seconds since the watermark moved; only for sources that give one.", "job"),
    "paused": ("Whether a person has paused the job.", "job"),
    "stopped": ("Whether the job was stopped after long in quarantine.", "job"),
    "quarantined": ("Whether the job is in quarantine for this reason.", "job", "reason"),
    "quarantine_seconds": ("For how long the job has been in quarantine; 0: it is not.", "job"),
    "managed": ("Accounts and groups that the job manages.", "job"),
    "escrow": ("Entries whose operation failed, waiting for their next try.", "job"),
    "escrow_oldest_seconds": ("For how long the oldest of them has been failing.", "job"),
    "should_be_off": ("Accounts that should be off, or gone, and are not.", "job"),
    "should_be_off_oldest_seconds": ("For how long the oldest of them has been on.", "job"),
    "pending_references": ("Managers and members that wait for the account they point to.", "job"),
    "held_operations": ("Operations that a safeguard holds back.", "job", "safeguard"),
    "held_oldest_seconds": ("For how long the oldest of them has been held.", "job"),
    "mails_unsent": ("Mails that wait to be sent.", "job"),
    "mails_given_up": ("Mails that could not be sent and are not tried again, since one went out last.", "job"),
}


def _age(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - since)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"reconciler_{name}", text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reconciler_{name}", text, labels=labels)
