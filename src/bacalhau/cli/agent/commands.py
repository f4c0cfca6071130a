"""`bacalhau agent`: how its commands are called."""

from bacalhau.cli.frame.options import DOCUMENT, runs, switch
from bacalhau.cli.frame.pflag import Command, Entry, Tree

alive = Command(
    "alive", callback=runs("bacalhau.cli.agent.show:alive"), help="Ask whether the server answers.", params=DOCUMENT
)
node = Command(
    "node", callback=runs("bacalhau.cli.agent.show:own_node"), help="Show the node behind the API.", params=DOCUMENT
)
_INDENTED = switch(
    "--pretty", section="Output", default=True, help="Indent JSON (the default; --pretty=false does not)."
)

config = Command(
    "config",
    callback=runs("bacalhau.cli.agent.show:server_config"),
    help="Show the server's configuration, without secrets.",
    params=[DOCUMENT[0], _INDENTED],
)
version = Command(
    "version",
    callback=runs("bacalhau.cli.agent.show:server_version"),
    help="Show the server's version.",
    params=DOCUMENT,
)

agent = Tree(
    "agent",
    {
        "alive": Entry("bacalhau.cli.agent.commands:alive", "Ask whether the server answers"),
        "config": Entry("bacalhau.cli.agent.commands:config", "Show the server's configuration"),
        "node": Entry("bacalhau.cli.agent.commands:node", "Show the node behind the API"),
        "version": Entry("bacalhau.cli.agent.commands:version", "Show the server's version"),
    },
    help="Ask the node behind the API about itself.",
)
