"""`bacalhau agent` and `bacalhau version`: how these commands are called."""

from bacalhau.cli.frame.command import Command, Tree
from bacalhau.cli.frame.flags import Flags, switch
from bacalhau.cli.output.flags import Document, Table


class ServerConfig(Document, section="Output"):
    """The flags of commands that print one document, indented unless `--pretty=false`."""

    pretty: bool = switch("--pretty", default=True, help="Indent JSON (the default; --pretty=false does not).")


class _Client(Flags):
    client: bool = switch("--client", help="The client's only; no server is asked.")


class Versions(_Client, Table):
    """Flags of `version`: the client's alone or also the server's, and the format."""


agent = Tree(
    "agent",
    [
        Command("alive", Document, "bacalhau.cli.agent.show:alive", help="Ask whether the server answers."),
        Command(
            "config",
            ServerConfig,
            "bacalhau.cli.agent.show:server_config",
            help="Show the server's configuration, without secrets.",
            brief="Show the server's configuration",
        ),
        Command("node", Document, "bacalhau.cli.agent.show:own_node", help="Show the node behind the API."),
        Command(
            "storage",
            Table,
            "bacalhau.cli.agent.show:show_storage",
            help="Show what the server keeps on its disk, and the limits that its configuration sets.",
            brief="Show what the server keeps on its disk",
        ),
        Command("version", Document, "bacalhau.cli.agent.show:server_version", help="Show the server's version."),
    ],
    help="Ask the node behind the API about itself.",
)

version = Command(
    "version", Versions, "bacalhau.cli.agent.show:show_versions", help="Show the versions of client and server."
)
