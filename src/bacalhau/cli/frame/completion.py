"""`bacalhau completion bash|zsh|fish|powershell`: a script that asks this program what may come next."""

from bacalhau.cli.frame.options import runs
from bacalhau.cli.frame.pflag import Command, Entry, Tree

_LOAD = {
    "bash": "source <(bacalhau completion bash)",
    "zsh": "source <(bacalhau completion zsh)",
    "fish": "bacalhau completion fish | source",
    "powershell": "bacalhau completion powershell | Out-String | Invoke-Expression",
}


def _script(shell: str) -> Command:
    return Command(
        shell,
        callback=runs(f"bacalhau.cli.frame.completing:{shell}"),
        help=f"Print the completion script for {shell}. To load it in this session:\n\n\b\n  {_LOAD[shell]}",
    )


bash, zsh, fish, powershell = map(_script, _LOAD)

completion = Tree(
    "completion",
    {
        shell: Entry(f"bacalhau.cli.frame.completion:{shell}", f"Print the completion script for {shell}")
        for shell in _LOAD
    },
    help="Print a script that completes commands and flags in your shell.",
)
