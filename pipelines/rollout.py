#!/usr/bin/env python3
"""Create a rollout from a pipeline, wait for its end, and fail the build if the rollout fails.

Needs Python 3.10 or newer and nothing else, so that any build agent can run it. The function key
comes from the environment variable FLEET_ROLLOUT_KEY and is never printed.

Exit codes: 0 the rollout completed; 1 it failed or was cancelled; 2 the request was refused, or
the arguments were wrong; 3 it did not end in time, or the service could not be reached.
"""

import argparse
import dataclasses
import email.utils
import hashlib
import http
import http.client
import json
import os
import pathlib
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

COMPLETED, NOT_COMPLETED, REFUSED, NOT_ENDED = range(4)

KEY_VARIABLE = "FLEET_ROLLOUT_KEY"
# The service responds to a waiting GET after at most 60 s; a proxy may need some more.
MAX_WAIT_SECONDS = 60
RESPONSE_SECONDS = 30
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
# For a service that ignores waitSeconds.
MIN_POLL_SECONDS = 1.0
MAX_FAILED_DEVICES_SHOWN = 100

Json = dict[str, Any]


class RefusedError(Exception):
    """The service refuses the request; a repeat gives the same result."""


class NotEndedError(Exception):
    """The rollout did not end in time, or the service cannot be reached."""


class TemporaryError(Exception):
    """The next attempt may succeed; `retry_after` is in seconds, None if the server names none."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: it would send the function key to another server."""

    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        return None


