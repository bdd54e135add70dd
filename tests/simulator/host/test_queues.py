"""Queue triggers and outputs against a real storage emulator."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from tests.simulator.host.running_host import RunningHost, running, wait_for


class Queues:
    """The test's own view of the account: reads and writes messages as they are stored."""

    def __init__(self, connection_string: str) -> None:
        self._service = QueueServiceClient.from_connection_string(connection_string)

    def put(self, queue: str, text: str) -> None:
        client = self._service.get_queue_client(queue)
        try:
            client.send_message(text)
        except ResourceNotFoundError:
            client.create_queue()
            client.send_message(text)

    def put_encoded(self, queue: str, text: str) -> None:
        self.put(queue, base64.b64encode(text.encode()).decode())

    def take(self, queue: str, count: int, host: RunningHost) -> list[str]:
        """The next `count` stored texts, waited for and removed."""
        client = self._service.get_queue_client(queue)
        found: list[str] = []

        def enough() -> bool:
            try:
                for message in client.receive_messages(messages_per_page=32):
                    client.delete_message(message)
                    found.append(message.content)
            except ResourceNotFoundError:
                pass
            return len(found) >= count

        wait_for(enough, host)
        return found

    def take_decoded(self, queue: str, count: int, host: RunningHost) -> list[str]:
        return [base64.b64decode(text).decode() for text in self.take(queue, count, host)]

    def length(self, queue: str) -> int:
        """Messages in the queue, invisible ones included; 0 when there is no queue."""
        client = self._service.get_queue_client(queue)
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

    def close(self) -> None:
        self._service.close()


@pytest.fixture(scope="module")
def host(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    settings = {"AzureWebJobsStorage": storage, "WORK_QUEUE": "work"}
    with running("queues", tmp_path_factory.mktemp("host"), settings) as started:
        yield started
        assert started.stop() == 0


@pytest.fixture
def queues(storage: str, host: RunningHost) -> Iterator[Queues]:
    del host  # it must be there first: its queues are not created by their triggers
    client = Queues(storage)
    yield client
    client.close()


def result(text: str) -> dict[str, Any]:
    parsed = json.loads(text)
    assert isinstance(parsed, dict)
    return parsed


def test_a_message_runs_its_function_once_and_is_deleted(host: RunningHost, queues: Queues) -> None:
    queues.put_encoded("work", "hello")
    (found,) = queues.take_decoded("results", 1, host)
    assert result(found)["text"] == "hello"
    wait_for(lambda: queues.length("work") == 0, host)
    assert queues.length("work-poison") == 0


def test_the_function_sees_the_metadata_of_its_message(host: RunningHost, queues: Queues) -> None:
    queues.put_encoded("work", "metadata")
    found = result(queues.take_decoded("results", 1, host)[0])
    assert found["dequeueCount"] == 1
    assert len(found["id"]) == 36
    assert found["popReceipt"]
    assert found["inserted"].endswith("+00:00")
    assert found["inserted"] < found["nextVisible"] < found["expires"]


def test_a_list_output_is_sent_as_one_message_per_element(
    host: RunningHost, queues: Queues
) -> None:
    texts = [f"item {number}" for number in range(40)]
    assert host.request("POST", "/api/send", json=texts).status_code == 202
    found = [result(text)["text"] for text in queues.take_decoded("results", len(texts), host)]
    assert sorted(found) == sorted(texts)


def test_parallel_first_writers_all_succeed_on_a_queue_that_does_not_exist(
    storage: str, tmp_path: Path, queues: Queues
) -> None:
    settings = {
        "AzureWebJobsStorage": storage,
        "WORK_QUEUE": "fresh",
        "AzureWebJobs.work.Disabled": "true",
    }
    with running("queues", tmp_path, settings) as host:
        response = host.request("POST", "/api/send", json=list(range(30)))
        assert response.status_code == 202, host.log
        assert queues.length("fresh") == 30
        assert host.stop() == 0


def test_a_failed_message_is_tried_again_at_once(host: RunningHost, queues: Queues) -> None:
    queues.put_encoded("work", "fail once")
    found = result(queues.take_decoded("results", 1, host)[0])
    assert (found["text"], found["dequeueCount"]) == ("fail once", 2)


def test_a_message_that_fails_at_the_maximum_goes_to_the_poison_queue_unchanged(
    host: RunningHost, queues: Queues
) -> None:
    queues.put_encoded("work", "fail")
    assert queues.take_decoded("work-poison", 1, host) == ["fail"]
    wait_for(lambda: queues.length("work") == 0, host)
    assert "fail at 1" in host.log
    assert "fail at 2" in host.log
    assert "fail at 3" not in host.log


def test_text_that_is_not_base64_goes_to_the_poison_queue_without_a_run(
    host: RunningHost, queues: Queues
) -> None:
    queues.put("work", "plain text <&>")
    assert queues.take("work-poison", 1, host) == ["plain text <&>"]


def test_a_failed_output_makes_the_message_fail(host: RunningHost, queues: Queues) -> None:
    queues.put_encoded("work", "bad output")
    assert queues.take_decoded("work-poison", 1, host) == ["bad output"]
    assert "output binding to queue 'results' failed" in host.log


def test_a_failed_output_makes_an_http_function_answer_500(
    host: RunningHost, queues: Queues
) -> None:
    response = host.request("POST", "/api/send-text", data="x" * 100_000)
    assert (response.status_code, response.content) == (500, b"")
    assert queues.length("results") == 0


def test_nothing_is_sent_when_the_function_raises(host: RunningHost, queues: Queues) -> None:
    assert host.request("POST", "/api/send-text?raise=1", data="lost").status_code == 500
    assert host.request("POST", "/api/send-text", data="kept").status_code == 202
    assert queues.take_decoded("results", 1, host) == ["kept"]


def test_a_manual_run_gets_its_input_as_the_message(host: RunningHost, queues: Queues) -> None:
    queues.put_encoded("work", "first")  # creates the output queue
    queues.take_decoded("results", 1, host)
    response = host.request("POST", "/admin/functions/WORK", json={"input": "bad output"})
    assert (response.status_code, response.content) == (202, b"")
    wait_for(lambda: "Executed 'Functions.work' (Failed" in host.log, host)
