"""The plan as a comment of the pull request: one comment, changed by each build."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import httpx

MARK = "<!-- fleet plan -->"
# GitHub takes 65,536 characters; Azure DevOps takes more.
MAX_COMMENT_BYTES = 60_000
_SECONDS = 20.0
_PAGE, _MAX_PAGES = 100, 10


class CommentError(Exception):
    """The comment could not be written; the text is for people."""


def comment(markdown: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Write the comment; return False if this build is of no pull request. Raises CommentError."""
    import httpx

    from fleet.pipeline.platforms import fit

    text = f"{MARK}\n{fit(markdown, MAX_COMMENT_BYTES)}"
    write = _github if environment.get("GITHUB_ACTIONS") == "true" else _azure
    try:
        return write(text, environment)
    except httpx.HTTPStatusError as error:
        raise CommentError(
            f"{error.request.url.host} responds {error.response.status_code}; the token must be"
            " one that may write comments."
        ) from None
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        raise CommentError(type(error).__name__) from None


def _client(token: str) -> "httpx.Client":
    import httpx

    from fleet.service import make_transport

    if not token:
        raise CommentError("no token is given.")
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(headers=headers, timeout=_SECONDS, transport=make_transport())


def _send(client: "httpx.Client", method: str, url: str, body: Any = None) -> Any:
    return client.request(method, url, json=body).raise_for_status().json()


def _github(text: str, environment: Mapping[str, str]) -> bool:
    event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = event.get("pull_request", {}).get("number")
    if not isinstance(number, int):
        return False
    issues = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}/issues"
    with _client(environment.get("FLEET_INPUT_GITHUB_TOKEN", "")) as client:
        for page in range(1, _MAX_PAGES + 1):
            url = f"{issues}/{number}/comments?per_page={_PAGE}&page={page}"
            found = _send(client, "GET", url)
            # A person may write the mark as well; that comment stays theirs.
            own = (
                item
                for item in found
                if item["user"]["type"] == "Bot" and item["body"].startswith(MARK)
            )
            for item in own:
                _send(client, "PATCH", f"{issues}/comments/{item['id']}", {"body": text})
                return True
            if len(found) < _PAGE:
                break
        _send(client, "POST", f"{issues}/{number}/comments", {"body": text})
    return True


def _azure(text: str, environment: Mapping[str, str]) -> bool:
    number = environment.get("SYSTEM_PULLREQUEST_PULLREQUESTID")
    if not number:
        return False
    project = quote(environment["SYSTEM_TEAMPROJECT"], safe="")
    repository = quote(environment["BUILD_REPOSITORY_ID"], safe="")
    threads = (
        f"{environment['SYSTEM_COLLECTIONURI']}{project}/_apis/git/repositories/{repository}"
        f"/pullRequests/{quote(number, safe='')}/threads"
    )
    version = "api-version=7.1"
    with _client(environment.get("SYSTEM_ACCESSTOKEN", "")) as client:
        for thread in _send(client, "GET", f"{threads}?{version}")["value"]:
            first = (thread.get("comments") or [{}])[0]
            if (first.get("content") or "").startswith(MARK):
                url = f"{threads}/{thread['id']}/comments/{first['id']}?{version}"
                _send(client, "PATCH", url, {"content": text})
                return True
        body = {"comments": [{"content": text, "commentType": "text"}], "status": "closed"}
        _send(client, "POST", f"{threads}?{version}", body)
    return True
