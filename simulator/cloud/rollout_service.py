"""A client of the rollout API."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

from simulator.cloud.errors import RolloutServiceError

type Json = dict[str, Any]

_TIMEOUT_SECONDS = 90.0
_PAGE_SIZE = 100


class RolloutService:
    """The rollout API. Every call raises RolloutServiceError."""

    def __init__(self, api_url: str) -> None:
        """Take the URL of the API, without a slash at its end."""
        self._api_url = api_url

    def create(self, rollout: Json) -> Json:
        """POST a rollout; return it, for a few devices with their method responses."""
        return self._call("POST", f"{self._api_url}/rollouts", rollout)

    def rollout(self, rollout_id: str) -> Json:
        """Return the rollout."""
        return self._call("GET", f"{self._api_url}/rollouts/{rollout_id}")

    def device_updates(self, rollout_id: str) -> Iterator[Json]:
        """Yield every device update, page after page."""
        url = f"{self._api_url}/rollouts/{rollout_id}/devices?limit={_PAGE_SIZE}"
        while url:
            page = self._call("GET", url)
            yield from page["value"]
            url = urljoin(url, page["nextLink"]) if page.get("nextLink") else ""

    def _call(self, method: str, url: str, body: Json | None = None) -> Json:
        request = Request(  # noqa: S310 - the local cloud's own URL
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                content: Json = json.load(response)
        except HTTPError as error:
            with error:
                problem = error.read().decode(errors="replace")
            raise RolloutServiceError(f"{method} {url}: {error.code} {problem}") from error
        except (URLError, OSError) as error:
            raise RolloutServiceError(f"{method} {url}: {error}") from error
        return content
