"""What kind of file is this? One pass over its bytes tells digest, encoding, and about how many lines."""

import codecs
import hashlib
import re
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from engine.errors import BadFile

_BLOCK = 1 << 20
_HEAD = 4096

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV"),
    (b"\x1f\x8b", "packed with gzip; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"%PDF", "a PDF; an import needs CSV, JSONL or Parquet"),
)
_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")

BROKEN = "\udcff"  # stands where bytes could not be read: a lone surrogate, which no sound text holds


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file as its bytes tell it."""

    path: Path
    sha256: str
    encoding: str
    lines: int  # about: line ends within cells count too
    head: bytes
    data: bytes | None = None  # what came over the network and never was a file

    def text(self, newline: str | None = None) -> TextIO:
        """Its text from the beginning; damaged bytes are marked."""
        if self.data is None:
            return self.path.open(encoding=self.encoding, errors=MARK_BROKEN, newline=newline)
        return TextIOWrapper(BytesIO(self.data), encoding=self.encoding, errors=MARK_BROKEN, newline=newline)

    @property
    def is_parquet(self) -> bool:
        """Is it a Parquet file?"""
        return self.head.startswith(b"PAR1")

    @property
    def is_jsonl(self) -> bool:
        """Does it hold JSON, to be read an object a line?"""
        first = self.head.decode(self.encoding, "ignore").lstrip("\ufeff \t\r\n")[:1]
        return first == "{" or self.path.suffix.lower() in (".jsonl", ".ndjson")


def file_facts(path: Path) -> FileFacts:
    """Look through the whole file once; BadFile when it can't be an import."""
    try:
        if not path.is_file():
            raise BadFile(f"{path} is not a file; name a CSV, JSONL or Parquet file")
        return _looked_through(path)
    except OSError as fault:
        raise BadFile(f"{path} can't be read: {fault.strerror}") from fault


def body_facts(data: bytes, name: str) -> FileFacts:
    """The same of a request's body; BadFile when it is empty."""
    if not data.strip():
        raise BadFile(f"{name} is empty")
    encoding = _marked(data[:_HEAD]) or (
        "utf-8" if _goes_on(codecs.getincrementaldecoder("utf-8")(), data) else "cp1252"
    )
    digest = hashlib.sha256(data).hexdigest()
    return FileFacts(
        path=Path(name), sha256=digest, encoding=encoding, lines=data.count(b"\n"), head=data[:_HEAD], data=data
    )


def _looked_through(path: Path) -> FileFacts:
    digest, newlines, returns, head, sound = hashlib.sha256(), 0, 0, b"", True
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            head = head or block[:_HEAD]
            digest.update(block)
            newlines, returns = newlines + block.count(b"\n"), returns + block.count(b"\r")
            sound = sound and _goes_on(decoder, block)
        sound = sound and _goes_on(decoder, b"", final=True)
    if not head.strip():
        raise BadFile(f"{path} is empty; the first line must hold the names of the columns")
    if told := next((told for mark, told in _PACKED if head.startswith(mark)), ""):
        raise BadFile(f"{path} is {told}")
    encoding = _marked(head) or ("utf-8" if sound or _is_mostly_utf8(path) else "cp1252")
    return FileFacts(path=path, sha256=digest.hexdigest(), encoding=encoding, lines=max(newlines, returns), head=head)


def _goes_on(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _marked(head: bytes) -> str:
    """The encoding by its byte order mark, or by the zeros that UTF-16 puts beside plain letters; else empty."""
    if found := next((name for mark, name in _BOMS if head.startswith(mark)), ""):
        return found
    half = len(head) // 2
    if half and head[1::2].count(0) > 0.4 * half and head[0::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if half and head[0::2].count(0) > 0.4 * half and head[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return ""


def _is_mostly_utf8(path: Path) -> bool:
    """Not sound UTF-8: is it UTF-8 with some bytes damaged, or the old Western encoding?"""
    letters = damaged = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if not block.isascii():
                found = _UTF8_LETTER.findall(block)
                letters += len(found)
                damaged += len(_HIGH.findall(block)) - sum(map(len, found))
    return letters >= damaged


def _mark_broken(fault: UnicodeError) -> tuple[str, int]:
    assert isinstance(fault, UnicodeDecodeError)
    return BROKEN, fault.end


MARK_BROKEN = "mailer.mark_broken"  # for `open(errors=...)`: a damaged row is refused, the others go in
codecs.register_error(MARK_BROKEN, _mark_broken)
