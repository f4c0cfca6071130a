"""Bodies of requests that are sent piece by piece, with a limit for a receiver that takes none of them.

aiohttp limits how long an answer may be silent, and not how long a receiver may leave alone what is sent to it: one
that accepts a connection and stops reading would be waited for without end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def sending(pieces: AsyncIterator[bytes], seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open a block in which the body that it yields is sent.

    Raises TimeoutError when a piece is not taken within `seconds`. The time in which the next piece is made does not
    count, nor that of the answer.
    """
    clock = asyncio.get_running_loop().time
    is_open = True
    async with asyncio.timeout(None) as limit:

        async def paced() -> AsyncIterator[bytes]:
            async for piece in pieces:
                if is_open:
                    limit.reschedule(clock() + seconds)
                yield piece
                if is_open:
                    limit.reschedule(None)

        try:
            yield paced()
        finally:
            is_open = False
