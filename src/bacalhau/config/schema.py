"""Every setting that has an effect, with its unit and the reason for its default.

Reading them is `load`; other known keys are in `inert`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from bacalhau.config.access import API
from bacalhau.config.logging import Logging
from bacalhau.config.plugins import Engines, InputSources, Publishers, ResultDownloaders
from bacalhau.config.scheduler import Scheduler
from bacalhau.config.section import Count, Port, Seconds, Section


class JoinToken(Section):
    token: Annotated[
        str,
        Meta(description="Shared secret that nodes present to join; empty lets every node that reaches the port join."),
    ] = ""


class Nats(Section):
    url: Annotated[
        str, Meta(description="An existing NATS server, nats://host:port; empty starts the bundled one.")
    ] = ""


class ServerTLS(Section):
    server_cert: Annotated[
        str, Meta(description="PEM file of the message server's certificate; with it nodes connect by TLS only.")
    ] = ""
    server_key: Annotated[str, Meta(description="PEM file of that certificate's key.")] = ""
    server_timeout: Annotated[
        int, Meta(ge=1, description="Seconds a TLS handshake may take; enough for slow lines.")
    ] = 10
    ca_cert: Annotated[
        str,
        Meta(
            description="PEM file of whom to trust at an existing NATS server; empty trusts this machine's authorities."
        ),
    ] = ""


class NodeTLS(Section):
    ca_cert: Annotated[
        str,
        Meta(description="PEM file of whom to trust as the message server; empty trusts this machine's authorities."),
    ] = ""
    require_tls: Annotated[
        bool, Meta(description="Refuse a message server without TLS, before anything is said to it.")
    ] = False


class NodeManager(Section):
    disconnect_timeout: Annotated[
        Seconds,
        Meta(
            description=(
                "Silence after which a node counts as disconnected where no closed connection told of it; four missed"
                " heartbeats of 15s."
            )
        ),
    ] = Seconds(60.0)
    ping_timeout: Annotated[
        Seconds,
        Meta(
            ge=0.5,
            description=(
                "Longest time that a node which froze or lost its network goes unnoticed; shorter takes short stalls"
                " for an end."
            ),
        ),
    ] = Seconds(2.0)
    lost_grace: Annotated[
        Seconds,
        Meta(
            ge=3,
            description=(
                "How long a disconnected node keeps its work before it is placed elsewhere; enough for a restart of its"
                " service, longer than a node may publish unasked."
            ),
        ),
    ] = Seconds(10.0)
    manual_approval: Annotated[
        bool, Meta(description="New nodes wait, without any work, until `bacalhau node approve` lets them in.")
    ] = False
    forget_after: Annotated[
        Seconds,
        Meta(
            description=(
                "Absence after which a node that has no work is deleted; a month, for long repairs. One that people"
                " approved, rejected, cordoned or labelled stays. 0s keeps all."
            )
        ),
    ] = Seconds(720 * 3600.0)


class Retention(Section):
    jobs_max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "Time after its end that a job is kept with its executions and history; a month to look back. 0s keeps"
                " it for ever."
            )
        ),
    ] = Seconds(720 * 3600.0)
    jobs_max_count: Annotated[
        Count,
        Meta(
            description=(
                "Finished jobs that are kept, the newest ones; a hundred thousand take about half a gigabyte. 0 keeps"
                " all."
            )
        ),
    ] = 100_000
    executions_max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "Time after its end that an execution of a job that goes on, or ran in several versions, is kept with"
                " its events; as jobs. 0s keeps it."
            )
        ),
    ] = Seconds(720 * 3600.0)
    executions_max_count: Annotated[
        Count,
        Meta(
            description=(
                "Ended executions that are kept of one job, the newest ones; more than anybody reads of a service that"
                " fails for ever. 0 keeps all."
            )
        ),
    ] = 500
    history_max_count: Annotated[
        Count,
        Meta(
            description=(
                "Events that are kept of one job, the newest ones; ten for each execution that is kept. 0 keeps all."
            )
        ),
    ] = 5_000
    versions_max_count: Annotated[
        Count,
        Meta(
            description=(
                "Versions that are kept of one job, the newest ones, and those that a kept execution ran in; enough to"
                " go back. 0 keeps all."
            )
        ),
    ] = 100
    undelivered_max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "How long messages wait for a node that is away and has no work any more; a week, for long repairs. 0s"
                " keeps them."
            )
        ),
    ] = Seconds(7 * 24 * 3600.0)
    dead_letters_max_count: Annotated[
        Count,
        Meta(description="Messages nobody could handle that are kept for whoever looks for the fault. 0 keeps all."),
    ] = 1_000
    content_max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "Time after its last publication that content published here to IPFS is kept, and as long as a job is"
                " known that uses it again (Reuse); 0s keeps it for ever, because others may point to it."
            )
        ),
    ] = Seconds(0.0)
    content_max_total: Annotated[
        str,
        Meta(
            description=(
                "Bytes of content published here to IPFS that are kept, such as 200Gb; beyond them the results go that"
                " were published or used the longest time ago. Empty is no limit: nothing is lost unasked."
            )
        ),
    ] = ""


class Logs(Section):
    max_per_execution: Annotated[
        str,
        Meta(
            description=(
                "Output of one execution that is kept; beyond it the middle goes, beginning and end stay. Empty keeps"
                " all."
            )
        ),
    ] = "32Mb"
    max_total: Annotated[
        str, Meta(description="Output of all executions that is kept; the oldest goes first. Empty keeps all.")
    ] = "4Gb"
    max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "Time after its last line that an output is kept; a week to look into what went wrong. 0s keeps it."
            )
        ),
    ] = Seconds(7 * 24 * 3600.0)


class Orchestrator(Section):
    enabled: Annotated[bool, Meta(description="Run an orchestrator in this process.")] = False
    host: Annotated[
        str,
        Meta(description="Address the message server listens on; loopback until nodes on other machines shall join."),
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port of the message server; 4222 is NATS' own.")] = 4222
    auth: JoinToken = JoinToken()
    nats: Nats = Nats()
    tls: ServerTLS = ServerTLS()
    node_manager: NodeManager = NodeManager()
    scheduler: Scheduler = Scheduler()
    retention: Retention = Retention()
    logs: Logs = Logs()


class Heartbeat(Section):
    interval: Annotated[
        Seconds, Meta(description="Pause between signs of life; a quarter of the disconnect timeout.")
    ] = Seconds(15.0)
    info_update_interval: Annotated[
        Seconds,
        Meta(
            description=(
                "Pause between full descriptions of the node; they change rarely. An engine that goes or comes back is"
                " told at once."
            )
        ),
    ] = Seconds(60.0)


class ComputeRetention(Section):
    max_age: Annotated[
        Seconds,
        Meta(
            description=(
                "Time after its end that a node keeps the record of an execution and what it printed; a day, for late"
                " readers. 0s keeps it."
            )
        ),
    ] = Seconds(24 * 3600.0)
    max_count: Annotated[
        Count,
        Meta(
            description=(
                "Records of ended executions that a node keeps, the newest ones; they only tell repeated messages from"
                " new ones. 0 keeps all."
            )
        ),
    ] = 10_000
    unpublished: Annotated[
        Seconds,
        Meta(
            description=(
                "Time that a node keeps the outputs of an execution that ran and whose result was not published, for"
                " `bacalhau job publish`; a day, so that somebody sees it. They go before that with their job, and the"
                " oldest where running tasks or new inputs need the disk. 0s keeps none."
            )
        ),
    ] = Seconds(24 * 3600.0)


class ComputeLogs(Section):
    max_per_stream: Annotated[
        str,
        Meta(
            description=(
                "Bytes of the standard output of an execution, and as many of its standard error, that a node keeps;"
                " beyond it the middle goes, beginning and end stay. At least 64Kb. The engine's own log of a container"
                " may be as large twice."
            )
        ),
    ] = "32Mb"


class AllocatedCapacity(Section):
    cpu: Annotated[
        str, Meta(description="CPU given to jobs, a share of the machine or cores; the rest keeps the machine usable.")
    ] = "80%"
    memory: Annotated[str, Meta(description="Memory given to jobs, a share of the machine or bytes.")] = "80%"
    disk: Annotated[str, Meta(description="Disk given to jobs, a share of what is free at start or bytes.")] = "80%"
    gpu: Annotated[
        str, Meta(description="GPUs given to jobs, a share or a number; all, since nothing else is likely to use them.")
    ] = "100%"
    executions: Annotated[
        Count,
        Meta(
            description=(
                "Executions that run at once, because also those that ask for no CPU cost some. 0 is 16 for each CPU"
                " given to jobs, at least 32."
            )
        ),
    ] = 0


class HostEnv(Section):
    allow_list: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Patterns of this node's environment variables that jobs may read; none, because they may hold secrets."
            )
        ),
    ] = ()


class TaskNetwork(Section):
    advertised_address: Annotated[
        str, Meta(description="Address at which others reach the ports of tasks; empty is this machine's own.")
    ] = ""
    port_range_start: Annotated[
        Port,
        Meta(
            description="First port for tasks that do not mind which; below those that systems give out by themselves."
        ),
    ] = 20000
    port_range_end: Annotated[Port, Meta(description="Last port for tasks that do not mind which.")] = 32000


class Cache(Section):
    """The inputs of earlier tasks that a node keeps."""

    size: Annotated[
        str,
        Meta(
            description=(
                "Bytes of inputs from S3, IPFS and URLs that this node keeps for the next task that wants them, such as"
                " 50Gb. What is not used goes first, also where tasks need the disk. Empty is a tenth of the disk that"
                " is free at start, because four fifths are given to jobs, and at most 100Gb. 0 keeps none."
            )
        ),
    ] = ""
    path: Annotated[
        str,
        Meta(
            description=(
                "Folder of these inputs, which no other node may use; empty is compute/cache in the data directory."
                " Tasks get them from there, for reading only, so nothing is copied, whatever disk it is on. Its file"
                " system needs hard links."
            )
        ),
    ] = ""
    prefetch: Annotated[
        bool,
        Meta(
            description=(
                "Bring inputs of up to two executions that are likely to begin here next into the cache while others"
                " keep this node busy, for each at most an eighth of the cache's size in bytes. On, because network and"
                " processor are then busy at once; turn it off where traffic costs money that a job which is cancelled"
                " in the queue should not cause."
            )
        ),
    ] = True


class Compute(Section):
    enabled: Annotated[bool, Meta(description="Run a compute node in this process.")] = False
    orchestrators: Annotated[
        tuple[str, ...], Meta(description="Message servers to join, nats://host:port; the one on this machine.")
    ] = ("nats://127.0.0.1:4222",)
    allow_listed_local_paths: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Patterns of local paths that jobs may mount, PATTERN[:rw]; none, because jobs are other people's"
                " programs."
            )
        ),
    ] = ()
    max_interruptions: Annotated[
        Count,
        Meta(
            description=(
                "How often an execution is taken up again after this node's process ended without an orderly stop;"
                " three, because a task that ends its node would do so after each start. 0 is never."
            )
        ),
    ] = 3
    auth: JoinToken = JoinToken()
    env: HostEnv = HostEnv()
    tls: NodeTLS = NodeTLS()
    heartbeat: Heartbeat = Heartbeat()
    network: TaskNetwork = TaskNetwork()
    task_disk: Annotated[
        str,
        Meta(
            description=(
                "Bytes that inputs and results may take of a task that asks for no disk (Resources.Disk), such as 16Gb."
                " Empty is the whole disk of the node, because inputs may be large. Nothing is reserved for it."
            )
        ),
    ] = ""
    retention: ComputeRetention = ComputeRetention()
    logs: ComputeLogs = ComputeLogs()
    cache: Cache = Cache()
    allocated_capacity: AllocatedCapacity = AllocatedCapacity()


class DefaultPublisher(Section):
    type: Annotated[str, Meta(description="Publisher of jobs that name none; empty publishes nothing.")] = ""
    params: Annotated[dict[str, Any], Meta(description="Parameters of that publisher.")] = {}


class DefaultResources(Section):
    cpu: Annotated[str, Meta(description="CPU of tasks that ask for none; half a core runs most commands.")] = "500m"
    memory: Annotated[str, Meta(description="Memory of tasks that ask for none.")] = "512Mb"
    disk: Annotated[str, Meta(description="Disk of tasks that ask for none; empty reserves what the inputs need.")] = ""
    gpu: Annotated[str, Meta(description="GPUs of tasks that ask for none.")] = ""


class DefaultTimeouts(Section):
    execution_timeout: Annotated[
        Seconds, Meta(description="Limit of one execution where the job has none; 0s is no limit.")
    ] = Seconds(0.0)
    total_timeout: Annotated[
        Seconds, Meta(description="Limit of a job from submission to end where it has none; 0s is no limit.")
    ] = Seconds(0.0)


class DefaultTask(Section):
    publisher: DefaultPublisher = DefaultPublisher()
    resources: DefaultResources = DefaultResources()
    timeouts: DefaultTimeouts = DefaultTimeouts()


class DefaultJob(Section):
    priority: Annotated[int, Meta(description="Priority of jobs that have none; higher goes first.")] = 0
    task: DefaultTask = DefaultTask()


class JobDefaults(Section):
    batch: DefaultJob = DefaultJob()
    ops: DefaultJob = DefaultJob()
    service: DefaultJob = DefaultJob()
    daemon: DefaultJob = DefaultJob()


class JobAdmissionControl(Section):
    locality: Annotated[
        Literal["anywhere", "local"],
        Meta(description="local takes only jobs whose inputs this node has already; anywhere lets inputs travel."),
    ] = "anywhere"
    reject_stateless_jobs: Annotated[bool, Meta(description="Refuse jobs without inputs.")] = False
    reject_networked_jobs: Annotated[
        bool, Meta(description="Refuse jobs that ask for a network; those that leave it open get none.")
    ] = False
    probe_exec: Annotated[
        str,
        Meta(description="Shell command that decides about each job, given as JSON on stdin; exit code 0 takes it."),
    ] = ""
    probe_http: Annotated[
        str, Meta(description="URL that decides about each job, POSTed as JSON; a status below 400 takes it.")
    ] = ""


class Config(Section):
    """The whole configuration. `data_dir` is absolute once loaded."""

    api: API = API()
    data_dir: Annotated[str, Meta(description="Directory for all state: keys, database, content, executions.")] = (
        "~/.bacalhau"
    )
    name_provider: Annotated[
        Literal["puuid", "uuid", "hostname"],
        Meta(description="How a node is named: puuid is n-UUID, kept in the data directory."),
    ] = "puuid"
    labels: Annotated[dict[str, str], Meta(description="Labels of this node, key=value, which jobs select by.")] = {}
    orchestrator: Orchestrator = Orchestrator()
    compute: Compute = Compute()
    job_defaults: JobDefaults = JobDefaults()
    job_admission_control: JobAdmissionControl = JobAdmissionControl()
    engines: Engines = Engines()
    input_sources: InputSources = InputSources()
    publishers: Publishers = Publishers()
    result_downloaders: ResultDownloaders = ResultDownloaders()
    logging: Logging = Logging()
