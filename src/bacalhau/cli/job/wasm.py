"""`bacalhau wasm`: how `wasm run` is called. What it does is in `submission`."""

from bacalhau.cli.frame.options import DOWNLOAD, DRY_RUN, JOB, NETWORK, RESOURCES, RUNTIME, TASK, listed, runs, text
from bacalhau.cli.frame.pflag import SOME_ARGS, Command, Entry, Tree

run = Command(
    "run",
    callback=runs("bacalhau.cli.job.submission:wasm_run"),
    arity=SOME_ARGS,
    operands="MODULE[:TARGET] [--] [ARG]...",
    help=(
        "Run a WebAssembly module on the network.\n\nMODULE is a local file, which travels with the job; a URI as"
        " --input takes it; or the target of an --input."
    ),
    params=[
        *TASK,
        *JOB,
        *RESOURCES,
        *NETWORK,
        text(
            "--entry-point",
            section="Module",
            default="_start",
            metavar="NAME",
            help="The function to call (default _start).",
        ),
        listed(
            "-I",
            "--import-modules",
            section="Module",
            metavar="MODULE:TARGET",
            help="Modules that the first one imports; repeatable.",
        ),
        *RUNTIME,
        DRY_RUN,
        *DOWNLOAD,
    ],
)

wasm = Tree(
    "wasm", {"run": Entry("bacalhau.cli.job.wasm:run", "Run a WebAssembly module")}, help="Run WebAssembly modules."
)
