"""The settings of plug-ins: engines, input sources, publishers and downloaders."""

from typing import Annotated, Literal

from msgspec import Meta

from bacalhau.config.section import Count, Port, Seconds, Section


class IpfsEndpoint(Section):
    endpoint: Annotated[
        str, Meta(description="API of an IPFS node, URL or multiaddress; empty uses the network's own content store.")
    ] = ""


class IpfsTypes(Section):
    ipfs: IpfsEndpoint = IpfsEndpoint()


class S3Inputs(Section):
    allowed_buckets: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Buckets that jobs may read through this node, as BUCKET or NAMESPACE:BUCKET with * and ? for any"
                " characters: data-*, team-a:team-a-*. Empty allows all, because the node's keys may be made for its"
                " jobs."
            )
        ),
    ] = ()


class GcsRules(Section):
    """The buckets and endpoints of Google Cloud Storage that jobs may use through a node."""

    allowed_buckets: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Buckets that jobs may use through this node, as BUCKET or NAMESPACE:BUCKET with * and ? for any"
                " characters: data-*, team-a:team-a-*. Empty allows all, because the node's credentials may be made for"
                " its jobs."
            )
        ),
    ] = ()
    allowed_endpoints: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "URLs of servers that jobs may name in place of Google's own, besides that of GOOGLE_BASE_URL. Empty"
                " allows no other, because the node sends its credentials there and follows where the server leads."
            )
        ),
    ] = ()


class AzureRules(Section):
    """The containers and endpoints of Azure Blob Storage that jobs may use through a node."""

    allowed_containers: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Containers that jobs may use through this node, as CONTAINER or NAMESPACE:CONTAINER with * and ? for"
                " any characters: data-*, team-a:team-a-*. Empty allows all, because the node's credentials may be made"
                " for its jobs."
            )
        ),
    ] = ()
    allowed_endpoints: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "URLs of servers that jobs may name in place of Azure's own, besides that of AZURE_STORAGE_ENDPOINT."
                " Empty allows no other, because the node sends its credentials there and follows where the server"
                " leads."
            )
        ),
    ] = ()


class SourceTypes(Section):
    azure: AzureRules = AzureRules()
    gcs: GcsRules = GcsRules()
    ipfs: IpfsEndpoint = IpfsEndpoint()
    s3: S3Inputs = S3Inputs()


NetworkName = Literal["None", "HTTP", "Bridge", "Host"]


class DockerSettings(Section):
    """The limits of containers, and what jobs may ask of Docker."""

    runtime: Annotated[
        str,
        Meta(
            description=(
                "Runtime of containers, one that the Docker daemon knows, such as runsc (gVisor); empty is the"
                " daemon's own choice. Podman gives all containers the runtime of its containers.conf."
            )
        ),
    ] = ""
    userns_mode: Annotated[
        Literal["", "host", "auto", "keep-id", "nomap"],
        Meta(
            description=(
                "User namespace of containers: auto, keep-id and nomap are Podman's; host leaves the one that the"
                " daemon remaps to. Empty is the daemon's own choice."
            )
        ),
    ] = ""
    cap_drop: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Capabilities that containers do not get, in place of these; ALL takes every one. These let a job"
                " forge packets, make devices and write audit records, which ordinary images do not do."
            )
        ),
    ] = ("AUDIT_WRITE", "MKNOD", "NET_RAW")
    readonly_rootfs: Annotated[
        bool,
        Meta(
            description=(
                "Let jobs write only to their outputs and to /tmp, which is then in their memory; images that write"
                " elsewhere fail."
            )
        ),
    ] = False
    init: Annotated[
        bool,
        Meta(
            description=(
                "Run a small process 1 in containers, which reaps orphans and passes signals on, but for images whose"
                " own program is one (/init, systemd, tini, dumb-init ...); false for no container, for programs that"
                " must be process 1 and have another name."
            )
        ),
    ] = True
    max_open_files: Annotated[
        Count, Meta(description="Files that a process of a container may have open; 0 leaves it to the daemon.")
    ] = 65_536
    max_processes: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Processes and threads of a container; far above real tasks, far below what makes a machine unusable."
            ),
        ),
    ] = 4_096
    no_new_privileges: Annotated[
        bool,
        Meta(
            description=(
                "Let set-user-id programs and file capabilities give nothing; false for images that need sudo, su or"
                " ping."
            )
        ),
    ] = True
    max_shm_size: Annotated[
        str,
        Meta(
            description=(
                "Largest /dev/shm (ShmSize) and memory folder (Tmpfs) that a job may ask for, such as 8Gb. Empty is"
                " any, because both count in the memory of the task."
            )
        ),
    ] = ""
    allowed_ulimits: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Limits that jobs may set by Ulimits, as NAME or NAME=MAXIMUM; nofile stays within MaxOpenFiles. Not"
                " among these are rtprio and nice, by which a task takes the processor from others, and limits of the"
                " kernel's own memory."
            )
        ),
    ] = ("core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "rss", "stack")
    allowed_registries: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Images that jobs may run, as REGISTRY or REGISTRY/NAME with * and ? for any characters but slashes and"
                " ** for those too: docker.io/library/*, ghcr.io/acme/**, quay.io. Empty allows all."
            )
        ),
    ] = ()
    host_ports: Annotated[
        str,
        Meta(
            description=(
                "Address of this node that ports of jobs with network Bridge are bound to, or none to give jobs no"
                " ports. Empty is 127.0.0.1 while everything here listens on loopback and advertises no other address,"
                " else every address."
            )
        ),
    ] = ""
    networks: Annotated[
        tuple[NetworkName, ...],
        Meta(
            description=(
                "Networks that jobs may use: None, HTTP, Bridge, Host. Empty is all, but Host only while everything"
                " here listens on loopback."
            )
        ),
    ] = ()


