"""The flags that several commands of jobs share: waiting for a job, fetching its results, naming it."""

from bacalhau.cli.frame.flags import Flags, no_effect, number, refused, switch, text, value
from bacalhau.cli.frame.reading import duration

_NO_IPFS_NODE = "no IPFS node is needed, results travel over the orchestrator's API"


class Namespaced(Flags):
    """The namespace of a job that is named rather than given by its id."""

    namespace: str = text("--namespace", help="Namespace of the job (default `default`).")


class OneVersion(Namespaced):
    """A version of a job."""

    version: int = number("-v", "--version", help="A version of the job (default: the latest).")


class Versions(OneVersion):
    """A version of a job, or all."""

    all_versions: bool = switch("--all-versions", help="All versions of the job.")


class Quiet(Flags):
    """The flag of commands that print their steps."""

    quiet: bool = switch("--quiet", help="Print nothing.")


class Follow(Flags):
    """The flag of commands that print what a job prints."""

    follow: bool = switch("-f", "--follow", help="Go on until the job ends.")


class Waiting(Flags, section="Waiting"):
    """The flags for waiting: until when, and what is printed meanwhile."""

    wait: bool = switch("--wait", default=True, help="Wait for the job to end (the default; --wait=false does not).")
    id_only: bool = switch("--id-only", help="Print nothing but the job's id on stdout.")
    node_details: bool = switch("--node-details", help="Print what each node printed when the job has ended.")
    follow: bool = switch("-f", "--follow", help="Print the job's output as it comes.")
    group_events: bool = switch(
        "--group-events", help="Print one line an execution, when the job has ended, instead of one an event."
    )
    exit_code: bool = switch(
        "--exit-code", help="Exit with the code of the job's own container (BACALHAU_EXIT_CODE=1)."
    )
    wait_timeout_secs = no_effect("--wait-timeout-secs")


class DryRun(Flags, section="Waiting"):
    """The flag of commands that make a job and need not submit it."""

    dry_run: bool = switch("--dry-run", help="Print the job instead of submitting it.")


class Fetching(Flags, section="Download"):
    """The flags for downloading results."""

    raw: bool = switch("--raw", help="Keep each result in its own folder instead of merging them.")
    output_dir: str = text(
        "--output-dir", metavar="DIR", help="An existing directory for the results (default ./job-ID)."
    )
    download_timeout_secs: float | None = value(
        "--download-timeout-secs",
        read=duration,
        default=None,
        metavar="DURATION",
        help="How long one result may take to download (default 5m).",
    )


class _Download(Flags, section="Download"):
    download: bool = switch("--download", help="Download the results when the job has completed.")
    gettimeout = no_effect("-g", "--gettimeout")


class Download(_Download, Fetching):
    """Fetching the results of a job when it has ended."""


class IpfsNode(Flags):
    """The flags for an IPFS node inside the client, which the original once had."""

    ipfs_swarm_addrs = refused("--ipfs-swarm-addrs", why=_NO_IPFS_NODE)
    ipfs_swarm_key = refused("--ipfs-swarm-key", why=_NO_IPFS_NODE)
    ipfs_connect = refused("--ipfs-connect", why=_NO_IPFS_NODE)
    ipfs_serve_path = refused("--ipfs-serve-path", why=_NO_IPFS_NODE)
    private_internal_ipfs = refused("--private-internal-ipfs", why=_NO_IPFS_NODE)
