"""Reading local.settings.json, host.json and connection settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.host.errors import SettingsError
from simulator.host.host_json import QueueOptions, load_host_json, parse_time_span
from simulator.host.settings import connection_setting, load_local_settings


def load(folder: Path, document: Any, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment after a local.settings.json was loaded into it."""
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "local.settings.json").write_text(text, encoding="utf-8-sig")
    loaded = dict(environment or {})
    load_local_settings(folder, loaded)
    del loaded["AZURE_FUNCTIONS_ENVIRONMENT"]
    return loaded


def test_values_become_variables_and_an_existing_variable_wins(tmp_path: Path) -> None:
    values = {"A": "file", "B": "file", "EMPTY": "", "NULL": None, "NUMBER": 5, "FLAG": True}
    loaded = load(tmp_path, {"IsEncrypted": False, "Values": values}, {"A": "environment"})
    assert loaded == {
        "A": "environment",
        "B": "file",
        "EMPTY": "",
        "NUMBER": "5",
        "FLAG": "true",
    }


def test_the_environment_is_always_development(tmp_path: Path) -> None:
    environment = {"AZURE_FUNCTIONS_ENVIRONMENT": "Production"}
    load_local_settings(tmp_path, environment)
    assert environment == {"AZURE_FUNCTIONS_ENVIRONMENT": "Development"}


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        {"Values": {}},
        {"IsEncrypted": True, "Values": {}},
        {"IsEncrypted": False, "Values": []},
        {"IsEncrypted": False, "Values": {"A": {}}},
    ],
)
def test_a_file_that_core_tools_would_refuse_is_refused(document: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"local\.settings\.json"):
        load(tmp_path, document)


@pytest.mark.parametrize(
    ("connection", "settings", "expected"),
    [
        ("", {"AzureWebJobsStorage": "text"}, {"": "text"}),
        ("Storage", {"AzureWebJobsStorage": "text"}, {"": "text"}),
        ("AzureWebJobsStorage", {"AzureWebJobsStorage": "text"}, {"": "text"}),
        ("Mine", {"Mine": "text"}, {"": "text"}),
        ("Mine", {"Mine": "text", "Mine__queueServiceUri": "u"}, {"": "text"}),
        ("Mine", {"Mine__queueServiceUri": "u", "Mine__clientId": "i"},
         {"queueServiceUri": "u", "clientId": "i"}),
        ("", {"AzureWebJobsStorage__accountName": "n"}, {"accountName": "n"}),
    ],
)  # fmt: skip
def test_a_connection_is_found_as_the_host_finds_it(
    connection: str, settings: dict[str, str], expected: dict[str, str]
) -> None:
    assert connection_setting(connection, settings) == expected


def test_an_undefined_connection_is_named() -> None:
    with pytest.raises(SettingsError, match="Mine is not defined"):
        connection_setting("Mine", {"Other": "x", "Mine": ""})


def host_json(folder: Path, document: Any, environment: dict[str, str] | None = None) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "host.json").write_text(text)
    return load_host_json(folder, environment or {})


def test_a_bare_host_json_has_the_documented_defaults(tmp_path: Path) -> None:
    loaded = host_json(tmp_path, {"version": "2.0"})
    assert loaded.route_prefix == "api"
    assert loaded.queues.batch_size == 16
    assert loaded.queues.max_dequeue_count == 5
    assert loaded.queues.max_polling_interval_seconds == 2
    assert loaded.queues.visibility_timeout_seconds == 0
    assert loaded.log_level == "Information"


def test_queue_options_are_read(tmp_path: Path) -> None:
    queues = {
        "batchSize": 32,
        "newBatchThreshold": 0,
        "visibilityTimeout": "00:01:30",
        "maxDequeueCount": 1,
        "maxPollingInterval": "00:00:10",
        "messageEncoding": "base64",
    }
    loaded = host_json(tmp_path, {"version": "2.0", "extensions": {"queues": queues}})
    assert loaded.queues == QueueOptions(
        batch_size=32,
        new_batch_threshold=0,
        visibility_timeout_seconds=90,
        max_dequeue_count=1,
        max_polling_interval_seconds=10,
    )


def test_an_app_setting_overrides_host_json(tmp_path: Path) -> None:
    environment = {
        "AzureFunctionsJobHost__extensions__http__routePrefix": "v2",
        "AzureFunctionsJobHost__extensions__queues__batchSize": "1",
    }
    loaded = host_json(tmp_path, {"version": "2.0", "extensions": {"http": {}}}, environment)
    assert (loaded.route_prefix, loaded.queues.batch_size) == ("v2", 1)


@pytest.mark.parametrize(
    "document",
    [
        "",
        [],
        {},
        {"version": "1.0"},
        {"version": "2.0", "extensions": []},
        {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}},
        {"version": "2.0", "extensions": {"queues": {"batchSize": "x"}}},
        {"version": "2.0", "extensions": {"queues": {"maxDequeueCount": 0}}},
        {"version": "2.0", "extensions": {"queues": {"messageEncoding": "none"}}},
        {"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "soon"}}},
    ],
)
def test_a_wrong_host_json_is_refused(document: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"host\.json"):
        host_json(tmp_path, document)


def test_a_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no host\.json"):
        load_host_json(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:02", 2), ("01:00:00", 3600), ("1.00:00:00.5", 86400.5)]
)
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_time_span(text, where="x") == seconds


@pytest.mark.parametrize("text", ["5", "00:60:00", "24:00:00", "-00:00:01", ""])
def test_a_malformed_time_span_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a duration like"):
        parse_time_span(text, where="x")