class EngineTypes(Section):
    docker: DockerSettings = DockerSettings()


class Engines(Section):
    disabled: Annotated[tuple[str, ...], Meta(description="Engines that this node does not offer.")] = ()
    types: EngineTypes = EngineTypes()


class InputSources(Section):
    disabled: Annotated[tuple[str, ...], Meta(description="Input sources that this node does not offer.")] = ()
    allowed_networks: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Networks (CIDRs) that jobs may make this node connect to beside the public and private ones; the"
                " narrowest network of both lists decides. None: this machine's own addresses are open only while"
                " everything here listens on loopback. Metadata addresses of clouds are never open."
            )
        ),
    ] = ()
    denied_networks: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Networks (CIDRs) that jobs may not make this node connect to; none, because data stands on private"
                " networks, too."
            )
        ),
    ] = ()
    read_timeout: Annotated[
        Seconds,
        Meta(
            description=(
                "Limit for finding out what the sources of a task hold; long, because some IPFS content is slow to"
                " find. One block of IPFS content is waited for for four fifths of it, or for Patience where that is"
                " less, or for the input's own ReadTimeout where that is still less."
            )
        ),
    ] = Seconds(300.0)
    patience: Annotated[
        Seconds,
        Meta(
            description=(
                "Time without a byte from the server of an input after which a node gives up; 10m, because stores that"
                " restart or are overloaded come back within minutes. A server that never answered is tried for 1m at"
                " most. 0s leaves it to MaxRetryCount."
            )
        ),
    ] = Seconds(600.0)
    max_retry_count: Annotated[
        Count,
        Meta(
            description=(
                "Further attempts at an input that broke off or was refused for the moment; they are made also when"
                " Patience is over."
            )
        ),
    ] = 3
    types: SourceTypes = SourceTypes()


class LocalResults(Section):
    address: Annotated[
        str,
        Meta(
            description=(
                "Address of this node that the links to local results name; loopback is reached on this machine only."
            )
        ),
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port that local results are served on.")] = 6001


class S3Results(Section):
    allowed_buckets: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Buckets that jobs may write results to through this node, and that an orchestrator signs links to,"
                " as BUCKET or NAMESPACE:BUCKET with * and ? for any characters: results-*, team-a:team-a-*. Empty"
                " allows all, because the node's keys may be made for its jobs."
            )
        ),
    ] = ()
    pre_signed_url_disabled: Annotated[
        bool, Meta(description="Give clients no signed links to S3 results; they then need credentials of their own.")
    ] = False
    pre_signed_url_expiration: Annotated[
        Seconds, Meta(description="Life of a signed link; 0s is the signer's own default of 15m.")
    ] = Seconds(0.0)


class S3Managed(Section):
    bucket: Annotated[
        str,
        Meta(
            description=(
                "Bucket where this orchestrator keeps results of publisher s3managed; empty offers no such publisher."
            )
        ),
    ] = ""
    key: Annotated[str, Meta(description="Prefix of their keys.")] = ""
    region: Annotated[str, Meta(description="Region of that bucket.")] = ""
    endpoint: Annotated[str, Meta(description="URL of its server; empty is AWS.")] = ""
    pre_signed_url_expiration: Annotated[
        Seconds, Meta(description="Life of the links by which nodes store and clients fetch them.")
    ] = Seconds(3600.0)


class PublisherTypes(Section):
    azure: AzureRules = AzureRules()
    gcs: GcsRules = GcsRules()
    ipfs: IpfsEndpoint = IpfsEndpoint()
    local: LocalResults = LocalResults()
    s3: S3Results = S3Results()
    s3_managed: S3Managed = S3Managed()


class Publishers(Section):
    disabled: Annotated[tuple[str, ...], Meta(description="Publishers that this node does not offer.")] = ()
    patience: Annotated[
        Seconds,
        Meta(
            description=(
                "Time without a byte accepted after which a node gives up publishing a result; 10m, because stores that"
                " restart or are overloaded come back within minutes, and the task has run already."
            )
        ),
    ] = Seconds(600.0)
    types: PublisherTypes = PublisherTypes()


class ResultDownloaders(Section):
    disabled: Annotated[tuple[str, ...], Meta(description="Kinds of results that the client does not fetch.")] = ()
    timeout: Annotated[Seconds, Meta(description="Limit of a download; 0s leaves it to the command's own flag.")] = (
        Seconds(0.0)
    )
    patience: Annotated[
        Seconds,
        Meta(
            description=(
                "Time without a byte after which a download is given up; 10m, as for inputs. A server that never"
                " answered is tried for 10s at most."
            )
        ),
    ] = Seconds(600.0)
    types: IpfsTypes = IpfsTypes()
