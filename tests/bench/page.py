"""Measure the page in Chromium: 10,000 devices, first paint, updates, memory and data.

The states are made here and change by 100 devices each time, in 100 blocks. Timers of the page run
ten times as fast, so that many updates fit into a short time; the work of each is the same.
"""

import json
import os
import zlib
from collections.abc import Iterator
from random import Random
from statistics import median
from typing import Any

from playwright.sync_api import CDPSession, Page, Route, sync_playwright

from simulator.paths import REPOSITORY
from tests.bench.figures import Figure
from tests.page.conftest import CHROMIUM

DEVICES = 10_000
BLOCK = 100
WARM_UP = 50
UPDATES = int(os.environ.get("UPDATES", "1000"))  # 30 min of updates, one each 1.8 s
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
_LETTERS = {"q": {"state": "queued"}, "l": {"state": "downloading"}, "c": {"state": "completed"}}
_FASTER = (
    "const wait = setTimeout; window.setTimeout = (f, ms, ...more) => wait(f, ms / 10, ...more)"
)
# Notes when the first frame with the matrix has been handed over for painting.
_NOTE_PAINT = """new MutationObserver((_, observer) => {
    if (!document.querySelector('canvas[aria-label]')) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.painted = performance.now()), 0));
}).observe(document, {subtree: true, childList: true, attributes: true})"""
_SINCE_DATA = """() => window.painted - performance.getEntriesByType('resource')
    .find((item) => item.name.includes('/states')).responseEnd"""


