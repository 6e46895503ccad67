"""`GET /metrics` on a port of its own, so that the API's port never shows it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv6Address, ip_address
from socketserver import ThreadingTCPServer
from threading import Thread

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.errors import StartError

PATH = "/metrics"


@contextmanager
def listening(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    """Answers in threads, so also while the event loop does not turn. Gives the port.

    Raises StartError where the port cannot be had.
    """
    try:
        server = _Server(registry, host, port)
    except OSError as error:
        raise StartError(
            f"NORMA_METRICS_PORT={port} cannot be had on {host}: {error.strerror}"
        ) from error
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingTCPServer):
    """Not the library's HTTP servers: those ask the name service who they are."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self.registry = registry
        self.address_family = _family(host)
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5
    """Seconds for which a connection may keep its thread waiting."""
    server_version = "norma"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404)
            return
        encode, content_type = choose_encoder(self.headers.get("accept", ""))
        page = encode(self.server.registry)
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no event."""


def _family(host: str) -> socket.AddressFamily:
    try:
        return socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    except ValueError:  # a name
        return socket.AF_INET
