"""Names and passwords that stand in URLs, and are shown to nobody: in no error, log, list or answer."""

import re

_CREDENTIALS = re.compile(r"//[^/?#\s\"'<>]*@")


def without_credentials(text: str, instead: str = "") -> str:
    """Take names and passwords out of the URLs in a text; `instead` stands where they were."""
    return _CREDENTIALS.sub(f"//{instead}@" if instead else "//", text)
