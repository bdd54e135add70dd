"""Test the order of the system calls that make a folder survive a loss of power."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_agent.disk import FolderStorage, lock_folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the relevant system calls, each with the name of its file."""
    made: list[str] = []

    def watched(name: str, found: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *more: Any, **named: Any) -> Any:
            is_open = isinstance(target, int)
            path = Path(f"/proc/self/fd/{target}").readlink() if is_open else Path(target)
            made.append(f"{name} {path.name}")
            return found(target, *more, **named)

        return call

    for name in ("fsync", "replace", "unlink", "write"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "device")


def test_a_file_is_synced_before_it_replaces_another(
    folder: FolderStorage, calls: list[str]
) -> None:
    folder.replace("boot.json", b"new")
    assert [call for call in calls if not call.startswith("write")] == [
        "fsync boot.json.new",
        "replace boot.json.new",
        "fsync device",
    ]
    assert folder.read("boot.json") == b"new"


def test_appended_bytes_are_synced_on_request(folder: FolderStorage, calls: list[str]) -> None:
    with folder.append("package", 0) as file:
        file.write(b"12345")
        file.sync()
    assert calls == ["fsync device", "write package", "fsync package"]
    with folder.append("package", 2) as file:
        file.write(b"x")
    assert folder.read("package") == b"12x"


def test_a_deleted_file_does_not_come_back(folder: FolderStorage, calls: list[str]) -> None:
    folder.replace("package", b"1")
    calls.clear()
    folder.delete("package")
    assert calls == ["unlink package", "fsync device"]
    folder.delete("package")
    assert folder.size("package") == 0
    assert list(folder.chunks("package")) == []
    assert folder.read("package") is None


def test_only_the_owner_can_read_files_with_secrets(tmp_path: Path) -> None:
    path = tmp_path / "open to all"
    path.mkdir(mode=0o755)
    folder = FolderStorage(path)
    folder.replace("journal.json", b"{}")
    with folder.append("package", 0):
        pass
    modes = [stat.S_IMODE(entry.stat().st_mode) for entry in (path, *path.iterdir())]
    assert modes == [0o700, 0o600, 0o600]


def test_only_one_process_can_lock_a_folder(tmp_path: Path) -> None:
    refused = pytest.raises(OSError, match="already runs this device")
    with lock_folder(tmp_path / "device"), refused, lock_folder(tmp_path / "device"):
        pass
    with lock_folder(tmp_path / "device"):
        pass
