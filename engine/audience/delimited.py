"""What does a CSV file say, row by row, with the line each row begins on? Memory stays flat, whatever the file holds.

A quote that never closes would swallow the rest of the file into one cell. Here its line alone is refused, and reading
goes on with the next one.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TextIO

from engine.audience.file_facts import BROKEN, FileFacts
from engine.errors import BadFile

DELIMITERS = ",;\t|"
_LONGEST = 1 << 20  # characters in a row; a cell is limited by the csv module to 131,072

_FAULTS = (
    ("unexpected end of data", "a quote is opened here and never closed"),
    ("expected after", "text follows a closing quote; a quote within a cell must be doubled"),
    ("field limit", "a cell is longer than 131,072 characters"),
)
DAMAGED = "damaged bytes: not readable in the file's encoding"

Cells = list[str]


class _TooLong(csv.Error):
    """The row holds more than `_LONGEST` characters."""


class _Lines:
    """The file's physical lines; those of a faulty row can be pushed back, but for its first."""

    def __init__(self, file: TextIO) -> None:
        self._read = partial(file.readline, _LONGEST)
        self._pushed: deque[str | None] = deque()
        self._taken: list[str | None] = []  # None stands for a line too long to keep
        self._length = 0
        self.number = 0  # of the line read last

    def begin(self) -> int:
        """A new row begins: the number of its first line."""
        self._taken.clear()
        self._length = 0
        return self.number + 1

    def go_back(self) -> None:
        """Read again from the second line of this row on."""
        again = self._taken[1:]
        self._pushed.extendleft(reversed(again))
        self.number -= len(again)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._pushed.popleft() if self._pushed else self._next_line()
        if line == "":
            raise StopIteration
        self.number += 1
        self._taken.append(line)
        self._length += len(line or "")
        if line is None or self._length > _LONGEST:
            raise _TooLong
        return line

    def _next_line(self) -> str | None:
        line = self._read()
        if len(line) < _LONGEST:
            return line
        while line and line[-1] not in "\r\n":
            line = self._read()
        return None


@dataclass(frozen=True, slots=True)
class _Header:
    delimiter: str
    cells: Cells
    ends: int  # its last line


class Delimited:
    """An opened CSV file: its header, then its rows."""

    def __init__(self, facts: FileFacts, recognised: Callable[[Sequence[str]], int]) -> None:
        """`recognised` says how many names of a header are known: that tells the delimiter. BadFile without one."""
        self._facts = facts
        told = self._told_delimiter()
        found = [one for each in told or DELIMITERS if (one := self._header(each, skip=len(told)))]
        if not found:
            raise BadFile(f"{facts.path}: the first line is not a header; it must hold the names of the columns")
        self._first = max(found, key=lambda one: (recognised(one.cells), len(one.cells)))
        self.header = self._first.cells

    def rows(self) -> Iterator[tuple[int, Cells | str]]:
        """The line a row begins on, and its cells or what is wrong with it. Blank rows are left out."""
        width = len(self.header)
        with self._open() as file:
            for line, cells in _records(_Lines(file), self._first.delimiter):
                if line <= self._first.ends or (isinstance(cells, list) and not any(map(str.strip, cells))):
                    continue
                if isinstance(cells, list) and len(cells) != width:
                    yield line, f"{_cells(len(cells))}, but the header has {width}"
                elif any(BROKEN in cell for cell in cells if not cell.isascii()):
                    yield line, DAMAGED
                else:
                    yield line, cells

    def _open(self) -> TextIO:
        return self._facts.text(newline="")

    def _told_delimiter(self) -> str:
        """Excel's own first line, `sep=;`."""
        with self._open() as file:
            first = file.readline(16).strip('\ufeff"\r\n ')
        return first[4] if len(first) == 5 and first.lower().startswith("sep=") else ""

    def _header(self, delimiter: str, skip: int) -> _Header | None:
        """The first row that says something, read with this delimiter."""
        with self._open() as file:
            lines = _Lines(file)
            for _, cells in islice(_records(lines, delimiter), skip, None):
                if isinstance(cells, str):
                    return None
                if any(map(str.strip, cells)):
                    return _Header(delimiter, [cell.strip() for cell in cells], lines.number)
        return None


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, Cells | str]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = lines.begin()
        try:
            yield first, next(reader)
        except StopIteration:
            return
        except _TooLong:
            lines.go_back()
            yield first, f"the row is longer than {_LONGEST:,} characters"
        except csv.Error as fault:
            lines.go_back()
            yield first, next((told for word, told in _FAULTS if word in str(fault)), str(fault))


def _cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"
