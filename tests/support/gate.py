"""A door in front of an HTTP server: requests that begin in a certain way wait there until the test lets
them through, at once or when so many bytes of them and of their answers have passed.
"""

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
LONGEST = 120  # seconds a request waits for a test that forgot it


class Held:
    """Requests that begin with `start`: `reached` is set by the first of them, all wait for `open`. Those with `after`
    wait when that many bytes have passed, of the request and its answer.
    """

    def __init__(self, start: bytes, after: int = 0) -> None:
        self.start = start
        self.after = after
        self.reached = threading.Event()
        self._opened = threading.Event()

    def until_reached(self, seconds: float = 30) -> None:
        assert self.reached.wait(seconds), f"no request began with {self.start.decode()}"

    def open(self) -> None:
        self._opened.set()

    def pass_through(self) -> None:
        self.reached.set()
        self._opened.wait(LONGEST)


class _Link:
    """A connection: what its latest request may be held by, and the bytes that passed since it began."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.client, self.server = source, sink
        self._held: list[Held] = []
        self._passed = 0

    def ask(self, data: bytes, held: list[Held]) -> None:
        if data.startswith(METHODS):
            self._held, self._passed = [each for each in held if data.startswith(each.start)], 0

    def wait(self, size: int) -> None:
        self._passed += size
        for held in self._held:
            if self._passed > held.after:
                held.pass_through()


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

    def hold(self, start: str, after: int = 0) -> Held:
        """For instance `PUT /bucket/key`; `after` is in bytes."""
        held = Held(start.encode(), after)
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
                link = _Link(client, server)
                self._start(self._pump, link, client)
                self._start(self._pump, link, server)

    def _pump(self, link: _Link, source: socket.socket) -> None:
        sink = link.server if source is link.client else link.client
        with suppress(OSError):
            while data := source.recv(65536):
                if source is link.client:
                    link.ask(data, self._held)
                link.wait(len(data))
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
