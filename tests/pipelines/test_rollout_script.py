"""Check the pipelines' script against a stub service."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines import rollout as script
from tests.pipelines.stub_service import Response, StubService, serving

KEY = "function-key-never-to-be-printed"
BODY = {
    "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
    "target": {"deviceIds": ["d1"]},
}
FLAGS = ("--version", "2.4.0", "--package-uri", "https://packages.example/fw.bin", "--device", "d1")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(script.KEY_VARIABLE, KEY)
    monkeypatch.setattr(script, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(script, "MIN_POLL_SECONDS", 0.01)


def make_rollout(status: str = "running", **counts: int) -> dict[str, Any]:
    ended = status in ("completed", "failed", "cancelled")
    return {
        "id": "r1",
        "status": status,
        "statusReason": None,
        "firmware": BODY["firmware"],
        "endedAt": "2026-12-01T12:00:00Z" if ended else None,
        "counts": {"total": 1} | counts,
    }


CREATED = Response(201, make_rollout(queued=1))
COMPLETED = Response(200, make_rollout("completed", completed=1))


def run(service: StubService, *arguments: str) -> int:
    return script.main(["--api", service.url, *(arguments or FLAGS)])


def test_a_completed_rollout_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(CREATED, Response(200, make_rollout(updating=1)), COMPLETED) as service:
        assert run(service) == 0

    post, *gets = service.calls
    assert (post.method, post.path, post.body) == ("POST", "/api/rollouts", BODY)
    assert [call.path for call in gets] == ["/api/rollouts/r1?waitSeconds=60"] * 2
    assert all(call.headers["x-functions-key"] == KEY for call in service.calls)
    logged = capsys.readouterr().out
    assert "running: 1 updating of 1 device" in logged
    assert logged.splitlines()[-1].endswith("completed: 1 completed of 1 device")
    assert KEY not in logged


def test_an_unchanged_state_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(CREATED, *[Response(200, make_rollout(updating=1))] * 5, COMPLETED) as service:
        run(service)

    assert capsys.readouterr().out.count("1 updating") == 1


def test_a_failed_rollout_fails_the_build_and_lists_its_devices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def page(device_id: str, next_link: str | None) -> Response:
        error = {"code": "timedOut", "message": "no end within PT1H"}
        update = {"deviceId": device_id, "state": "failed", "error": error}
        return Response(200, {"value": [update]} | ({"nextLink": next_link} if next_link else {}))

    failed = Response(200, make_rollout("failed", failed=2))
    elsewhere = "https://elsewhere.example/api/rollouts/r1/devices?state=failed&cursor=a%2Fb"
    with serving(CREATED, failed, page("d1", elsewhere), page("d2", None)) as service:
        assert run(service) == 1

    logged = capsys.readouterr().out
    assert "d1 timedOut: no end within PT1H" in logged
    assert "d2 timedOut" in logged
    assert service.calls[-1].path == "/api/rollouts/r1/devices?state=failed&cursor=a%2Fb"


def test_a_cancelled_rollout_fails_the_build() -> None:
    cancelled = Response(200, make_rollout("cancelled", cancelled=1))
    with serving(CREATED, cancelled, Response(200, {"value": []})) as service:
        assert run(service) == 1


def test_a_refusal_is_explained_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {
        "title": "The request is invalid",
        "status": 422,
        "detail": "1 device is unknown.",
        "errors": [{"pointer": "/target/deviceIds/0", "detail": "The hub does not know d1."}],
    }
    with serving(Response(422, problem, {"Content-Type": "application/problem+json"})) as service:
        assert run(service) == 2

    assert len(service.calls) == 1
    logged = capsys.readouterr().out
    assert "1 device is unknown." in logged
    assert "/target/deviceIds/0: The hub does not know d1." in logged


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_reported_without_the_key(
    capsys: pytest.CaptureFixture[str], status: int
) -> None:
    with serving(Response(status, b"")) as service:
        assert run(service) == 2

    logged = capsys.readouterr().out
    assert script.KEY_VARIABLE in logged
    assert KEY not in logged


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with (
        serving(CREATED) as elsewhere,
        serving(Response(307, b"", {"Location": f"{elsewhere.url}/rollouts"})) as service,
    ):
        assert run(service) == 2

    assert elsewhere.calls == []


@pytest.mark.parametrize(
    "temporary",
    [
        Response(500, b""),
        Response(502, b"<html>"),
        Response(503, {"detail": "hub"}, {"Retry-After": "0"}),
        Response(429, b""),
        Response(200, b"<html>"),
        Response(drop=True),
    ],
    ids=lambda response: f"{response.status}{'-dropped' if response.drop else ''}",
)
def test_a_temporary_error_is_retried_with_the_same_idempotency_key(temporary: Response) -> None:
    with serving(temporary, temporary, CREATED, temporary, COMPLETED) as service:
        assert run(service) == 0

    keys = [call.headers["idempotency-key"] for call in service.calls if call.method == "POST"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_the_idempotency_key_of_the_build_is_sent() -> None:
    with serving(CREATED, COMPLETED) as service:
        run(service, *FLAGS, "--idempotency-key", "build-1234")

    assert service.calls[0].headers["idempotency-key"] == "build-1234"


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(as_date: bool) -> None:
    # A date has whole seconds only: two of them leave at least one.
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    busy = Response(503, b"", {"Retry-After": at if as_date else "1"})
    with serving(busy, CREATED, COMPLETED) as service:
        began = time.monotonic()
        assert run(service) == 0

    assert time.monotonic() - began > 0.9


def test_a_retry_after_beyond_the_timeout_ends_at_once() -> None:
    with serving(Response(503, b"", {"Retry-After": "3600"})) as service:
        began = time.monotonic()
        assert run(service, *FLAGS, "--timeout-seconds", "5") == 3

    assert time.monotonic() - began < 4


def test_a_rollout_that_does_not_end_in_time_continues(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(CREATED, Response(200, make_rollout(updating=1))) as service:
        assert run(service, *FLAGS, "--timeout-seconds", "2") == 3

    assert "r1 continues without this pipeline" in capsys.readouterr().out
    assert service.calls[-1].path.endswith("waitSeconds=0")


def test_an_unreachable_service_is_retried_until_the_timeout() -> None:
    with serving(CREATED) as service:
        pass

    assert run(service, *FLAGS, "--timeout-seconds", "0.3") == 3


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "rollout.json"
    file.write_text(json.dumps(BODY | {"strategy": {"timeout": "PT5M"}}))
    with serving(CREATED, COMPLETED) as service:
        assert run(service, "--file", str(file)) == 0

    assert service.calls[0].body == BODY | {"strategy": {"timeout": "PT5M"}}


def test_flags_make_the_body(tmp_path: Path) -> None:
    package = tmp_path / "fw.bin"
    package.write_bytes(b"abc")
    more = ("--device", "d2", "--label", "build=7=8", "--package", str(package))
    with serving(CREATED, COMPLETED) as service:
        assert run(service, *FLAGS, *more) == 0

    body = service.calls[0].body
    assert body["target"] == {"deviceIds": ["d1", "d2"]}
    assert body["labels"] == {"build": "7=8"}
    assert body["firmware"]["sizeBytes"] == 3
    assert body["firmware"]["sha256"].startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--api", "http://localhost/api"],
        ["--api", "ftp://localhost/api", *FLAGS],
        ["--api", "http://fleet.example/api", *FLAGS],
        ["--api", "http://localhost/api", *FLAGS, "--condition", "tags.site = 'berlin'"],
        ["--api", "http://localhost/api", *FLAGS, "--label", "nothing"],
        ["--api", "http://localhost/api", "--file", "/does/not/exist"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        script.main(arguments)

    assert raised.value.code == 2
