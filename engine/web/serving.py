"""How is the app put on the network? One uvicorn process on the configured address, behind the shop's https proxy."""

import socket
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from engine.errors import MailerError
from engine.pipeline import Mailer
from engine.web.tracking import tracking_app

_STOP_SECONDS = 5  # an answer under way is finished; who sends slowly is not waited for
_MOST_CONNECTIONS = 1000  # more are told to come again; the system allows a process about as many files


def serve(mailer: Mailer) -> None:
    """Serve until stopped; MailerError when the address can't be listened on."""
    listening = listen_on(mailer.settings.web.listen)
    with listening, suppress(KeyboardInterrupt):  # which uvicorn raises once it has ended in order
        uvicorn.Server(server_config(tracking_app(mailer))).run(sockets=[listening])


def server_config(app: Starlette) -> uvicorn.Config:
    """How uvicorn runs. Access logs are off: a request's path holds a token, its peer is a person.

    Only a proxy on this machine is believed when it says whom it speaks for.
    """
    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,  # as all else that is told
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=["127.0.0.1", "::1"],
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def listen_on(told: str) -> socket.socket:
    """A socket that listens on `host:port`; MailerError when it can't.

    What it accepts sends at once (Linux hands the option on). asyncio sets it only on sockets that were made with the
    protocol's number: without it every answer on a kept connection waited 40 ms for the other side's delayed ACK.
    """
    host, _, port = told.rpartition(":")
    host = host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=1024)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as fault:
        said = str(fault.strerror or fault).partition(" (")[0]  # Python adds the address, which is told already
        raise MailerError(f"can't listen on {told}: {said}; stop what is there, or change [web] listen") from fault
