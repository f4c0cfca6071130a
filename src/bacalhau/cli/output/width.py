"""Texts measured and shortened by the columns that they take on a terminal."""

import unicodedata


def columns_of(text: str) -> int:
    """Count the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int) -> str:
    """Shorten a text at its end to so many columns, with `…` where something is missing."""
    if columns_of(text) <= columns:
        return text
    found, used = "", 1
    for letter in text:
        used += columns_of(letter)
        if used > columns:
            break
        found += letter
    return f"{found}…" if columns > 0 else ""


def middle_out(text: str, columns: int) -> str:
    """Shorten a text in its middle to so many columns: beginning and end tell names apart."""
    if columns_of(text) <= columns:
        return text
    tail = ""
    for letter in reversed(text):
        if columns_of(letter + tail) > (columns - 1) // 2:
            break
        tail = letter + tail
    return cut(text, columns - columns_of(tail)) + tail


def filled(text: str, columns: int) -> str:
    """Make a text exactly so many columns wide."""
    short = cut(text, columns)
    return short + " " * (columns - columns_of(short))
