"""Settings of what a process writes down about itself and its users."""

from typing import Annotated, Literal

from msgspec import Meta

from bacalhau.config.section import Count, Section


class Audit(Section):
    enabled: Annotated[
        bool,
        Meta(
            description=(
                "Write each request that changes something to audit/audit.jsonl in the data directory: who, from where,"
                " what, and the status of the answer. Off, because one person's machine needs no such record."
            )
        ),
    ] = False
    max_size: Annotated[
        str, Meta(description="Bytes of a file of the audit log before the next one begins; some 200,000 requests.")
    ] = "64Mb"
    max_files: Annotated[Count, Meta(description="Earlier files of the audit log that are kept.")] = 10


class Logging(Section):
    level: Annotated[
        Literal["trace", "debug", "info", "warn", "warning", "error", "fatal", "critical"],
        Meta(description="Least important kind of log line that is written."),
    ] = "info"
    mode: Annotated[
        Literal["default", "json"],
        Meta(description="default for people, json for machines, with ids of job, execution and node apart."),
    ] = "default"
    audit: Audit = Audit()
