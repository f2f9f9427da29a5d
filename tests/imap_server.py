"""An IMAP server that knows just the commands we use: UID SEARCH, FETCH, STORE in one folder, login and TLS."""

import base64
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass
class Post:
    """One mail on the server."""

    raw: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class ImapServer:
    """One account with one folder; what it holds can be looked at and changed between commands."""

    posts: dict[int, Post] = field(default_factory=dict)
    folder: str = '"INBOX"'
    password: str = "open sesame"
    username: str = "bounces"
    keeps_keywords: bool = True
    offers_plain: bool = True
    validity: int = 7
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    hang_up_after: int = 10**9  # FETCHes
    heard: list[str] = field(default_factory=list)
    port: int = 0

    def put(self, *raws: bytes) -> None:
        """Deliver these mails."""
        for raw in raws:
            self.posts[max(self.posts, default=0) + 1] = Post(raw)

    def flags(self) -> list[set[str]]:
        """Of every mail, oldest first."""
        return [post.flags for _, post in sorted(self.posts.items())]


@contextmanager
def serving_imap(server: ImapServer) -> Iterator[ImapServer]:
    """The server in threads, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = int(listener.getsockname()[1])
        open_ones: list[socket.socket] = []
        thread = threading.Thread(target=_listen, args=(server, listener, open_ones), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            for one in (listener, *open_ones):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _listen(server: ImapServer, listener: socket.socket, open_ones: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            connected, _ = listener.accept()
            open_ones.append(connected)
            dialogue = _Dialogue(server, connected)
            with suppress(OSError):
                if server.implicit:
                    dialogue.begin_tls()
                dialogue.run()
            dialogue.hang_up()


class _Dialogue:
    def __init__(self, server: ImapServer, connected: socket.socket) -> None:
        self._server = server
        self._connected = connected
        self._lines: BinaryIO = connected.makefile("rb")
        self._fetched = 0

    def begin_tls(self) -> None:
        assert self._server.tls is not None
        self._lines.close()
        self._connected = self._server.tls.wrap_socket(self._connected, server_side=True)
        self._lines = self._connected.makefile("rb")

    def hang_up(self) -> None:
        with suppress(OSError):
            self._lines.close()
        self._connected.close()

    def run(self) -> None:
        self._say("* OK ready")
        while line := self._lines.readline().decode("utf-8", "replace").rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            word = command.partition(" ")[0].upper()
            self._server.heard.append(word if word in ("LOGIN", "AUTHENTICATE") else command)
            if word == "LOGOUT":
                self._say("* BYE", f"{tag} OK bye")
                return
            known = getattr(self, f"_{word.lower()}", None)
            if known is None:
                return  # no IMAP at all: somebody tries TLS
            known(tag, command)

    def _capability(self, tag: str, _command: str) -> None:
        plain = " AUTH=PLAIN" if self._server.offers_plain else ""
        start = " STARTTLS" if self._server.tls and not self._server.implicit else ""
        self._say(f"* CAPABILITY IMAP4rev1{plain}{start}", f"{tag} OK done")

    def _starttls(self, tag: str, _command: str) -> None:
        self._say(f"{tag} OK begin")
        self.begin_tls()

    def _authenticate(self, tag: str, _command: str) -> None:
        self._say("+ ")
        said = base64.b64decode(self._lines.readline()).decode()
        right = said == f"\0{self._server.username}\0{self._server.password}"
        self._say(f"{tag} OK in" if right else f"{tag} NO [AUTHENTICATIONFAILED] wrong")

    def _login(self, tag: str, command: str) -> None:
        right = command == f'LOGIN {self._server.username} "{self._server.password}"'
        self._say(f"{tag} OK in" if right else f"{tag} NO [AUTHENTICATIONFAILED] wrong")

    def _select(self, tag: str, command: str) -> None:
        if command.partition(" ")[2] != self._server.folder:
            self._say(f"{tag} NO no such mailbox")
            return
        kept = r"(\Seen \Deleted \*)" if self._server.keeps_keywords else r"(\Seen \Deleted)"
        self._say(f"* {len(self._server.posts)} EXISTS", f"* OK [PERMANENTFLAGS {kept}] kept")
        self._say(f"* OK [UIDVALIDITY {self._server.validity}] valid", f"{tag} OK [READ-WRITE] open")

    def _uid(self, tag: str, command: str) -> None:
        _, word, rest = command.split(" ", 2)
        getattr(self, f"_uid_{word.lower()}")(tag, rest)

    def _uid_search(self, tag: str, rest: str) -> None:
        asked = re.fullmatch(r"(\d+):(\d+|\*) (UNSEEN|UNKEYWORD (\S+))", rest)
        assert asked, rest
        without = asked[4] or r"\Seen"
        last = None if asked[2] == "*" else int(asked[2])
        in_place = sorted(self._server.posts.items())[int(asked[1]) - 1 : last]
        found = [uid for uid, post in in_place if without not in post.flags]
        self._say(f"* SEARCH {' '.join(str(n) for n in found)}".rstrip(), f"{tag} OK done")

    def _uid_fetch(self, tag: str, rest: str) -> None:
        self._fetched += 1
        if self._fetched > self._server.hang_up_after:
            raise ConnectionError("gone")
        asked = re.fullmatch(r"(\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", rest)
        assert asked, rest
        post = self._server.posts.get(int(asked[1]))
        if post is not None:
            raw = post.raw[: int(asked[2])]
            self._connected.sendall(f"* 1 FETCH (UID {asked[1]} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        self._say(f"{tag} OK done")

    def _uid_store(self, tag: str, rest: str) -> None:
        asked = re.fullmatch(r"(\d+) \+FLAGS\.SILENT \((.*)\)", rest)
        assert asked, rest
        post = self._server.posts.get(int(asked[1]))
        wanted = set(asked[2].split())
        if not self._server.keeps_keywords and any(not one.startswith("\\") for one in wanted):
            self._say(f"{tag} NO keywords are not kept")
            return
        if post is not None:
            post.flags |= wanted
        self._say(f"{tag} OK done")

    def _say(self, *lines: str) -> None:
        self._connected.sendall("".join(f"{line}\r\n" for line in lines).encode())
