"""A server on loopback that never stops sending."""

import asyncio

MB = 1_000_000


class Endless:
    """An HTTP server that answers HEAD with `head`, all else with `says` and then bytes without end.

    `sent` is how many bytes of these were taken from it.
    """

    def __init__(self, head, says=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", piece=bytes(MB)):
        self.head, self.says, self.piece = head, says, piece
        self.sent = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self.server.close()

    async def answer(self, reader, writer):
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                if request.startswith(b"HEAD"):
                    writer.write(self.head)
                    continue
                writer.write(self.says)
                while self.sent < 1_000 * MB:
                    writer.write(self.piece)
                    await writer.drain()
                    self.sent += len(self.piece)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
