"""Deploy a package, and put the earlier one back if the app does not stay healthy.

`python -m infra.deploy NEW.zip --earlier EARLIER.zip --resource-group G --app A --url URL` deploys
with the Azure CLI, which must be signed in. FLEET_KEY holds a function key for
`/health/ready`. Exit status: 0, the new package is healthy; 3, the earlier one is back and healthy;
anything else, the app is unhealthy or was not deployed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

MAX_SHOWN_CHARACTERS = 500
CALL_SECONDS = 30
UPLOAD_SECONDS = 900
KEY_VARIABLE = "FLEET_KEY"


class Outcome(IntEnum):
    """How a deployment ended; the exit status."""

    DEPLOYED = 0
    UNHEALTHY = 1
    PUT_BACK = 3  # Python and argparse exit with 1 and 2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the app is given to become healthy, and must stay so."""

    checks: int = 6  # healthy checks in a row
    interval_seconds: float = 10
    within_seconds: float = 600  # from the deployment to the last of these checks


DEFAULT_PATIENCE = Patience()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Make an error of a redirect: it would send the key to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class App:
    """The deployed app."""

    url: str  # with /api
    key: str  # a function key
    upload: Callable[[Path], bool]  # returns whether Azure took the package
    patience: Patience = DEFAULT_PATIENCE

    def find_problem(self) -> str | None:
        """Return why the app is unhealthy; None if it is healthy."""
        return self._find_problem("health") or self._find_problem("health/ready")

    def _find_problem(self, route: str) -> str | None:
        headers = {"x-functions-key": self.key}
        request = urllib.request.Request(f"{self.url}/{route}", headers=headers)  # noqa: S310 - http in tests
        try:
            with _OPENER.open(request, timeout=CALL_SECONDS) as response:
                found = json.loads(response.read())
        except HTTPError as error:
            return f"/{route} responds {error.code}. {_detail(error)}".strip()
        except (OSError, HTTPException) as error:
            return f"/{route} does not respond: {error}"
        except ValueError:
            found = None
        if not isinstance(found, dict) or "parts" not in found:
            return f"/{route} does not respond as the app does; is a sign-in page before it?"
        return None

    def stays_healthy(self) -> bool:
        """Wait until enough checks in a row were healthy; return False if time runs out."""
        until = time.monotonic() + self.patience.within_seconds
        healthy, shown = 0, ""
        while True:
            problem = self.find_problem()
            healthy = 0 if problem else healthy + 1
            if healthy == self.patience.checks:
                return True
            state = problem or "The app is healthy; checking whether it stays so."
            if state != shown:
                _say(state)
                shown = state
            if time.monotonic() >= until:
                return False
            time.sleep(self.patience.interval_seconds)


def deploy(app: App, new: Path, earlier: Path | None) -> Outcome:
    """Deploy `new`; if the app does not stay healthy with it, deploy `earlier` again."""
    before = app.find_problem()
    _say(f"Deploying {new}.")
    if app.upload(new) and app.stays_healthy():
        _say("Deployed: the new package is healthy.")
        return Outcome.DEPLOYED
    if before:
        _say(f"The app was unhealthy before this deployment, too: {before}")
    if earlier is None:
        _say("No earlier package is kept, so nothing was put back. See docs/runbook.md.")
        return Outcome.UNHEALTHY
    _say(f"The new package is not healthy: putting {earlier} back.")
    if app.upload(earlier) and app.stays_healthy():
        _say("The earlier package is back and healthy.")
        return Outcome.PUT_BACK
    _say("The app is unhealthy with the earlier package, too. See docs/runbook.md.")
    return Outcome.UNHEALTHY


def upload_with_cli(resource_group: str, app: str) -> Callable[[Path], bool]:
    """Return a function that deploys a package with the Azure CLI."""
    command = ("az", "functionapp", "deployment", "source", "config-zip", "--build-remote", "false")
    where = ("--resource-group", resource_group, "--name", app)

    def upload(package: Path) -> bool:
        arguments = [*command, *where, "--src", str(package)]
        try:
            subprocess.run(arguments, check=True, timeout=UPLOAD_SECONDS)  # noqa: S603
        except subprocess.TimeoutExpired:
            # After the upload it waits, without an end, until the Functions host responds.
            _say(f"az did not end within {UPLOAD_SECONDS} s. The package may be deployed.")
            return False
        except (OSError, subprocess.SubprocessError) as error:
            _say(f"The package was not deployed: {error}")
            return False
        return True

    return upload


def main(arguments: Sequence[str]) -> Outcome:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not os.environ.get(KEY_VARIABLE):
        parser.error(f"{KEY_VARIABLE} must hold a function key")
    if not options.new.exists():
        parser.error(f"{options.new} does not exist")
    if not _has_host(options.url):
        parser.error(f"--url must be the URL of the API, with a host, not {options.url!r}")
    app = App(
        url=options.url.rstrip("/"),
        key=os.environ[KEY_VARIABLE],
        upload=upload_with_cli(options.resource_group, options.app),
        patience=Patience(options.checks, options.interval_seconds, options.within_seconds),
    )
    earlier = options.earlier if options.earlier and options.earlier.exists() else None
    return deploy(app, options.new, earlier)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy")
    parser.add_argument("new", type=Path, help="the package to deploy")
    parser.add_argument("--earlier", type=Path, help="the package to put back; may be missing")
    parser.add_argument("--resource-group", required=True)
    parser.add_argument("--app", required=True, help="name of the Function App")
    parser.add_argument("--url", required=True, help="URL of the API, with /api")
    parser.add_argument("--checks", type=int, default=DEFAULT_PATIENCE.checks)
    parser.add_argument("--interval-seconds", type=float, default=DEFAULT_PATIENCE.interval_seconds)
    parser.add_argument("--within-seconds", type=float, default=DEFAULT_PATIENCE.within_seconds)
    return parser


def _has_host(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _detail(error: HTTPError) -> str:
    """Return the detail of a problem document; "" for another body."""
    try:
        return str(json.loads(error.read())["detail"])[:MAX_SHOWN_CHARACTERS]
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return ""


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
