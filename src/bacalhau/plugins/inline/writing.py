"""A file of this machine as an input whose bytes stand in the job itself."""

import base64
import gzip
from pathlib import Path

from bacalhau.border.tar import Member, join
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig

_PLAIN_BYTES = 512  # more is packed


def inline_file(path: Path) -> SpecConfig:
    """Make an input of a file. Raises BadRequest for what is no file, or cannot be read."""
    if not path.is_file():
        raise BadRequest(f'"{path}" should point to a single file')
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BadRequest(f'cannot read the module "{path}": {(e.strerror or str(e)).lower()}') from e
    kind, content = (
        ("application/octet-stream", data)
        if len(data) <= _PLAIN_BYTES
        else ("application/gzip", _packed(path.name, data))
    )
    return SpecConfig(type="inline", params={"URL": f"data:{kind};base64,{base64.b64encode(content).decode()}"})


def _packed(name: str, data: bytes) -> bytes:
    """A tar.gz of one file, the same bytes for the same content."""
    return gzip.compress(join([(Member(name, len(data)), data)]), mtime=0)
