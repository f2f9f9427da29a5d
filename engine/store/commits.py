"""Has anybody committed since? Told without asking the database, where SQLite keeps the answer in our own memory.

In WAL mode a commit, whoever makes it, ends with a new header of the WAL-index: the first 96 bytes of the file
`<database>-shm`, twice the same 48 (sqlite.org/walformat.html, 2.1). It counts the commits, and holds the log's salts,
length and checksum: a log of the same salts only grows, so that no header comes twice. A reader of SQLite's that begins
compares just these bytes with those it knows: equal, and all it has read is still so. We compare them too, in a fifth
of a microsecond.

Whoever takes a mark, then reads in a transaction that begins afterwards, and later finds the mark unchanged, has missed
no commit that was over by then. A header half-written is no mark: its two copies differ.

The bytes are those of our connection's database, and can be read at any moment:

- The file is never opened here: whoever closes any descriptor of it drops all of SQLite's locks in this process
  (sqlite.org/howtocorrupt.html, 2.2). What SQLite has mapped is found in /proc/self/maps, and mapped once more from
  there, by mremap(2) with an old size of 0. That mapping is ours, nobody else can unmap or move it: no address here is
  ever stale. Only a file cut short by a stranger could fault, under SQLite's own mapping just as well.
- Each connection in WAL mode maps its WAL-index from its first read until it is closed. If only one file is mapped
  that could be one, it is that of our connection; and it must still be named after the database. Are there several,
  as when a database was put in the place of another one that is still open, then it is the one that is locked while
  our connection reads (/proc/locks). Are several read just then, then we don't guess.
- While our connection is open nobody can end WAL mode, make the file anew or delete it: SQLite's own locks. A new
  file put in its place by hand is not what our connection reads, and a mark speaks of what it reads.

Where anything is unlike that (no Linux, no WAL, exclusive or memory databases, another version of the format) there
is no mark, and whoever wants to know asks by SQL.
"""

import ctypes
import mmap
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

_MAPS = Path("/proc/self/maps")
_LOCKS = Path("/proc/locks")
_INDEX_SIZE = 32768  # SQLite maps its WAL-index in pieces of at least this size
_HEADER = 48  # bytes, twice
_VERSION = (3007000).to_bytes(4, sys.byteorder)
_IS_INIT = 12  # where it is told that the header is valid, by a 1
_SALTS = slice(32, 40)
_READERS = range(123, 128)  # the bytes of the WAL-index of which a reader locks one (sqlite.org/walformat.html, 2.3)
_NO_SALTS = bytes(8)  # of a log that was found empty: such a header could come twice
_MAY_MOVE = 1
_FAILED = ctypes.c_void_p(-1).value


class _Mapped(NamedTuple):
    """A piece of a file in our memory, from the file's beginning on."""

    address: int
    size: int
    file: tuple[str, str, str]  # device, inode and the name it has now


class Commits:
    """What was committed to the database of this connection, as one mark. The connection must outlive it; close it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._own: int | None = None
        with suppress(OSError, AttributeError, ValueError, sqlite3.Error):  # no such system: there is no mark
            self._own = _own_mapping(connection)
        self._header: Any = None if self._own is None else (ctypes.c_char * (2 * _HEADER)).from_address(self._own)

    def mark(self) -> bytes | None:
        """What changes with each commit, of whatever process; None when it can't be told."""
        if self._header is None:
            return None
        found: bytes = self._header.raw
        is_known = found.startswith(_VERSION) and found[_IS_INIT] == 1 and found[_SALTS] != _NO_SALTS
        return found if is_known and found[:_HEADER] == found[_HEADER:] else None

    def are_still(self, mark: bytes | None) -> bool:
        """Whether no commit has ended since this mark was taken."""
        return mark is not None and self._header is not None and bool(self._header.raw == mark)

    def close(self) -> None:
        """No mark can be told from now on."""
        self._header = None
        if self._own is not None:
            _libc().munmap(self._own, mmap.PAGESIZE)
            self._own = None


def _own_mapping(connection: sqlite3.Connection) -> int | None:
    """The address of a second mapping, which is ours, of what the connection has mapped."""
    index = _index_of(connection)
    found = [one for one in _mapped() if one.size >= _INDEX_SIZE]
    if len({one.file for one in found}) > 1:
        found = _read_by(connection, found)
    if not index or {one.file[2] for one in found} != {index}:
        return None
    own: int | None = _libc().mremap(found[0].address, 0, mmap.PAGESIZE, _MAY_MOVE)
    if own in (None, _FAILED):
        return None
    if _Mapped(own, mmap.PAGESIZE, found[0].file) in _mapped():
        return own
    _libc().munmap(own, mmap.PAGESIZE)  # it was closed by another thread, just now
    return None


def _index_of(connection: sqlite3.Connection) -> str:
    """The name that the WAL-index of the connection has, if there is one."""
    connection.execute("PRAGMA schema_version").fetchall()  # reads the database: from now on the index is mapped
    databases = connection.execute("PRAGMA database_list").fetchall()
    return next((f"{file}-shm" for _, name, file in databases if name == "main" and file), "")


def _read_by(connection: sqlite3.Connection, mapped: list[_Mapped]) -> list[_Mapped]:
    """What of this is the WAL-index of the connection; nothing where other databases are read just now, too."""
    with closing(connection.execute("SELECT name FROM sqlite_master")) as _a_reader_until_it_is_closed:
        lines = [line.split() for line in _LOCKS.read_text().split("\n")]
    ours = [line[-3:] for line in lines if len(line) >= 8 and line[-4] == str(os.getpid())]
    read = {where for where, first, _ in ours if int(first) in _READERS}
    return [one for one in mapped if {f"{one.file[0]}:{one.file[1]}"} == read]


def _mapped() -> list[_Mapped]:
    """The beginnings of files that this process shares with others, to read and to write."""
    found = []
    for line in _MAPS.read_text("utf-8", "surrogateescape").split("\n"):
        if " rw-s 00000000 " in line:
            where, _, _, device, inode, *name = line.split(None, 5)
            begin, end = (int(one, 16) for one in where.split("-"))
            found += [_Mapped(begin, end - begin, (device, inode, name[0]))] if name else []
    return found


def _libc() -> Any:
    libc = ctypes.CDLL(None)
    libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    libc.mremap.restype = ctypes.c_void_p
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
