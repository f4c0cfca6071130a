"""The work of `serve`, `devstack` and `demo`: load the configuration, open the system, tell where it is, wait
for the end.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from bacalhau.app.demo import run_demo
from bacalhau.app.devstack import Devstack
from bacalhau.app.devstack import devstack as open_devstack
from bacalhau.app.serve import Served
from bacalhau.app.serve import serve as open_serve
from bacalhau.app.start_lines import find_open_api, find_open_server
from bacalhau.app.until import run_main, until_signal
from bacalhau.border.names import shown
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say
from bacalhau.cli.serve.commands import Demo, Serve, StartDevstack
from bacalhau.config.load import Loaded, load_settings
from bacalhau.config.schema import Config
from bacalhau.lib.failpoint import arm_failpoints
from bacalhau.lib.log import set_up_logging
from bacalhau.lib.ports import free_ports


def _load(call: Call[Flags], roles: dict[str, object]) -> Loaded:
    settings = call.settings
    flags = {"API.Host": settings.api_host, "API.Port": settings.api_port, "DataDir": settings.data_dir} | roles
    arm_failpoints(os.environ)
    loaded = load_settings(
        list(settings.config), os.environ, {key: value for key, value in flags.items() if value not in (None, False)}
    )
    set_up_logging(loaded.config.logging.level, loaded.config.logging.mode, shown)
    return loaded


def serve(call: Call[Serve]) -> int:
    config, keys, files = _load(
        call, {"Orchestrator.Enabled": call.flags.orchestrator, "Compute.Enabled": call.flags.compute}
    )
    run_main(until_signal(open_serve(config, call.flags.name, keys, files), partial(_tell_served, config)))
    return 0


def _tell_served(config: Config, served: Served) -> None:
    if served.orchestrator:
        doors = (find_open_api(config), find_open_server(config))
        api, server = (f" ({door.mark})" if door else "" for door in doors)
        say(f"API: {served.api_url}/api/v1{api}  nodes join: {served.nats_url}{server}", err=True)
    else:
        say(f"API of this node alone: {served.api_url}/api/v1/agent", err=True)


def devstack(call: Call[StartDevstack]) -> int:
    config = _load(call, {}).config
    if call.flags.random_ports:
        api, bus = free_ports(2)
        config = msgspec.structs.replace(
            config,
            api=msgspec.structs.replace(config.api, port=api),
            orchestrator=msgspec.structs.replace(config.orchestrator, port=bus),
        )
    computes, with_s3 = call.flags.compute_nodes, call.flags.s3
    with _folder(call.flags.stack_repo, "bacalhau-devstack-") as folder:
        run_main(
            until_signal(
                open_devstack(config, folder, computes, with_s3=with_s3), lambda stack: _tell_devstack(stack, folder)
            )
        )
    say("\nShutting down devstack")
    return 0


def _tell_devstack(stack: Devstack, folder: Path) -> None:
    exports = "\n".join(f"export {name}={value}" for name, value in stack.environment.items())
    say("\nDevstack is ready!")
    say(f"No. of requester only nodes: 1\nNo. of compute only nodes: {len(stack.nodes)}\nNo. of hybrid nodes: 0")
    say(f"Everything is in {folder}")
    say(f"To use the devstack, run the following commands in your shell:\n\n{exports}\n")


def demo(call: Call[Demo]) -> int:
    with _folder(call.flags.keep, "bacalhau-demo-") as folder:
        run_main(run_demo(folder, say))
    return 0


@contextmanager
def _folder(wanted: str, prefix: str) -> Iterator[Path]:
    """The wanted directory, kept; or a temporary one, removed."""
    if wanted:
        path = Path(wanted).absolute()
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as made:
        yield Path(made)
