"""Test that a device waits as long as its server requests."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from device_agent.download_limits import Attempts, DownloadLimits
from device_agent.errors import RefusedError, UnavailableError, UpdateFailedError
from device_agent.http_transport import HttpTransport
from device_agent.package_addresses import AddressRules
from tests.device_agent.conftest import RealClock
from tests.device_agent.scripted_server import ScriptedServer, respond_with

SERVERS_DATE = "Date: Sun, 06 Nov 1994 08:49:37 GMT"


class _ClockOf1970(RealClock):
    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC)


RETRY_AFTER: dict[str, tuple[tuple[str, ...], float]] = {
    "seconds": (("Retry-After: 120",), 120),
    "a date": (("Retry-After: Sun, 06 Nov 1994 08:50:07 GMT", SERVERS_DATE), 30),
    "a past date": (("Retry-After: Sun, 06 Nov 1994 08:49:07 GMT", SERVERS_DATE), -30),
    "a date without the server's": (("Retry-After: Sun, 06 Nov 1994 08:50:07 GMT",), 0),
    "nothing": ((), 0),
    "words": (("Retry-After: soon",), 0),
    "negative": (("Retry-After: -5",), 0),
    "a huge number": (("Retry-After: " + "9" * 5000,), 0),
}


@pytest.mark.parametrize("status", ["503 Busy", "429 Too Many Requests"])
@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after_is_read_without_the_devices_clock(
    server: ScriptedServer, url: str, status: str, headers: tuple[str, ...], seconds: float
) -> None:
    server.script(respond_with(status, *headers))
    with (
        pytest.raises(UnavailableError) as failed,
        HttpTransport(_ClockOf1970(), AddressRules()).get(url, 0, None, 5),
    ):
        pass
    assert failed.value.retry_after_seconds == seconds


def pauses(error: UnavailableError, limits: DownloadLimits) -> list[float]:
    """Return the pauses until the attempts are used up."""
    attempts, found = Attempts(limits), list[float]()
    with suppress(UpdateFailedError):
        while True:
            found.append(attempts.choose_pause(error, has_progress=False, downloads=0))
    return found


def test_a_pause_is_at_least_what_the_server_requests_within_a_limit() -> None:
    limits = DownloadLimits()
    for seconds, expected in ((5, 5), (120, 120), (7200, 600)):
        found = pauses(UnavailableError("busy", retry_after_seconds=seconds), limits)
        assert len(found) == limits.max_attempts - 1
        assert min(found) == expected or expected < limits.max_pause_seconds
        assert max(found) <= max(expected, limits.max_pause_seconds)
    assert max(pauses(UnavailableError("busy"), limits)) <= limits.max_pause_seconds


def test_the_third_refusal_in_a_row_ends_the_download() -> None:
    assert len(pauses(RefusedError("no", "downloadRefused"), DownloadLimits())) == 2
