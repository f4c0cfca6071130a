"""`-p/--publisher`: `ipfs`, `local`, `s3://bucket/key[,opt=name=value]...` or `s3,opt=bucket=B,opt=key=K`.

What follows the type is for the plug-in of that publisher.
"""

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import Uris, listed, scheme_of, split_fields


def parse_publisher(text: str, uris: Uris) -> SpecConfig:
    """Read one flag value as a publisher. Raises BadRequest."""
    uri = ""
    options: dict[str, str] = {}
    for field in split_fields(text, "publisher"):
        if field.key in ("", "target", "dst", "destination"):
            uri = field.value.strip(" \"'")
        elif field.key in ("opt", "option"):
            name, _, value = field.value.partition("=")
            options |= {name: value} if name else {}
        else:
            raise BadRequest(f"invalid publisher option: {field.text}", hint="options are written opt=name=value")
    kind = (scheme_of(uri) or uri).lower()
    if (read := uris.find(kind)) is None:
        raise BadRequest(
            f"unknown publisher type: {scheme_of(uri) or uri}", hint=f"publishers are {listed(uris.forms(), 'and')}"
        )
    return read(uri, options)
