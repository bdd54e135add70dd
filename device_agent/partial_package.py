"""Keep a part of a package on the disk, with its hash so far and a note that identifies it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Self

from device_agent.errors import SwitchedOffError, UnavailableError
from device_agent.offer import Offer
from device_agent.ports import Storage, Writer

PACKAGE = "package"
_NOTE = "package.json"


type WriteChunk = Callable[[bytes], None]
"""Writes the next chunk of the package."""


def discard(storage: Storage) -> None:
    """Delete the package on the disk and its note."""
    storage.delete(PACKAGE)
    storage.delete(_NOTE)


@dataclass(slots=True)
class _Note:
    source: str
    """Identifies the package."""
    etag: str | None = None
    """The strong entity tag; None if the server sent none."""
    session: str = ""
    """The storage's session when the note was written."""
    synced: int = 0
    """How many bytes survive a loss of power."""


class PartialPackage:
    """The part of an offered package that is on the disk; every method may raise OSError."""

    def __init__(self, storage: Storage, offer: Offer, sync_bytes: int) -> None:
        """Continue from the part on the disk; delete any other package."""
        self._storage, self._offer, self._sync_bytes = storage, offer, sync_bytes
        self._note = self._find_note()
        self.received = self._count_trusted_bytes()
        with storage.append(PACKAGE, self.received):
            pass  # cuts off what is not trusted
        if self._note.session != storage.session or self._note.synced > self.received:
            self._note.synced = min(self._note.synced, self.received)
            self._write_note()
        self._hash = hashlib.sha256()
        for chunk in storage.chunks(PACKAGE):
            self._hash.update(chunk)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the part on the disk."""
        return self._hash.hexdigest()

    @property
    def etag(self) -> str | None:
        """The strong entity tag of the package; None if unknown."""
        return self._note.etag

    @property
    def can_resume(self) -> bool:
        """Whether a later response can be recognised as the rest of this package."""
        return self._offer.sha256 is not None or self.etag is not None

    def set_etag(self, etag: str) -> None:
        """Record the entity tag in the note."""
        self._note.etag = etag
        self._write_note()

    def restart(self) -> None:
        """Delete the part on the disk and start again."""
        if not self.received and self.etag is None:
            return
        self._storage.delete(PACKAGE)
        self._note = self._new_note()
        self.received = 0
        self._hash = hashlib.sha256()

    def sync(self) -> None:
        """Sync the part, also what was written before a restart."""
        if self._note.synced < self.received:
            with self._storage.append(PACKAGE, self.received) as file:
                self._sync(file)

    @contextmanager
    def open(self) -> Iterator[WriteChunk]:
        """Open the part to append to it. Keep what was written if the download is interrupted."""
        with self._storage.append(PACKAGE, self.received) as file, _Hashing(self._hash) as hashing:
            try:
                yield lambda chunk: self._write_chunk(file, hashing, chunk)
            except (UnavailableError, SwitchedOffError):
                self._sync(file)
                raise
            self._sync(file)

    def _write_chunk(self, file: Writer, hashing: "_Hashing", chunk: bytes) -> None:
        hashing.update(chunk)
        file.write(chunk)
        self.received += len(chunk)
        if self.received - self._note.synced >= self._sync_bytes:
            self._sync(file)

    def _find_note(self) -> _Note:
        note = _read(self._storage)
        if note is not None and note.source == self._offer.source:
            return note
        self._storage.delete(PACKAGE)
        return self._new_note()

    def _count_trusted_bytes(self) -> int:
        """Return after how many bytes on the disk the download can continue."""
        size, most = self._storage.size(PACKAGE), self._offer.size_bytes
        if self._note.session != self._storage.session:
            size = min(size, self._note.synced)
        fits = most is None or size <= most
        return size if self.can_resume and fits else 0

    def _new_note(self) -> _Note:
        self._note = _Note(self._offer.source)
        self._write_note()
        return self._note

    def _sync(self, file: Writer) -> None:
        file.sync()
        self._note.synced = self.received
        self._write_note()

    def _write_note(self) -> None:
        self._note.session = self._storage.session
        self._storage.replace(_NOTE, json.dumps(asdict(self._note)).encode())


class _Hashing:
    """Hashes a chunk in another thread while it is written and the next one arrives."""

    def __init__(self, into: "hashlib._Hash") -> None:
        self._into = into
        self._pool = ThreadPoolExecutor(1)
        self._latest: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def update(self, chunk: bytes) -> None:
        if self._latest is not None:
            self._latest.result()  # at most one chunk behind, which bounds the memory
        self._latest = self._pool.submit(self._into.update, chunk)


def _read(storage: Storage) -> _Note | None:
    note = storage.read(_NOTE)
    try:
        return _Note(**json.loads(note)) if note else None
    except (ValueError, TypeError):
        return None
