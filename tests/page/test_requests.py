"""Requests of the page: errors that end a view and those that do not, and links of lists."""

from typing import Any

import pytest

from tests.page.modules import Modules

# Gives each request the next response; notes the URLs that are requested.
RESPOND = """
const [responses, path] = given, urls = [];
globalThis.fetch = async (url) => {
  urls.push(String(url).replace(/^.*\\/(?=rollouts)/, ""));
  const { status, body, headers, type } = responses.shift();
  if (type) return { type };
  return new Response(body, { status, headers });
};
"""
READ = f"""{RESPOND}
const explain = (error) => ({{ ...error, message: error.message }});
return await module.get(path).then((value) => ({{ value }}), explain);
"""
PROBLEM = '{"title": "Not found", "detail": "Rollout r does not exist."}'


def response(status: int, body: str = "", **more: Any) -> dict[str, Any]:
    return {"status": status, "body": body, "headers": {}} | more


@pytest.mark.parametrize(
    ("sent", "is_from_app", "message"),
    [
        (response(404, PROBLEM), True, "Rollout r does not exist."),
        (response(404), False, "The service responded with status 404."),
        (response(503, "<html>starting</html>"), False, "The service responded with status 503."),
        (response(503, '{"status": "unhealthy"}'), True, "The service responded with status 503."),
        (response(401), False, "The key is missing or wrong."),
        (response(200, '{"value": ['), False, "The response was cut off."),
        (response(200, "<html>sign in</html>"), False, "The response was cut off."),
        (response(0, type="opaqueredirect"), False, "You are signed out: load this page again"),
    ],
)
def test_an_error_of_the_app_is_told_from_one_of_the_host(
    call: Modules, sent: dict[str, Any], is_from_app: bool, message: str
) -> None:
    found = call.run("api.js", READ, [sent], "rollouts/r")
    assert found["isFromApp"] is is_from_app
    assert found["message"].startswith(message)


def test_the_time_to_wait_is_that_of_the_response(call: Modules) -> None:
    busy = response(429, headers={"Retry-After": "7"})
    assert call.run("api.js", READ, [busy], "rollouts")["retryAfter"] == 7


@pytest.mark.parametrize("path", ["devices/../rollouts", "devices/.", "rollouts/r/devices/..?a=b"])
def test_a_path_that_browsers_would_shorten_is_not_requested(call: Modules, path: str) -> None:
    found = call.run("api.js", READ, [], path)
    assert (found["status"], found["isFromApp"]) == (422, True)


def test_the_time_is_that_of_the_service(call: Modules) -> None:
    script = f"{RESPOND} await module.get(path); return module.serverNow();"
    then = response(200, "{}", headers={"Date": "Mon, 23 Nov 2020 12:00:00 GMT"})
    now = call.run("api.js", script, [then], "rollouts")
    assert 0 <= now - 1_606_132_800_000 < 10_000


def test_a_growing_list_is_read_on_from_its_last_page(call: Modules) -> None:
    """Follow links that name another origin on the page's own."""
    script = f"""{RESPOND}
    const list = new module.GrowingList(path);
    return [await list.read(), await list.read(), urls];
    """
    link = "https://apis.example/fleet/rollouts/r/events?limit=2&cursor=b"
    pages = [
        response(200, f'{{"value": [1, 2], "nextLink": "{link}"}}'),
        response(200, '{"value": [3]}'),
        response(200, '{"value": [3, 4]}'),
    ]
    first, second, urls = call.run("api.js", script, pages, "rollouts/r/events?limit=2")
    assert (first, second) == ([1, 2, 3], [1, 2, 3, 4])
    last = "rollouts/r/events?limit=2&cursor=b"
    assert urls == ["rollouts/r/events?limit=2", last, last]
