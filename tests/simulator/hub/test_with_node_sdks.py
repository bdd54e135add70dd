"""The hub as Microsoft's Node SDKs see it: one scenario in Node, judged here.

Node's service SDK takes no port in its connection string, so the hub listens on 443, at an address
of its own.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address, is_free
from simulator.paths import find_node

SDKS = Path(__file__).parents[3] / ".local" / "node-sdks" / "node_modules"
SCENARIO = Path(__file__).parent / "node" / "scenario.js"
HTTPS_PORT = 443


def missing() -> str | None:
    """Return what the scenario cannot run without, or None."""
    if find_node() is None:
        return "Node is not installed"
    if not SDKS.is_dir():
        return f"the Node SDKs are not in {SDKS}: `make test` installs them"
    if not is_free(free_address(), HTTPS_PORT):
        return "port 443, which Node's service SDK insists on, cannot be bound: not root?"
    return None


@pytest.fixture(scope="module")
def seen(certificates: Path) -> dict[str, Any]:
    """Return the results of the SDKs, by topic."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    options = HubOptions(
        certificates=certificates,
        address=free_address(),
        https_port=HTTPS_PORT,
        configuration_seconds=0.1,
    )
    with LocalHub(options) as hub:
        service = hub.connection_string.replace(f":{HTTPS_PORT};", ";")
        done = subprocess.run(
            [find_node() or "node", str(SCENARIO), service],
            env=os.environ | {"NODE_EXTRA_CA_CERTS": str(hub.ca_file), "NODE_PATH": str(SDKS)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    responses: dict[str, Any] = json.loads(done.stdout)
    return responses


def refused(status: int, name: str = "Error") -> dict[str, Any]:
    """`name` is the SDK's own class; plain Error where it has none for the code."""
    return {"name": name, "status": status}


def test_identities(seen: dict[str, Any]) -> None:
    identities = seen["identities"]
    assert identities["updated"] == ["first", "disabled", "lost"]
    assert identities["bulk"] is True
    assert identities["listed"] == ["device", "first", "renewing", "second"]
    assert identities["again"] == refused(409, "DeviceAlreadyExistsError")
    assert identities["unknown"] == refused(404, "DeviceNotFoundError")
    assert identities["statistics"]["disabledDeviceCount"] == 1


def test_modules(seen: dict[str, Any]) -> None:
    assert seen["modules"] == {
        "listed": ["camera"],
        "reported": 5,
        "response": {"status": 200, "payload": {"got": {"a": 1}}},
        "queried": [["with-module", "camera"]],
    }


def test_twin_changes_reach_the_other_side(seen: dict[str, Any]) -> None:
    twins = seen["twins"]
    assert twins["delta"] == {"b": 1}
    assert twins["tags"] == {"site": "berlin"}
    assert twins["reported"] == [[1, 2], "x"]
    assert twins["versions"] == [2, 2]
    assert twins["stale"] == refused(412, "InvalidEtagError")
    assert twins["refused"] != "not refused"


def test_methods_that_respond_time_out_or_find_no_device(seen: dict[str, Any]) -> None:
    assert seen["methods"] == {
        "response": {"status": 200, "payload": {"got": {"a": 1}}},
        "nothing": {"status": 200, "payload": {"got": None}},
        "silent": refused(504, "GatewayTimeoutError"),
        "offline": refused(404),
        "unknown": refused(404),
    }


def test_a_device_that_reconnects_is_callable(seen: dict[str, Any]) -> None:
    assert seen["reconnect"] == {
        "offline": refused(404),
        "response": {"status": 200, "payload": {"got": "again"}},
    }


def test_queries_with_paging(seen: dict[str, Any]) -> None:
    queries = seen["queries"]
    assert queries["sizes"] == [2, 2, 1]
    assert sorted(queries["ids"]) == ["device", "first", "renewing", "second", "with-module"]
    assert queries["count"] == [{"total": 5}]
    assert queries["wrong"] == refused(400, "ArgumentError")


def test_jobs(seen: dict[str, Any]) -> None:
    assert seen["jobs"] == {
        "created": ["twin-job", "queued"],
        "tags": {"job": 1},
        "later": ["scheduled", "cancelled"],
        "listed": ["twin-job"],
        "outcome": {"deviceMethodResponse": {"status": 200, "payload": {"got": {"a": 1}}}},
        "unknown": refused(404),
    }


def test_configurations(seen: dict[str, Any]) -> None:
    assert seen["configurations"] == {
        "listed": [["node-configuration", 4]],
        "unknown": refused(404),
    }


def test_a_token_is_renewed_without_a_disconnect(seen: dict[str, Any]) -> None:
    assert seen["renewal"] == {
        "response": {"status": 200, "payload": {"got": "later"}},
        "disconnects": 0,
    }
