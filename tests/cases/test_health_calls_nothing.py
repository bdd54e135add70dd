"""Check that an anonymous health request calls neither hub nor storage.

`GET /health` is open to everyone. If each request began a check of its own, any stranger could turn
n requests into n hub and n storage calls.
"""

import asyncio
import time

import azure.functions as func
import pytest

from functions import wiring
from functions.triggers import http_health
from tests.cases.steps import require
from tests.functions.triggers.routing import CONTEXT


class _Slow:
    def __init__(self) -> None:
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        time.sleep(0.05)


def test_health_requests_make_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow()
    monkeypatch.setattr(wiring, "hub", lambda: slow)
    monkeypatch.setattr(wiring, "stores", lambda: slow)
    monkeypatch.setattr(http_health, "_last", http_health._LastCheck())  # noqa: SLF001
    request = func.HttpRequest("GET", "/api/health", body=b"")
    handler = http_health.get_health

    async def flood() -> list[func.HttpResponse]:
        return list(await asyncio.gather(*(handler(request, CONTEXT) for _ in range(50))))

    responses = asyncio.run(flood())
    require({item.status_code for item in responses} == {200}, "all requests get a response")
    assert slow.pings == 0, f"50 requests made {slow.pings} calls to hub and storage"