class Source:
    """Responds as the app would; each response to a request with `after` changes 100 devices."""

    def __init__(self) -> None:
        self._random = Random(16)  # noqa: S311 - a reproducible sample
        self._blocks = [["q"] * BLOCK for _ in range(DEVICES // BLOCK)]
        self.revision = 0
        self.sizes: list[int] = []  # compressed bytes of each update

    def respond(self, route: Route) -> None:
        url = route.request.url
        path = url.split("/api/", 1)[1]
        if path.startswith("ui"):
            name = path.removeprefix("ui").lstrip("/").split("?")[0] or "index.html"
            file = REPOSITORY / "functions/ui" / name
            route.fulfill(body=file.read_bytes(), content_type=_TYPES[file.suffix])
        elif "/states" in path:
            route.fulfill(
                body=self._states(whole="after=" not in path), content_type="application/json"
            )
        else:
            route.fulfill(body='{"value": []}', content_type="application/json")

    def _states(self, *, whole: bool) -> bytes:
        self.revision += 1
        if not whole:
            for block in self._blocks:
                index = self._random.randrange(BLOCK)
                block[index] = {"q": "l", "l": "c", "c": "q"}[block[index]]
        body = json.dumps(self._body(whole=whole), separators=(",", ":")).encode()
        if not whole:
            self.sizes.append(len(zlib.compress(body)))
        return body

    def _body(self, *, whole: bool) -> dict[str, Any]:
        done = sum(block.count("c") for block in self._blocks)
        blocks = [
            {"first": n * BLOCK, "states": "".join(block), "versions": "a" * BLOCK}
            | ({"strata": "ab" * (BLOCK // 2)} if whole else {})
            for n, block in enumerate(self._blocks)
        ]
        return {
            "revision": self.revision,
            "at": "2026-11-23T13:00:00Z",
            "tickedAt": "2026-11-23T12:59:55Z",
            "tickSeconds": 10,
            "total": DEVICES,
            "eventCount": 0,
            "letters": _LETTERS,
            "versions": ["1.0"],
            "strata": ["edge-10", "edge-20"],
            "blocks": blocks,
            "failures": [],
            "curve": {
                "stepSeconds": 60,
                "started": [done // 60] * 60,
                "completed": [done // 60] * 60,
                "failed": [0] * 60,
            },
            "halts": [],
            "forecast": {
                "duration": "PT2H",
                "secondsPerDevice": 120,
                "limitedBy": "methods",
                "startsPerSecond": 8.0,
                "startsLimitedBy": "methods",
            },
            "rollout": self._rollout(done),
        }

    def _rollout(self, done: int) -> dict[str, Any]:
        counts = dict.fromkeys(("failed", "cancelled", "skipped", "updating"), 0)
        counts |= {"total": DEVICES, "completed": done, "queued": DEVICES - done}
        wave = {"name": "all", "size": DEVICES, "approval": False, "status": "running"}
        times = {"startedAt": "2026-11-23T12:00:00Z", "endedAt": None}
        gate: dict[str, Any] = {
            "wave": "all",
            "stratum": None,
            "failed": 0,
            "healthy": done,
            "inFlight": 0,
        }
        gate |= {"ratio": 0.0, "threshold": 2.9, "failuresToBreach": 2, "healthyToAcceptable": 0}
        return {
            "id": "r", "revision": self.revision, "status": "running", "statusReason": None,
            "firmware": {"version": "2.4.0", "packageUri": ""}, "labels": {}, **times,
            "createdAt": "2026-11-23T12:00:00Z", "createdBy": {"name": "api"}, "counts": counts,
            "strategy": {"maxInFlight": None}, "startAt": None,
            "waves": [wave | times | {"counts": counts}], "strata": [], "gate": [gate],
            "gateHistory": [], "rollbackOf": None, "rolledBackBy": None,
        }  # fmt: skip


def run() -> Iterator[Figure]:
    """Yield the figures; none without Chromium."""
    if CHROMIUM is None:
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield from _measure_paint([browser.new_page() for _ in range(5)])
        yield from _measure_updates(browser.new_page())
        browser.close()


def _measure_paint(pages: list[Page]) -> Iterator[Figure]:
    seconds = []
    for page in pages:
        page.add_init_script(_NOTE_PAINT)
        page.route("**/api/**", Source().respond)
        page.goto("http://page.example/api/ui?rollout=r", wait_until="commit")
        page.wait_for_function("window.painted > 0")
        seconds.append(page.evaluate(_SINCE_DATA))
        page.close()
    aim = Figure(name="aim", value=300, unit="ms")
    yield Figure(
        name="10,000 devices: first paint after data", value=median(seconds), unit="ms", base=aim
    )


def _measure_updates(page: Page) -> Iterator[Figure]:
    source = Source()
    page.add_init_script(_FASTER)
    page.route("**/api/**", source.respond)
    page.goto("http://page.example/api/ui?rollout=r")
    page.wait_for_selector("canvas[aria-label]")
    session = page.context.new_cdp_session(page)
    # CPU time, because other programs use the machine, too.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    marks = []
    for count in (WARM_UP, WARM_UP + UPDATES // 2, WARM_UP + UPDATES):
        while len(source.sizes) < count:
            page.wait_for_timeout(200)
        marks.append((len(source.sizes), _read(session)))
    (first, before), (_, middle), (last, after) = marks
    spent = (after["TaskDuration"] - before["TaskDuration"]) * 1000 / (last - first)
    yield Figure(
        name="main thread for each update, CPU",
        value=spent,
        unit="ms",
        base=Figure(name="aim", value=16, unit="ms"),
    )
    yield Figure(
        name=f"JS heap after {first} updates", value=before["JSHeapUsedSize"] / 1e6, unit="MB"
    )
    base = Figure(name="half of them before", value=middle["JSHeapUsedSize"] / 1e6, unit="MB")
    yield Figure(
        name=f"JS heap after {last} updates",
        value=after["JSHeapUsedSize"] / 1e6,
        unit="MB",
        base=base,
    )
    base = Figure(name="half of them before", value=middle["Nodes"], unit="")
    yield Figure(name="DOM nodes", value=after["Nodes"], unit="", base=base)
    yield Figure(
        name="data of an update of 100 devices, compressed",
        value=median(source.sizes) / 1000,
        unit="kB",
        base=Figure(name="aim", value=5, unit="kB"),
    )


def _read(session: CDPSession) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    found: Any = session.send("Performance.getMetrics")
    return {item["name"]: item["value"] for item in found["metrics"]}
