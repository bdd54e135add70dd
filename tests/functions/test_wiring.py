"""What a process is wired to: by its settings, once, and only when it is used."""

import threading
import time
from collections.abc import Iterator

import pytest

from functions import wiring
from functions.errors import SettingsError, StorageUnavailableError
from functions.rollouts.model.quotas import Tier, quotas

HUB = "HostName=hub.example;SharedAccessKeyName=n;SharedAccessKey=YQ=="


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that has not read its settings yet; gives what sets them."""
    monkeypatch.setattr(wiring, "_process", wiring._Process())  # noqa: SLF001 - a new process
    for name in ("IOTHUB_CONNECTION_STRING", "IOTHUB_HOSTNAME", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_what_is_costly_is_made_once_however_many_threads_want_it() -> None:
    made: list[object] = []

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    once = wiring._Once(make)  # noqa: SLF001 - there is no door to it
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(once())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 8


def test_a_failure_to_make_it_is_not_kept() -> None:
    answers: Iterator[StorageUnavailableError | str] = iter(
        [StorageUnavailableError("not yet"), "made"]
    )

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, StorageUnavailableError):
            raise answer
        return answer

    once = wiring._Once(make)  # noqa: SLF001
    with pytest.raises(StorageUnavailableError):
        once()
    assert once() == "made"


def test_missing_settings_are_named_at_the_first_use(process: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="IOTHUB_CONNECTION_STRING"):
        wiring.hub()
    process.setenv("IOTHUB_CONNECTION_STRING", HUB)
    with pytest.raises(SettingsError, match="AzureWebJobsStorage"):
        wiring.stores()


def test_a_process_has_one_hub_one_store_and_one_queue(
    process: pytest.MonkeyPatch, storage: str
) -> None:
    process.setenv("IOTHUB_CONNECTION_STRING", HUB)
    process.setenv("AzureWebJobsStorage", storage)
    process.setenv("IOTHUB_TIER", "S3")
    services = wiring.services()
    assert services.hub is wiring.hub()
    assert services.stores is wiring.stores()
    assert services.queue is wiring.services().queue
    assert services.limits == quotas(Tier.S3, 1, 0.8)
    services.stores.ping()
