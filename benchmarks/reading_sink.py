"""A mail server that reads what it takes, and keeps it where a folder is named: to look at what came over the wire.

Run as a program: `reading_sink.py [FOLDER|- [SECONDS]]`. Prints its port, and at SIGTERM how many messages came in
whole. Offers PIPELINING and CHUNKING. Each message is answered after so many seconds, as by a relay that stores it.
"""

import signal
import socketserver
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n"


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path | None, pause: float) -> None:
        self.messages = 0
        self.pause = pause
        self._folder = folder
        self._one_at_a_time = threading.Lock()
        super().__init__(("127.0.0.1", 0), Session)

    def take(self, message: bytes) -> None:
        """Count one message, and keep it."""
        with self._one_at_a_time:
            self.messages += 1
            if self._folder:
                (self._folder / f"{self.messages:06d}.eml").write_bytes(message)


class Session(socketserver.StreamRequestHandler):
    """One connection; an answer a command, at once."""

    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        """Obey until QUIT."""
        chunks: list[bytes] = []
        self.wfile.write(b"220 sink ESMTP\r\n")
        while line := self.rfile.readline():
            verb, _, rest = line.strip().upper().partition(b" ")
            if verb == b"EHLO":
                self.wfile.write(_EXTENSIONS)
            elif verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                message = self._data()
                if message is None:
                    return
                self._take(message)
            elif verb == b"BDAT":
                size, _, last = rest.partition(b" ")
                chunks.append(self.rfile.read(int(size)))
                if len(chunks[-1]) < int(size):
                    return  # hung up in the middle: nobody has taken that
                if last:
                    self._take(b"".join(chunks))
                    chunks = []
                else:
                    self.wfile.write(b"250 2.0.0 go on\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 2.0.0 bye\r\n")
                return
            else:
                self.wfile.write(b"250 2.1.0 fine\r\n")

    def _take(self, message: bytes) -> None:
        self.server.take(message)
        time.sleep(self.server.pause)
        self.wfile.write(b"250 2.0.0 taken\r\n")

    def _data(self) -> bytes | None:
        """The lines up to the dot; None when the client hangs up before."""
        lines: list[bytes] = []
        while line := self.rfile.readline():
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        return None


def main() -> None:
    """Serve until SIGTERM."""
    folder, pause = [*sys.argv[1:], *("-", "0")[len(sys.argv) - 1 :]]
    server = Server(None if folder == "-" else Path(folder), float(pause))

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.1)
    print(server.messages, flush=True)


if __name__ == "__main__":
    main()