@dataclasses.dataclass(frozen=True)
class Service:
    """The rollout API."""

    api: str  # the URL, without a slash at the end
    key: str | None = dataclasses.field(repr=False)  # the function key; None: not needed
    deadline: float  # on the clock of `time.monotonic`

    def create(self, rollout: Json, idempotency_key: str) -> Json:
        """Create a rollout. Every attempt has the same key, so that only one is created."""
        return self._call("POST", "/rollouts", rollout, {"Idempotency-Key": idempotency_key})

    def wait(self, rollout_id: str) -> Json:
        """Return the rollout when it has ended, or after a minute."""
        path = f"/rollouts/{_quoted(rollout_id)}?waitSeconds={self._wait_seconds()}"
        return self._call("GET", path)

    def failed_devices(self, rollout_id: str) -> Iterator[Json]:
        """Read the failed device updates, page after page."""
        path = f"/rollouts/{_quoted(rollout_id)}/devices"
        query = {"state": "failed"}
        while True:
            page = self._call("GET", f"{path}?{urllib.parse.urlencode(query)}")
            yield from page["value"]
            following = urllib.parse.urlsplit(page.get("nextLink") or "").query
            cursor = urllib.parse.parse_qs(following).get("cursor")
            if not cursor:
                return
            # Only the cursor is used: the key must go only to the address that was given.
            query = {"state": "failed", "cursor": cursor[0]}

    def _wait_seconds(self) -> int:
        return max(0, min(MAX_WAIT_SECONDS, int(self.deadline - time.monotonic())))

    def _call(
        self, method: str, path: str, body: Json | None = None, headers: Json | None = None
    ) -> Json:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._call_once(method, path, body, headers or {})
            except TemporaryError as error:
                seconds = pause * random.uniform(0.5, 1)  # noqa: S311 - jitter needs no secrecy
                if error.retry_after is not None:
                    seconds = error.retry_after
                if time.monotonic() + seconds > self.deadline:
                    raise NotEndedError(str(error)) from error
                log(f"{error}; next attempt in {seconds:.0f} s")
            time.sleep(seconds)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _call_once(self, method: str, path: str, body: Json | None, headers: Json) -> Json:
        request = urllib.request.Request(  # noqa: S310 - the URL's scheme was checked
            self.api + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json"} | headers,
        )
        if self.key:
            request.add_unredirected_header("x-functions-key", self.key)
        try:
            timeout = self._wait_seconds() + RESPONSE_SECONDS
            with urllib.request.build_opener(NoRedirects).open(
                request, timeout=timeout
            ) as response:
                content: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise _to_error(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise TemporaryError(f"{self.api} cannot be reached: {error}") from error
        except ValueError as error:
            raise TemporaryError(f"the response of {self.api} is not JSON") from error
        return content


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    options = parse(arguments)
    deadline = time.monotonic() + options.timeout_seconds
    service = Service(options.api, os.environ.get(KEY_VARIABLE), deadline)
    try:
        return roll_out(service, options.rollout, options.idempotency_key)
    except RefusedError as error:
        log(f"refused: {error}")
        return REFUSED
    except NotEndedError as error:
        log(f"not ended in time: {error}")
        return NOT_ENDED


def roll_out(service: Service, wanted: Json, idempotency_key: str) -> int:
    """Create the rollout and follow it to its end; return the exit code."""
    rollout = service.create(wanted, idempotency_key)
    log(f"rollout {rollout['id']}: firmware {rollout['firmware']['version']}")
    rollout = follow(service, rollout)
    if rollout["status"] == "completed":
        return COMPLETED
    log_failed(service.failed_devices(rollout["id"]))
    return NOT_COMPLETED


def follow(service: Service, rollout: Json) -> Json:
    """Log the progress until the rollout has ended; return it. Raises NotEndedError."""
    logged = None
    while True:
        if logged != (logged := summarize(rollout)):
            log(logged)
        if rollout["endedAt"] is not None:
            return rollout
        if time.monotonic() >= service.deadline:
            raise NotEndedError(f"rollout {rollout['id']} continues without this pipeline")
        began = time.monotonic()
        rollout = service.wait(rollout["id"])
        if rollout["endedAt"] is None:
            time.sleep(max(0, began + MIN_POLL_SECONDS - time.monotonic()))


def summarize(rollout: Json) -> str:
    """Return status, counts and reason in one line."""
    counts = rollout["counts"]
    states = ("completed", "failed", "updating", "queued", "cancelled", "skipped")
    numbers = ", ".join(f"{counts[state]} {state}" for state in states if counts.get(state))
    reason = (rollout.get("statusReason") or {}).get("message")
    total = counts["total"]
    devices = "device" if total == 1 else "devices"
    line = f"{rollout['status']}: {numbers or 'nothing yet'} of {total} {devices}"
    return f"{line} ({reason})" if reason else line


def log_failed(failed: Iterator[Json]) -> None:
    """Log a line for each failed device, up to a limit."""
    for number, update in enumerate(failed):
        if number == MAX_FAILED_DEVICES_SHOWN:
            log("  and more")
            return
        error = update.get("error") or {}
        log(f"  {update['deviceId']} {error.get('code')}: {error.get('message')}")


def log(line: str) -> None:
    """Print a line with the time, without buffering."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of the command line."""

    api: str
    rollout: Json
    idempotency_key: str
    timeout_seconds: float


def parse(arguments: list[str] | None) -> Options:
    """Parse the command line; exit with 2 if it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    api = given.api.rstrip("/")
    try:
        _check_api(api)
        rollout = json.loads(given.file.read_text()) if given.file else _from_flags(given)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return Options(api, rollout, given.idempotency_key, given.timeout_seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rollout.py",
        description=(__doc__ or "").partition("\n\n")[0],
        epilog=(__doc__ or "").rpartition("\n\n")[2],
    )
    add = parser.add_argument
    add("--api", required=True, help="https://<app>.azurewebsites.net/api")
    add("--file", type=pathlib.Path, help="the body of POST /rollouts, JSON; or the flags below")
    add("--version", help="firmware version")
    add("--package-uri", help="where devices download the package")
    add("--package", type=pathlib.Path, help="the package itself, for its SHA-256 and size")
    add("--device", action="append", default=[], help="a device id; repeat for more")
    add("--condition", help="instead of devices: the WHERE part of an IoT Hub query")
    add("--label", action="append", default=[], metavar="NAME=VALUE", help="repeat for more")
    add(
        "--idempotency-key",
        default=str(uuid.uuid4()),
        help="the same for every run of one build, such as its id: starts one rollout only; "
        "default: a new one for each run",
    )
    add(
        "--timeout-seconds",
        type=float,
        default=3600.0,
        help="how long to wait for the rollout's end; default: 3600",
    )
    return parser


def _check_api(api: str) -> None:
    parts = urllib.parse.urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"--api must be an http(s) URL, not {api}")
    is_local = parts.hostname == "localhost" or parts.hostname.startswith("127.")
    if parts.scheme == "http" and not is_local:
        raise ValueError("--api must be https: http would send the function key unencrypted")


def _from_flags(given: argparse.Namespace) -> Json:
    if not given.version or not given.package_uri:
        raise ValueError("set --file, or --version and --package-uri")
    if bool(given.device) == bool(given.condition):
        raise ValueError("set either --device or --condition")
    firmware: Json = {"version": given.version, "packageUri": given.package_uri}
    if given.package:
        content = given.package.read_bytes()
        firmware["sha256"] = hashlib.sha256(content).hexdigest()
        firmware["sizeBytes"] = len(content)
    target = {"deviceIds": given.device} if given.device else {"condition": given.condition}
    labels = dict(_label(text) for text in given.label)
    return {"firmware": firmware, "target": target} | ({"labels": labels} if labels else {})


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--label must be NAME=VALUE, not {text}")
    return name, value


def _to_error(error: urllib.error.HTTPError) -> Exception:
    """Convert an unsuccessful response: to a TemporaryError or a RefusedError."""
    with error:
        try:
            text = error.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            text = ""
    is_temporary = error.code in (408, 429) or error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    message = f"{error.code} {error.reason}".strip() + _details(text)
    if is_temporary:
        return TemporaryError(message, _retry_after(error.headers.get("Retry-After")))
    if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        message += f"\n  the function key in {KEY_VARIABLE} is missing or wrong"
    return RefusedError(message)


def _details(text: str) -> str:
    """Return problem details (RFC 9457) as indented lines, or nothing for any other body."""
    try:
        problem = json.loads(text)
        lines = [str(problem[name]) for name in ("title", "detail") if name in problem]
        lines += [f"{item['pointer']}: {item['detail']}" for item in problem.get("errors", [])]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return "".join(f"\n  {line}" for line in lines)


def _retry_after(value: str | None) -> float | None:
    """Parse Retry-After (RFC 9110, section 10.2.3); return seconds, or None if it is missing."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


if __name__ == "__main__":
    sys.exit(main())
