"""Queue triggers against a real storage emulator."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from tests.simulator.host.running_host import RunningHost, run_host
from tests.waiting import eventually


class Queues:
    """The queues of a storage account, with messages as they are stored."""

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

    def take(self, queue: str, host: RunningHost) -> str:
        """Wait for a message, delete it and return its stored text."""
        client = self._service.get_queue_client(queue)
        found: list[str] = []

        def has_arrived() -> bool:
            try:
                for message in client.receive_messages(messages_per_page=32):
                    client.delete_message(message)
                    found.append(message.content)
            except ResourceNotFoundError:
                pass
            return bool(found)

        eventually(has_arrived, what=host)
        (text,) = found
        return text

    def length(self, queue: str) -> int:
        """Return the number of messages, invisible ones included; 0 without a queue."""
        client = self._service.get_queue_client(queue)
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

    def close(self) -> None:
        self._service.close()


@pytest.fixture(scope="module")
def received_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("received") / "messages"


@pytest.fixture(scope="module")
def host(
    storage: str, received_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHost]:
    settings = {"AzureWebJobsStorage": storage, "RECEIVED_FILE": str(received_file)}
    with run_host("queues", tmp_path_factory.mktemp("host"), settings) as started:
        yield started
        assert started.stop() == 0


@pytest.fixture
def queues(storage: str, host: RunningHost) -> Iterator[Queues]:
    del host  # starts before the queue exists: a trigger does not create its queue
    client = Queues(storage)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _forget(received_file: Path) -> None:
    received_file.write_text("")


def wait_for_message(file: Path, host: RunningHost) -> Any:
    """Wait for a run that ended well; return what its function received."""
    eventually(lambda: file.read_text().endswith("\n"), what=host)
    (line,) = file.read_text().splitlines()
    return json.loads(line)


def test_a_message_runs_its_function_once_and_is_deleted(
    host: RunningHost, queues: Queues, received_file: Path
) -> None:
    queues.put_encoded("work", "hello")
    assert wait_for_message(received_file, host)["text"] == "hello"
    eventually(lambda: queues.length("work") == 0, what=host)
    assert queues.length("work-poison") == 0


def test_the_function_receives_the_metadata_of_its_message(
    host: RunningHost, queues: Queues, received_file: Path
) -> None:
    queues.put_encoded("work", "metadata")
    found = wait_for_message(received_file, host)
    assert found["dequeueCount"] == 1
    assert len(found["id"]) == 36
    assert found["popReceipt"]
    assert found["inserted"].endswith("+00:00")
    assert found["inserted"] < found["nextVisible"] < found["expires"]


def test_a_failed_message_is_tried_again_at_once(
    host: RunningHost, queues: Queues, received_file: Path
) -> None:
    queues.put_encoded("work", "fail once")
    found = wait_for_message(received_file, host)
    assert (found["text"], found["dequeueCount"]) == ("fail once", 2)


def test_a_message_that_fails_at_the_maximum_goes_to_the_poison_queue_unchanged(
    host: RunningHost, queues: Queues
) -> None:
    queues.put_encoded("work", "fail")
    assert base64.b64decode(queues.take("work-poison", host)) == b"fail"
    eventually(lambda: queues.length("work") == 0, what=host)
    assert "fail at 1" in host.log
    assert "fail at 2" in host.log
    assert "fail at 3" not in host.log


def test_text_that_is_not_base64_goes_to_the_poison_queue_without_a_run(
    host: RunningHost, queues: Queues
) -> None:
    queues.put("work", "plain text <&>")
    assert queues.take("work-poison", host) == "plain text <&>"


def test_a_disabled_function_receives_nothing(
    storage: str, tmp_path: Path, queues: Queues, host: RunningHost, received_file: Path
) -> None:
    settings = {
        "AzureWebJobsStorage": storage,
        "RECEIVED_FILE": str(tmp_path / "none"),
        "AzureWebJobs.work.Disabled": "true",
    }
    with run_host("queues", tmp_path, settings) as other:
        queues.put_encoded("work", "for the other host")
        assert wait_for_message(received_file, host)["text"] == "for the other host"
        assert other.stop() == 0
    assert not (tmp_path / "none").exists()
