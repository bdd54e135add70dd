"""The file of `--state`: one table of an SQLite database.

Every change is committed before it is made and confirmed, so a killed hub (SIGKILL) has stored all
that it has confirmed. SQLite drops a commit that was written in part.

The journal is a write-ahead log with `synchronous=NORMAL`: the disk is synced when the log is
merged into the database, not at every commit. After a power failure the last seconds may be
missing; the database stays whole. A sync at every commit would take milliseconds of each twin
update, and a local hub holds nothing that is worth them.

The lock is exclusive and kept while the file is open, so two hubs cannot share one file.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.hub.model.json_types import to_json
from simulator.hub.model.persistence import Kind, Persistence, Record, StateError

_APPLICATION_ID = 0x464C5448
"""Marks the file as a local hub's (SQLite's `application_id`): FLTH in ASCII."""
_VERSION = 2
"""Version of the table. Version 1 was a log of JSON lines, in no database."""
_VERSION_1_BEGINS = b'{"format":"fleet-rollout local hub"'
_PRIVATE = 0o600
_TABLE = """
    CREATE TABLE state (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        serial INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (kind, key)
    )
"""
_PUT = """
    INSERT INTO state VALUES (?, ?, ?, ?) ON CONFLICT (kind, key)
    DO UPDATE SET serial = excluded.serial, document = excluded.document
"""
_REMOVE = "DELETE FROM state WHERE kind = ? AND key = ?"
_ALL = "SELECT kind, key, serial, document FROM state ORDER BY kind, serial"


class StateFile:
    """`with StateFile(path, hub.persistence):` restores the state and stores every change.

    Raises StateError if the file is in use, is not a hub's, or cannot be read or written.
    """

    def __init__(self, path: Path, persistence: Persistence) -> None:
        self._path = path
        self._persistence = persistence
        self._connection: sqlite3.Connection

    def __enter__(self) -> Self:
        try:
            self._connection = self._open()
        except OSError as error:
            raise StateError(f"cannot store state in {self._path}: {error}") from error
        try:
            self._prepare()
            self._persistence.restore(self._records())
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._unusable(error) from error
            raise
        self._persistence.store_in(self)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._persistence.store_in(None)
        self._connection.close()

    def put(self, record: Record) -> None:
        """Insert or replace a record. Raises StateError, for example when the disk is full."""
        row = (record.kind.value, record.key, record.serial, to_json(record.document))
        self._execute(_PUT, row)

    def remove(self, kind: Kind, key: str) -> None:
        """Remove a record. Raises StateError."""
        self._execute(_REMOVE, (kind.value, key))

    def _execute(self, statement: str, values: tuple[str | int | bytes, ...]) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StateError(f"cannot write {self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        """Open the database, creating the file if it is missing. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.touch(_PRIVATE)
        if not self._path.is_file():
            raise IsADirectoryError("not a file")
        return sqlite3.connect(self._path, timeout=0, isolation_level=None)

    def _prepare(self) -> None:
        """Lock the file, check whose it is, and create the table in a new one."""
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("BEGIN EXCLUSIVE")
        marks = self._number("PRAGMA application_id"), self._number("PRAGMA user_version")
        if marks == (0, 0) and not self._number("SELECT count(*) FROM sqlite_schema"):
            execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            execute(f"PRAGMA user_version = {_VERSION}")
            execute(_TABLE)
        elif marks[0] != _APPLICATION_ID:
            raise StateError(f"{self._path} is not a local hub's state; choose another file")
        elif marks[1] != _VERSION:
            raise StateError(
                f"{self._path} has state of version {marks[1]}, expected {_VERSION}; start the hub "
                "that wrote it, or choose another file"
            )
        execute("COMMIT")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")

    def _number(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])

    def _records(self) -> Iterator[Record]:
        """Yield every record, devices before modules, in order of registration."""
        for kind, key, serial, text in self._connection.execute(_ALL):
            try:
                yield Record(Kind(kind), key, serial, json.loads(text))
            except (ValueError, RecursionError) as error:
                message = f"{self._path}: {kind} {key} cannot be read: {error}"
                raise StateError(message) from error

    def _unusable(self, error: sqlite3.Error) -> StateError:
        """Return why the file cannot be used, and what to do."""
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_BUSY:
            return StateError(f"{self._path} is in use by another hub; stop it first")
        if code != sqlite3.SQLITE_NOTADB:
            return StateError(f"cannot store state in {self._path}: {error}")
        with self._path.open("rb") as file:
            is_version_1 = file.read(len(_VERSION_1_BEGINS)) == _VERSION_1_BEGINS
        if is_version_1:
            return StateError(
                f"{self._path} has state of version 1, expected {_VERSION}; delete the file or "
                "choose another one, and register the devices again"
            )
        return StateError(f"{self._path} is not a local hub's state; choose another file")
