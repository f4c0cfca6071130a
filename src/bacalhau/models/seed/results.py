"""Places of published results, for people and for the older generation's clients."""

from typing import Any

from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.seed.seed import SeedS3, SeedStorage


def param(params: dict[str, Any] | None, name: str) -> Any:
    """A parameter under any case; None when absent."""
    wanted = name.lower()
    return next((value for key, value in (params or {}).items() if key.lower() == wanted), None)


def _text(params: dict[str, Any] | None, name: str) -> str:
    return str(param(params, name) or "")


def _plain(result: SpecConfig) -> SpecConfig:
    """A presigned result as the object it signs."""
    source = param(result.params, "SourceSpec")
    is_known = result.is_type("s3presigned") and isinstance(source, dict) and _text(source, "Bucket")
    return SpecConfig(type="s3", params=source) if is_known else result


def published_text(result: SpecConfig) -> str:
    """`ipfs://CID`, `s3://bucket/key` or the URL; "" when nothing was published."""
    plain = _plain(result)
    if plain.is_type("ipfs"):
        return f"ipfs://{_text(plain.params, 'CID')}"
    if plain.is_type("s3"):
        return f"s3://{_text(plain.params, 'Bucket')}/{_text(plain.params, 'Key')}"
    return _text(plain.params, "URL")


def storage_view(spec: SpecConfig) -> SeedStorage:
    """A source or result in the older shape, without name and path.

    Absent values are absent keys, an absent CID above all.
    """
    plain = _plain(spec)
    kind, params = plain.type.strip(), plain.params
    if plain.is_type("s3"):
        return SeedStorage(storage_source="s3", s3=_s3(params))
    if plain.is_type("ipfs"):
        return SeedStorage(storage_source="ipfs", cid=_text(params, "CID"))
    if plain.is_type("local", "localdirectory"):
        write = str(param(params, "ReadWrite")).lower() == "true"
        return SeedStorage(storage_source="localDirectory", source_path=_text(params, "SourcePath"), read_write=write)
    return SeedStorage(storage_source=kind, url=_text(params, "URL"))


def _s3(params: dict[str, Any] | None) -> SeedS3:
    checksum = _text(params, "ChecksumSHA256")
    return SeedS3(
        bucket=_text(params, "Bucket"),
        key=_text(params, "Key"),
        filter=_text(params, "Filter"),
        checksum=checksum,
        checksum_sha256=checksum,
        version_id=_text(params, "VersionID"),
        endpoint=_text(params, "Endpoint"),
        region=_text(params, "Region"),
    )


def result_view(result: SpecConfig) -> SeedStorage:
    """A published result in the older shape; an S3 result is also named `s3://bucket/key`."""
    view = storage_view(result)
    return (
        view
        if view.s3 is None
        else SeedStorage(storage_source=view.storage_source, name=published_text(result), s3=view.s3)
    )
