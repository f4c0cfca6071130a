"""`bacalhau wasm`: how `wasm run` is called. What it does is in `submission`."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.job.flags import Download, DryRun, Waiting
from bacalhau.cli.spec.job_flags import WasmJob


class WasmRun(WasmJob, Waiting, DryRun, Download):
    """The job, how it is waited for, and where its results go."""


run = Command(
    "run",
    WasmRun,
    "bacalhau.cli.job.submission:wasm_run",
    Operands("MODULE[:TARGET] [--] [ARG]...", 1, None),
    help=(
        "Run a WebAssembly module on the network.\n\nMODULE is a local file, which travels with the job; a URI as"
        " --input takes it; or the target of an --input."
    ),
    brief="Run a WebAssembly module",
)

wasm = Tree("wasm", [run], help="Run WebAssembly modules.")
