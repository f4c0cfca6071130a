"""The pages of listings that a node reads before they are asked for."""

import asyncio
from collections import OrderedDict

from msgspec.structs import replace

from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import ListInputRequest, ListInputResponse

MOST = 16  # pages; each is a few hundred kilobytes at most
Page = asyncio.Task[ListInputResponse | None]


class PagesAhead:
    """Pages that are being read, or were read, for questions that will probably come. The newest few are kept: whoever
    stopped asking leaves some behind.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[bytes, Page] = OrderedDict()

    def take(self, question: ListInputRequest) -> Page | None:
        """Take the page that answers a question, None where nobody reads it. Nobody else gets it."""
        return self._pages.pop(_key(question), None)

    def put(self, question: ListInputRequest, page: Page) -> None:
        if (old := self.take(question)) is not None:
            old.cancel()
        self._pages[_key(question)] = page
        while len(self._pages) > MOST:
            self._pages.popitem(last=False)[1].cancel()


def _key(question: ListInputRequest) -> bytes:
    return encode(replace(question, seconds=0.0))
