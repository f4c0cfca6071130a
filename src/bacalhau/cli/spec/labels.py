"""Selectors of labels, as `--labels` of the list commands takes them."""

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.selector import parse_selector


def check_labels(text: str) -> None:
    """Check a selector before the server is asked. Raises BadRequest."""
    try:
        parse_selector(text)
    except BadRequest as e:
        raise BadRequest(f"could not parse labels: {e.message}", hint=e.hint) from e
