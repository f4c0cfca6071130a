"""The words of what answers at an endpoint in place of a store. obstore does not hand them out."""

import aiohttp

from bacalhau.border.addresses import AddressRefused
from bacalhau.border.connect import open_session
from bacalhau.lib.aio import read_up_to
from bacalhau.plugins.objects.page import WORDS_BYTES, first_words

_SECONDS = 10


async def ask_words(url: str) -> str:
    """Ask an address as anybody; return the first words of what it answers, quoted, "" where nothing comes."""
    limit = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with open_session(server=url, timeout=limit) as session, session.get(url, allow_redirects=False) as got:
            page = await read_up_to(WORDS_BYTES, got.content.iter_any())
    except (aiohttp.ClientError, AddressRefused, TimeoutError, OSError, ValueError):
        return ""
    return first_words(page) if page.strip() else ""
