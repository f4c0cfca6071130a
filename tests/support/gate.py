"""A door in front of an HTTP server: requests that begin in a certain way wait there until the test lets
them through.
"""

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

LONGEST = 120  # seconds a request waits for a test that forgot it


class Held:
    """Requests that begin with `start`: `reached` is set by the first of them, all wait for `open`."""

    def __init__(self, start: bytes) -> None:
        self.start = start
        self.reached = threading.Event()
        self._opened = threading.Event()

    def until_reached(self, seconds: float = 30) -> None:
        assert self.reached.wait(seconds), f"no request began with {self.start.decode()}"

    def open(self) -> None:
        self._opened.set()

    def pass_through(self) -> None:
        self.reached.set()
        self._opened.wait(LONGEST)


class Gate:
    """`with Gate(url) as gate`: `gate.url` is the same server. Bytes go through unchanged, so signatures stay right."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._held: list[Held] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._links: list[socket.socket] = []

    def __enter__(self) -> "Gate":
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._held:
            held.open()
        for link in (self._listener, *self._links):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        for thread in self._threads:
            thread.join(10)

    def hold(self, start: str) -> Held:
        """For instance `PUT /bucket/key`."""
        held = Held(start.encode())
        self._held.append(held)
        return held

    def _start(self, work, *args) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._links += [client, server]
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                for held in self._held:
                    if data.startswith(held.start):
                        held.pass_through()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
