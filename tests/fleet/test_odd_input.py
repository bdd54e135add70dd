"""Odd and hostile input of callers ends with one sentence, and changes nothing."""

import json
from pathlib import Path

import httpx
import pytest

from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import VERSION, Cloud

BODY = '{"firmware": {"version": "2.4.0", "packageUri": "https://x.example/fw"}, %s}'
TARGET = '"target": {"deviceIds": ["d-000"]}'
ONE = (*VERSION, "--device", "d-000")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"[]", "must hold a JSON object"),
        (b'{"a": "\xff"}', "is not JSON in UTF-8"),
        (b'{"firmware": NaN}', "is not JSON"),
        (b'{"firmware": 1e999}', "is not JSON"),
        (b'{"firmware": {"version": "\\ud800"}}', "is not JSON"),
        (b'{"labels": {"a": "1", "a": "2"}}', "'a' is given twice"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused(
    cloud: Cloud, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "rollout.json"
    file.write_bytes(content)
    refused = cloud.run("create", "--file", str(file))
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert not cloud.requests


def test_a_file_with_a_byte_order_mark_and_lines_of_windows_is_read(
    cloud: Cloud, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.json"
    file.write_bytes(b"\xef\xbb\xbf" + (BODY % TARGET).replace(", ", ",\r\n").encode())
    assert cloud.run("plan", "--file", str(file)).exit_code == 0


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize(
    "command",
    [
        ("show",),
        ("wait",),
        ("events",),
        ("cancel",),
        ("rollback",),
        ("export",),
        ("why",),
        ("device",),
        ("release",),
        ("firmware", "show"),
        ("webhooks", "remove"),
    ],
)
def test_an_id_that_would_be_another_path_is_never_sent(
    cloud: Cloud, command: tuple[str, ...], name: str
) -> None:
    assert cloud.run(*command, name).exit_code == 2
    assert not cloud.requests


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--status", ""), "--status is empty."),
        (("plan", *ONE, "--min-completed", ""), "--min-completed is empty."),
        (("create", *ONE, "--idempotency-key", ""), "--idempotency-key is empty."),
        (("create", *ONE, "--idempotency-key", "ключ"), "must be printable ASCII"),
        (("create", *ONE, "--idempotency-key", "a\nb"), "must be printable ASCII"),
        (("create", *ONE, "--device", "\udcff"), "--device has bytes that are not UTF-8."),
        (("create", *ONE, "--label", "a=1", "--label", "a=2"), "contradict each other"),
        (("create", *ONE, "--timeout", "5m"), "are of --wait"),
        (("create", *ONE, "--wait-in-pauses"), "are of --wait"),
        (("create", *ONE, "--wait", "--timeout", "a while"), "A duration is"),
        (("list", "--api", "https://fleet.example/\x1b[31mapi"), "not a valid URL"),
        (("list", "--api", "https://fleet example/api"), "not a valid URL"),
    ],
)
def test_an_option_is_never_ignored(cloud: Cloud, arguments: tuple[str, ...], said: str) -> None:
    refused = cloud.run(*arguments)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output
    assert not cloud.requests


@pytest.mark.parametrize("api", ["https://a..b/api", f"https://{'a' * 300}.example/api"])
def test_a_host_that_no_name_can_be_is_wrong_usage(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setattr("fleet.service.make_transport", lambda: None)
    assert cloud.run("list", "--api", api, "--patience", "0s").exit_code == 2


@pytest.mark.parametrize(
    "variables", [{"HTTPS_PROXY": "socks5://127.0.0.1:1"}, {"SSL_CERT_FILE": "/nowhere"}]
)
def test_a_proxy_or_certificate_that_cannot_be_used_is_named(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setattr("fleet.service.make_transport", lambda: None)
    result = cloud.run("list", **variables)
    assert result.exit_code == 2
    assert next(iter(variables)) in result.stderr


HOSTILE = "\x1b[2J\x1b]8;;http://evil\x07a\x9b31m\u202e\nnext [bold]x[/]"


@pytest.mark.parametrize("command", ["why", "events", "devices", "show", "wait", "watch"])
def test_texts_of_devices_cannot_control_the_terminal(cloud: Cloud, command: str) -> None:
    for device in cloud.world.hub.devices.values():
        device.fault = Fault.FAILING
    rollout_id = cloud.create()
    cloud.world.until_over(rollout_id)

    def with_hostile_texts(request: httpx.Request) -> httpx.Response:
        cloud.between = lambda _: None
        found = cloud.handle(request).json()
        cloud.between = with_hostile_texts
        return httpx.Response(200, json=_poison(found))

    cloud.between = with_hostile_texts
    named = "d-000" if command == "why" else rollout_id
    shown = cloud.run(command, named)
    assert not set(shown.stdout) & set("\x1b\x07\x9b\u202e\r")
    assert "next [bold]x[/]" in shown.stdout
    for form in ("--json", "--jsonl"):
        assert json.dumps(HOSTILE)[1:-1] in cloud.run(command, named, form).stdout


def _poison(value: object, name: str = "") -> object:
    """Return a response whose messages are hostile."""
    if isinstance(value, dict):
        return {key: _poison(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_poison(item) for item in value]
    return HOSTILE if name in {"message", "explanation", "skipReason"} and value else value


@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"value": 5}', b'{"value": [null]}', b'{"value": [{}]}', b'{"a":' * 5_000],
)
@pytest.mark.parametrize("command", [("list",), ("show", "r"), ("events", "r"), ("export", "r")])
def test_a_response_of_another_service_ends_with_a_sentence(
    cloud: Cloud, content: bytes, command: tuple[str, ...]
) -> None:
    cloud.between = lambda _: httpx.Response(200, content=content)
    result = cloud.run(*command)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output


@pytest.mark.parametrize(
    "problem",
    [
        {"detail": None, "errors": "x"},
        {"detail": "no", "errors": [1, None, {"pointer": "/a"}]},
        {"detail": "no", "errors": {"a": 1}, "type": 5},
        {
            "detail": "no\x1b[2J",
            "title": "\x1b[31mT",
            "errors": [{"pointer": "\x1b", "detail": "\x07"}],
        },
    ],
)
def test_a_refusal_of_any_shape_ends_with_sentences(cloud: Cloud, problem: object) -> None:
    cloud.between = lambda _: httpx.Response(422, json=problem)
    result = cloud.run("list")
    assert result.exit_code == 2
    assert not set(result.stderr) & set("\x1b\x07")


def test_pages_that_never_end_are_given_up(cloud: Cloud) -> None:
    page = {"value": [], "nextLink": "https://fleet.example/api/rollouts?cursor=same"}
    cloud.between = lambda _: httpx.Response(200, json=page)
    for command in (("list",), ("device", "d-000")):
        result = cloud.run(*command)
        assert (result.exit_code, "the same page again" in result.stderr) == (2, True)
    assert len(cloud.requests) < 10


def test_a_response_that_cannot_be_unpacked_is_a_lost_one(cloud: Cloud) -> None:
    cloud.between = lambda _: httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
    )
    assert cloud.run("list", "--patience", "0s").exit_code == 7
