"""The flags that say how something is printed: as a table or a document, and which page of a list."""

from bacalhau.cli.frame.flags import Flags, number, switch, text, value
from bacalhau.cli.frame.reading import OneOf


class Document(Flags, section="Output"):
    """One value, as JSON or YAML."""

    output: str | None = value(
        "--output",
        read=OneOf("json", "yaml", says='should be one of ["json" "yaml"]'),
        default=None,
        metavar="FORMAT",
        help="json or yaml.",
    )
    pretty: bool = switch("--pretty", help="Indent JSON.")


class Table(Document, section="Output"):
    """A list, as a table for people, or in one of three formats for programs."""

    output: str | None = value(
        "--output",
        read=OneOf("table", "csv", "json", "yaml", says='should be one of ["table" "csv" "json" "yaml"]'),
        default=None,
        metavar="FORMAT",
        help="table, csv, json or yaml.",
    )
    hide_header: bool = switch("--hide-header", help="Leave the header row out.")
    no_style: bool = switch("--no-style", help="No colour.")
    wide: bool = switch("--wide", help="Full values, no shortening.")


def rows(default: int) -> int:
    """Declare `--limit`."""
    return number("--limit", default=default, help="How many rows; 0 is all.")


def order(keys: str) -> str:
    """Declare `--order-by`, with the keys that the server knows."""
    return text("--order-by", help=f"One of {keys}.")


class Page(Flags, section="Paging"):
    """A part of a long list."""

    limit: int = rows(0)
    next_token: str = text("--next-token", help="Where the previous page ended.")


class OrderedPage(Page, section="Paging"):
    """A part of a long list that can be sorted. A command's own struct names the keys of its list."""

    order_by: str = order("the list's keys")
    order_reversed: bool = switch("--order-reversed", help="The other way round.")
