"""The file a hub keeps its state in: a log of JSON records, one a line, rewritten when it grows.

Every record is written before the change it tells of is made and answered, in one append, so a
hub killed at any moment (SIGKILL) has on file all that it has answered, and at most one torn line
at the end, which the next start drops. Against a loss of power: a rewritten file is synced to the
disk before it takes the old one's place, single records are not, so the last seconds may be lost.
"""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.hub.model.json_types import Document, to_json
from simulator.hub.model.persistence import Persistence, StateError

_log = logging.getLogger(__name__)

_HEADER: Document = {"format": "fleet-rollout local hub", "version": 1}
_REWRITE_BYTES = 4 << 20
"""How much may be appended, at least, before the file is rewritten; and not before it has
tripled, so that rewriting costs no more than appending in the long run."""
_PRIVATE = 0o600


class StateFile:
    """`with StateFile(path, hub.persistence):` restores the state and keeps it for the block.

    Raises StateError for a file that is in use, is not a hub's, or cannot be read and written.
    """

    def __init__(self, path: Path, persistence: Persistence):
        self._path = path
        self._persistence = persistence
        self._lock = -1
        self._file = -1
        self._size = 0
        self._rewrite_at = 0

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            raise StateError(f"no state can be kept in {self._path}: {error}") from error
        return self

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._path.with_name(self._path.name + ".lock"))
        try:
            if self._path.exists():
                self._persistence.restore(_records(self._path))
            self._rewrite()
        except BaseException:
            os.close(self._lock)
            raise
        self._persistence.keep_with(self.append)

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._persistence.keep_with(lambda _record: None)
        os.fsync(self._file)
        os.close(self._file)
        os.close(self._lock)

    def append(self, record: Document) -> None:
        """Add a record, whole or not at all. Raises OSError, for one when the disk is full."""
        if self._size > self._rewrite_at:
            self._try_to_rewrite()
        line = to_json(record) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, self._size)
            raise OSError(f"only {written} of {len(line)} bytes fitted into {self._path}")
        self._size += written

    def _try_to_rewrite(self) -> None:
        """A disk without room for a second file may have room for a record yet."""
        try:
            self._rewrite()
        except OSError as error:
            _log.warning("%s could not be rewritten: %s", self._path, error)
            self._rewrite_at = 2 * self._size

    def _rewrite(self) -> None:
        """The present state into a new file, and that into the old one's place."""
        new = self._path.with_name(f".{self._path.name}.new")
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        try:
            with os.fdopen(os.dup(file), "wb") as buffered:
                for record in (_HEADER, *self._persistence.snapshot()):
                    buffered.write(to_json(record) + b"\n")
            os.fsync(file)
            new.replace(self._path)
        except BaseException:
            os.close(file)
            new.unlink(missing_ok=True)
            raise
        _sync_folder(self._path.parent)
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = os.fstat(file).st_size
        self._rewrite_at = max(_REWRITE_BYTES, 3 * self._size)


def _locked(path: Path) -> int:
    """Two hubs that wrote one file would lose each other's changes."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise StateError(f"another hub keeps its state there: {path}") from error
    return lock


def _records(path: Path) -> Iterator[Document]:
    """The records of a file after its header, without a last one that was torn."""
    with path.open("rb") as file:
        lines = enumerate(_whole(file), 1)
        _number, header = next(lines, (0, b"null"))
        if _parsed(header) != _HEADER:
            raise StateError(f"{path} is not a local hub's state, or of another version")
        for number, line in lines:
            record = _parsed(line)
            if not isinstance(record, dict):
                raise StateError(f"{path}, line {number} cannot be read")
            yield record


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end; what a killed hub began to write has no end."""
    return (line for line in lines if line.endswith(b"\n"))


def _parsed(line: bytes) -> object:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


def _sync_folder(folder: Path) -> None:
    """Without this the new name may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
