"""`bacalhau completion bash|zsh|fish|powershell`: a script that asks this program what may come next."""

from bacalhau.cli.frame.command import Command, Tree
from bacalhau.cli.frame.flags import Flags

_LOAD = {
    "bash": "source <(bacalhau completion bash)",
    "zsh": "source <(bacalhau completion zsh)",
    "fish": "bacalhau completion fish | source",
    "powershell": "bacalhau completion powershell | Out-String | Invoke-Expression",
}


completion = Tree(
    "completion",
    [
        Command(
            shell,
            Flags,
            f"bacalhau.cli.frame.completing:{shell}",
            help=f"Print the completion script for {shell}. To load it in this session:\n\n\b\n  {load}",
            brief=f"Print the completion script for {shell}",
        )
        for shell, load in _LOAD.items()
    ],
    help="Print a script that completes commands and flags in your shell.",
)
