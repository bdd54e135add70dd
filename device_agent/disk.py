"""Store the agent's files in a folder of a POSIX file system."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_agent.ports import Writer

_CHUNK_BYTES = 1 << 20
# Written data is passed to the disk in steps of this size, so that `sync` has little left to do.
_WRITE_BACK_BYTES = 8 << 20


@contextmanager
def lock_folder(path: Path) -> Iterator[None]:
    """Create a device's folder and lock it. Raises OSError if another process holds the lock."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(
                error.errno, "another process already runs this device", str(path)
            ) from error
        yield


class FolderStorage:
    """The files of one device, readable by its own user only: a package's URL may hold a secret."""

    def __init__(self, path: Path) -> None:
        """Create the folder. Raises OSError."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        self.path = path
        self.session = _read_boot_id()
        """Implement `Storage`."""

    def read(self, name: str) -> bytes | None:
        """Implement `Storage`."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Implement `Storage`."""
        new = self.path / f"{name}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)
        self._sync_names()

    @contextmanager
    def append(self, name: str, offset: int) -> Iterator[Writer]:
        """Implement `Storage`."""
        is_new = not (self.path / name).exists()
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if is_new:
                self._sync_names()
            os.ftruncate(descriptor, offset)
            os.lseek(descriptor, offset, os.SEEK_SET)
            yield _File(descriptor)
        finally:
            os.close(descriptor)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Implement `Storage`."""
        try:
            file = (self.path / name).open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def size(self, name: str) -> int:
        """Implement `Storage`."""
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return 0

    def delete(self, name: str) -> None:
        """Implement `Storage`."""
        (self.path / name).unlink(missing_ok=True)
        self._sync_names()

    def free_bytes(self) -> int:
        """Implement `Storage`."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def _sync_names(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_boot_id() -> str:
    """Return an id of this run of the operating system, or of this process if none is known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(uuid.uuid4())


class _File:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._in_memory = 0

    def write(self, chunk: bytes) -> None:
        self._in_memory += len(chunk)
        if self._in_memory >= _WRITE_BACK_BYTES:
            self._write_back()
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def _write_back(self) -> None:
        """Start writing to the disk and free the memory, where the system supports it."""
        self._in_memory = 0
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
