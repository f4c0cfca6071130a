"""The pages of servers that are no stores, as messages show them. Pure."""

from bacalhau.border.names import shorten

WORDS_BYTES = 400  # of a page, of which a message shows the first words


def first_words(page: bytes) -> str:
    """Return the first words of a page, quoted."""
    return repr(shorten(" ".join(page[:WORDS_BYTES].decode("utf-8", "replace").split())))
