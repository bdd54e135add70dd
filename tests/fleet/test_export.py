"""Export a rollout with `fleet export`, and read it back with the script of docs/api.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from functions.triggers import http_export
from simulator.paths import REPOSITORY
from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import Cloud, lines


@pytest.fixture
def rollout_id(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the id of a rollout that is over; its export takes several responses."""
    monkeypatch.setattr(http_export, "MAX_RESPONSE_BYTES", 1)
    cloud.world.hub.devices["d-003"].fault = Fault.FAILING
    created = cloud.create("--success-share", "50%")
    cloud.world.until_over(created)
    return created


def export_requests(cloud: Cloud) -> list[httpx.Request]:
    return [request for request in cloud.requests if "/export" in str(request.url)]


def test_all_lines_are_printed_and_links_are_followed(cloud: Cloud, rollout_id: str) -> None:
    found = [json.loads(line) for line in lines(cloud.run("export", rollout_id))]
    kinds = [line["kind"] for line in found]
    assert kinds[:7] == ["rollout", *["device"] * 6]
    assert set(kinds[7:]) == {"event"}
    assert len(export_requests(cloud)) == 3


def test_the_documented_script_reads_the_file_back(
    cloud: Cloud, rollout_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.jsonl"
    assert cloud.run("export", rollout_id, "--output", str(file)).exit_code == 0
    text = (REPOSITORY / "docs/api.md").read_text()
    [script] = re.findall(r"```python\n(.*?)```", text.split("## Export")[1], re.DOTALL)

    def read_back() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    printed = read_back()
    assert printed.returncode == 0, printed.stderr
    assert f"{rollout_id} 2.4.0 " in printed.stdout
    assert "{'completed': 5, 'failed': 1}" in printed.stdout.replace(
        "{'failed': 1, 'completed': 5}", "{'completed': 5, 'failed': 1}"
    )
    assert "d-003 reported 20" in printed.stdout
    assert " created api" in printed.stdout
    kept = [line for line in file.read_text().splitlines() if '"deviceId":"d-002"' not in line]
    file.write_text("\n".join(kept))
    assert read_back().stderr == "The export is incomplete.\n"


def test_a_lost_response_is_requested_again(cloud: Cloud, rollout_id: str) -> None:
    whole = cloud.run("export", rollout_id).stdout
    remaining = [2]

    def lose(request: httpx.Request) -> httpx.Response | None:
        if "cursor" in str(request.url) and remaining[0]:
            remaining[0] -= 1
            raise httpx.ReadError("connection reset", request=request)
        return None

    cloud.between = lose
    assert cloud.run("export", rollout_id).stdout == whole
    assert remaining == [0]


def test_an_interrupted_export_leaves_no_file_and_keeps_an_older_one(
    cloud: Cloud, rollout_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.jsonl"
    file.write_text("older")
    cloud.between = lambda request: httpx.Response(503) if "cursor" in str(request.url) else None
    arguments = ("export", rollout_id, "--output", str(file), "--patience", "0s")
    assert cloud.run(*arguments).exit_code == 7
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*.json*")] == [
        ("rollout.jsonl", "older")
    ]


def test_a_link_to_another_host_is_not_followed(cloud: Cloud, rollout_id: str) -> None:
    more = {"kind": "more", "nextLink": "https://other.example/export?cursor=events."}
    cloud.between = lambda request: (
        None if "cursor" in str(request.url) else httpx.Response(200, text=json.dumps(more))
    )
    cloud.run("export", rollout_id)
    assert {request.url.host for request in export_requests(cloud)} == {"fleet.example"}


@pytest.mark.parametrize("text", ["<html>", "", "[]\n", "7\n", '{"kind":"more"}\n'])
def test_a_response_that_is_not_json_lines_is_refused(
    cloud: Cloud, rollout_id: str, text: str
) -> None:
    cloud.between = lambda _: httpx.Response(200, text=text)
    assert cloud.run("export", rollout_id).exit_code == 2


def test_a_file_that_cannot_be_written_is_refused(
    cloud: Cloud, rollout_id: str, tmp_path: Path
) -> None:
    refused = cloud.run("export", rollout_id, "--output", str(tmp_path / "none" / "file"))
    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr
