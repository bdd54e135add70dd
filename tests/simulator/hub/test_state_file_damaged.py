"""State files that are damaged, refused or full, and a hub that is killed."""

import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub import HubOptions, LocalHub
from simulator.hub.command import run
from simulator.hub.model.errors import HubError
from simulator.hub.model.persistence import StateError
from simulator.hub.state_file import StateFile
from tests.simulator.hub.builders import (
    make_device,
    make_hub,
    token,
)
from tests.simulator.hub.stored_hubs import everything, restored


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """Limit the size of every file while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestTornFiles:
    def test_any_cut_of_the_log_leaves_the_state_of_some_moment(self, tmp_path: Path) -> None:
        """Cut the log of a killed hub anywhere: whole commits count, the rest is dropped."""
        path, torn = tmp_path / "state", tmp_path / "torn"
        hub = make_hub()
        moments = [everything(hub)]
        with StateFile(path, hub.persistence):
            for number in range(4):
                make_device(hub, f"d{number}")
                moments.append(everything(hub))
            database = path.read_bytes()
            log = path.with_name("state-wal").read_bytes()
        found = []
        for end in range(0, len(log) + 1, 509):
            torn.write_bytes(database)
            torn.with_name("torn-wal").write_bytes(log[:end])
            found.append(moments.index(everything(restored(torn))))
        assert found == sorted(found)
        assert found[0] == 0
        torn.write_bytes(database)
        torn.with_name("torn-wal").write_bytes(log)
        assert everything(restored(torn)) == moments[-1]

    def test_changes_after_a_torn_commit_are_stored(self, tmp_path: Path) -> None:
        path, torn = tmp_path / "state", tmp_path / "torn"
        with StateFile(path, (hub := make_hub()).persistence):
            make_device(hub, "one")
            make_device(hub, "lost")
            shutil.copy(path, torn)
            log = path.with_name("state-wal").read_bytes()
        torn.with_name("torn-wal").write_bytes(log[:-100])
        with StateFile(torn, (again := make_hub()).persistence):
            make_device(again, "two")
        assert [device.key for device in restored(torn).registry.first(9)] == ["one", "two"]

    def test_a_change_that_does_not_fit_on_the_disk_is_not_made(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        hub = make_hub()
        with StateFile(path, hub.persistence):
            make_device(hub, "one")
            log_bytes = path.with_name("state-wal").stat().st_size
            with full_disk(log_bytes + 10):
                with pytest.raises(HubError, match="the change could not be stored: cannot write"):
                    make_device(hub, "two")
                with pytest.raises(HubError, match="the change could not be stored: cannot write"):
                    hub.registry.delete("one", "*")
            make_device(hub, "three")
        for stored in (hub, restored(path)):
            assert [device.key for device in stored.registry.first(9)] == ["one", "three"]

    def test_a_hub_killed_before_its_table_was_created_leaves_a_usable_file(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "state").touch()
        assert everything(restored(tmp_path / "state")) == []


class TestRefusedFiles:
    @pytest.mark.parametrize("text", ["{}\n", "rubbish\n", "SQLite format 3\0", "x" * 5000])
    def test_a_file_that_is_not_a_state_is_refused_and_unchanged(
        self, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "state"
        path.write_text(text)
        with pytest.raises(StateError, match="is not a local hub's state; choose another file"):
            restored(path)
        assert path.read_text() == text

    def test_the_database_of_another_program_is_refused_and_unchanged(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE state (anything)")
        other.close()
        content = path.read_bytes()
        with pytest.raises(StateError, match="is not a local hub's state"):
            restored(path)
        assert path.read_bytes() == content

    def test_a_file_of_the_earlier_format_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        content = '{"format":"fleet-rollout local hub","version":1}\n' + '{"removed":"a"}\n' * 9
        path.write_text(content)
        with pytest.raises(StateError, match="version 1, expected 2; delete the file"):
            restored(path)
        assert path.read_text() == content

    def test_a_file_of_a_newer_version_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        restored(path)
        edit(path, "PRAGMA user_version = 3")
        with pytest.raises(StateError, match="version 3, expected 2; start the hub that wrote it"):
            restored(path)

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            ("UPDATE state SET document = '{'", "device one cannot be read"),
            ("UPDATE state SET document = '{}'", "invalid device one"),
            ("UPDATE state SET document = '1'", "invalid device one"),
            ("UPDATE state SET kind = 'nothing'", "nothing one cannot be read"),
        ],
    )
    def test_a_record_that_a_hub_cannot_have_written_is_refused(
        self, tmp_path: Path, statement: str, message: str
    ) -> None:
        path = tmp_path / "state"
        hub = make_hub()
        with StateFile(path, hub.persistence):
            make_device(hub, "one")
        edit(path, statement)
        with pytest.raises(StateError, match=message):
            restored(path)
        edit(path, "DELETE FROM state")
        assert everything(restored(path)) == []

    def test_a_file_in_use_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        hub = make_hub()
        with StateFile(path, hub.persistence):
            make_device(hub, "one")
            with pytest.raises(StateError, match="is in use by another hub; stop it first"):
                restored(path)
            make_device(hub, "two")
        assert everything(restored(path)) == everything(hub)

    def test_a_file_in_use_by_another_process_is_refused(
        self, tmp_path: Path, certificates: Path
    ) -> None:
        path = tmp_path / "state"
        with (
            hub_process(certificates, path),
            pytest.raises(StateError, match="is in use by another hub"),
        ):
            restored(path)

    def test_the_file_and_its_log_are_readable_by_their_owner_only(self, tmp_path: Path) -> None:
        hub = make_hub()
        with StateFile(tmp_path / "state", hub.persistence):
            make_device(hub)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == {"state": 0o600, "state-wal": 0o600}


def edit(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_a_hub_that_cannot_use_its_file_says_so(
    tmp_path: Path, certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("rubbish")
    options = HubOptions(
        certificates=certificates, https_port=0, mqtt_port=0, state_file=tmp_path / "state"
    )
    assert run(options) == 2
    assert "is not a local hub's state" in capsys.readouterr().err
    with pytest.raises(StateError), LocalHub(options):
        pass


def test_a_folder_instead_of_a_file_is_an_error_not_a_crash(
    tmp_path: Path, certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "state").mkdir()
    options = HubOptions(certificates=certificates, https_port=0, mqtt_port=0, state_file=folder)
    assert run(options) == 2
    assert f"cannot store state in {folder}" in capsys.readouterr().err


PROGRAM = """
import sys
from pathlib import Path
from simulator.hub import HubOptions
from simulator.hub.command import run
folder, state = map(Path, sys.argv[1:])
sys.exit(run(HubOptions(certificates=folder, https_port=0, mqtt_port=0, state_file=state)))
"""


@contextmanager
def hub_process(certificates: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a hub and yield it with its base URL; kill it after the block."""
    command = [sys.executable, "-c", PROGRAM, str(certificates), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = ""
        while not line.startswith("hub ready: "):
            line = process.stdout.readline()
            assert line, "the hub did not start"
        try:
            yield process, line.removeprefix("hub ready: ").partition(",")[0]
        finally:
            process.kill()


def test_a_killed_hub_has_stored_all_that_it_had_confirmed(
    certificates: Path, tmp_path: Path
) -> None:
    """Kill it three times, each at another moment of writing or merging the log."""
    state = tmp_path / "state"
    confirmed = 0
    for moment in (0.1, 0.2, 0.35):
        with hub_process(certificates, state) as (process, url), requests.Session() as session:
            resource = url.removeprefix("https://")
            session.trust_env = False
            session.verify = str(certificates / "ca.pem")
            session.headers["Authorization"] = token(
                resource, DEVELOPMENT_KEY, expiry=time.time() + 60, policy="iothubowner"
            )
            if not confirmed:
                session.put(f"{url}/devices/one", json={"deviceId": "one"}, timeout=10)
            found = session.get(f"{url}/twins/one", timeout=10).json()
            assert found.get("tags", {}).get("n", 0) in (confirmed, confirmed + 1)
            killer = threading.Timer(moment, process.kill)
            killer.start()
            confirmed = write_until_it_dies(session, f"{url}/twins/one", confirmed)
            killer.join()
    again = restored(state).twins.get("one").twin.tags
    assert again["n"] in (confirmed, confirmed + 1)


def write_until_it_dies(session: requests.Session, url: str, confirmed: int) -> int:
    """Count up in a tag; returns the last number that the hub has confirmed."""
    try:
        while True:
            session.patch(url, json={"tags": {"n": confirmed + 1}}, timeout=10).raise_for_status()
            confirmed += 1
    except requests.ConnectionError:
        return confirmed
