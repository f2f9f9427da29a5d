"""Where in the author's files does this character of a flattened template come from?"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """From `start` on, the flattened text stands in `file`, from `offset` on."""

    start: int
    file: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A flattened template and the way back to its files. Pieces are in order; the first starts at 0."""

    text: str
    pieces: tuple[Piece, ...]
    files: Mapping[str, str] = field(repr=False)  # short name -> its text

    def place(self, position: int) -> str:
        """`winback/en.mjml:12:5` for a character of the flattened text."""
        piece = self.pieces[max(0, bisect_right(self.pieces, position, key=lambda one: one.start) - 1)]
        return place_in(piece.file, self.files.get(piece.file, ""), piece.offset + max(0, position - piece.start))

    def place_of_line(self, line: int) -> str:
        """The place of the first written character of a line (1 = first)."""
        lines = self.text.split("\n")
        start = sum(len(one) + 1 for one in lines[: line - 1])
        here = lines[line - 1] if line <= len(lines) else ""
        return self.place(start + len(here) - len(here.lstrip()))

    def spliced(self, start: int, end: int, text: str, file: str) -> "Source":
        """The source with `text`, which came from `file`, in place of a stretch."""
        before = tuple(one for one in self.pieces if one.start < start)
        rest = [one for one in self.pieces if one.start >= end]
        shift = len(text) - (end - start)
        holder = self.pieces[max(0, bisect_right(self.pieces, end, key=lambda one: one.start) - 1)]
        after = Piece(start=start + len(text), file=holder.file, offset=holder.offset + end - holder.start)
        moved = [Piece(start=one.start + shift, file=one.file, offset=one.offset) for one in rest if one.start > end]
        return Source(
            text=self.text[:start] + text + self.text[end:],
            pieces=(*before, Piece(start=start, file=file, offset=0), after, *moved),
            files={**self.files, file: text},
        )


def place_in(file: str, text: str, offset: int) -> str:
    """`file:line:column`, both counted from 1."""
    before = text[:offset]
    return f"{file}:{before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}"


class Edits:
    """Changes to a text, collected in any order and made at once; knows the way back afterwards."""

    def __init__(self) -> None:
        self._edits: list[tuple[int, int, str]] = []

    def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of a stretch; stretches must not overlap."""
        self._edits.append((start, end, text))

    def insert(self, at: int, text: str) -> None:
        """Put `text` before the character at `at`."""
        self._edits.append((at, at, text))

    def made_in(self, text: str) -> "Edited":
        """The changed text."""
        out: list[str] = []
        starts, origins = [0], [0]
        position = length = 0
        for start, end, new in sorted(self._edits, key=lambda one: one[:2]):
            if start < position:
                continue  # lies in a stretch that is gone as a whole, such as a comment
            kept = text[position:start]
            out += [kept, new]
            length += len(kept)
            starts += [length, length + len(new)]
            origins += [start, end]
            length += len(new)
            position = end
        out.append(text[position:])
        return Edited(text="".join(out), starts=tuple(starts), origins=tuple(origins))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A changed text, and for its stretches where they stood before."""

    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]

    def origin(self, position: int) -> int:
        """Where the character at `position` stood before the changes; for new text, the place it was put at."""
        index = bisect_right(self.starts, position) - 1
        return self.origins[index] + (position - self.starts[index] if index % 2 == 0 else 0)

    def origin_of_byte(self, position: int) -> int:
        """The same for a position in UTF-8 bytes."""
        return self.origin(len(self.text.encode()[:position].decode(errors="ignore")))
