"""Start of a host, refused apps, timers, and its end."""

import itertools
import json
import signal
import socket
import threading
from pathlib import Path

import pytest
import requests

from tests.simulator.host.running_host import APPS, run_host, start
from tests.waiting import eventually

QUIET = {"TICK_SCHEDULE": "0 0 0 1 1 *"}

HEAD = """
import azure.functions as func
app = func.FunctionApp()
"""
ROUTE = """
@app.function_name("{name}")
@app.route(route="{route}")
def {function}(req: func.HttpRequest) -> func.HttpResponse: ...
"""


def app_folder(folder: Path, source: str | None, host_json: str | None = None) -> Path:
    app = folder / "app"
    app.mkdir()
    if source is not None:
        (app / "function_app.py").write_text(source)
    (app / "host.json").write_text(host_json or '{"version": "2.0"}')
    return app


def route(name: str = "a", route: str = "a", function: str = "a") -> str:
    return ROUTE.format(name=name, route=route, function=function)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "no function_app.py"),
        (
            "def load():\n    import nowhere_to_be_found\nload()",
            'function_app.py", line 2, in load',
        ),
        (HEAD + route("a") + route("a", "b", "b"), "unique"),
    ],
)
def test_an_app_that_azure_would_refuse_ends_the_start_with_1(
    source: str | None, message: str, tmp_path: Path
) -> None:
    host = start(app_folder(tmp_path, source), tmp_path)
    assert host.process.wait(10) == 1
    assert host.url is None
    last = [line for line in host.log.splitlines() if line.startswith("error: ")]
    assert len(last) == 1
    assert message in host.log


def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        host = start("basic", tmp_path, QUIET, port=port)
        assert host.process.wait(10) == 2
    assert len(host.log.splitlines()) == 1
    assert str(port) in host.log
    assert "--port" in host.log


def test_functions_and_generated_keys_are_listed_before_the_ready_line(tmp_path: Path) -> None:
    with run_host("basic", tmp_path, QUIET, enforce_keys=True) as host:
        lines = host.output.splitlines()
        keys = dict(line[4:].split(": ") for line in lines if line.startswith("key "))
        response = host.request("GET", "/api/echo", headers={"x-functions-key": keys["default"]})
        assert response.status_code == 200
        assert f"  echoSync: [GET,POST] {host.url}/api/echo-sync" in lines
        assert "  tick: timer 0 0 0 1 1 *" in lines
        assert lines[-1] == f"host ready {host.url}"
        assert host.stop(signal.SIGINT) == 0


def test_the_route_prefix_and_the_local_settings_are_obeyed(tmp_path: Path) -> None:
    source = (APPS / "basic" / "function_app.py").read_text()
    host_json = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}
    app = app_folder(tmp_path, source, json.dumps(host_json))
    settings = {"IsEncrypted": False, "Values": {"TICK_SCHEDULE": "1 2 3 4 5 *"}}
    (app / "local.settings.json").write_text(json.dumps(settings))
    with run_host(app, tmp_path) as host:
        assert host.request("GET", "/echo").status_code == 200
        assert "timer 1 2 3 4 5 *" in host.output
        assert host.stop() == 0


def test_a_timer_keeps_its_schedule_and_survives_its_failures(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    settings = {"TICK_SCHEDULE": "* * * * * *", "TICK_FILE": str(ticks), "TICK_FAILS": "1"}
    with run_host("basic", tmp_path, settings) as host:
        eventually(lambda: ticks.exists() and len(ticks.read_text().splitlines()) >= 2, what=host)
        assert host.stop() == 0
    starts = [float(line.split()[0]) for line in ticks.read_text().splitlines()]
    assert [int(b) - int(a) for a, b in itertools.pairwise(starts)][:1] == [1]
    assert all(start % 1 < 0.7 for start in starts)
    assert "RuntimeError: tick failed" in host.log
    assert {line.split()[2] for line in ticks.read_text().splitlines()} == {"False"}


@pytest.mark.parametrize("function", ["sleep", "sleep-sync"])
def test_a_stop_waits_for_running_invocations(function: str, tmp_path: Path) -> None:
    statuses: list[int] = []
    with run_host("basic", tmp_path, QUIET) as host:
        caller = threading.Thread(
            target=lambda: statuses.append(host.request("GET", f"/api/{function}/0.7").status_code)
        )
        caller.start()
        eventually(lambda: "sleeping" in host.log, what=host)
        assert host.url is not None
        with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))):
            assert host.stop(seconds=5) == 0  # an idle connection does not hold it up
        caller.join(5)
    assert statuses == [200]
    assert "Traceback" not in host.log
    assert "Task was destroyed" not in host.log


def test_a_stopping_host_responds_503_on_open_connections(tmp_path: Path) -> None:
    with run_host("basic", tmp_path, QUIET) as host, requests.Session() as session:
        assert host.url is not None
        port = int(host.url.rpartition(":")[2])
        assert session.get(f"{host.url}/api/teapot", timeout=5).status_code == 418
        caller = threading.Thread(target=lambda: host.request("GET", "/api/sleep/1"))
        caller.start()
        eventually(lambda: "sleeping" in host.log, what=host)
        host.process.send_signal(signal.SIGTERM)
        eventually(lambda: not listening(port), what=host)
        assert session.get(f"{host.url}/api/teapot", timeout=5).status_code == 503
        caller.join()
        # No second signal: one that came while Python itself shuts down would end it unhandled.
        assert host.process.wait(15) == 0


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
