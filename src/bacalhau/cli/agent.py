"""`bacalhau agent`: how its commands are called."""

from bacalhau.cli.options import DOCUMENT, runs
from bacalhau.cli.pflag import Command, Entry, Tree

alive = Command("alive", callback=runs("bacalhau.cli.agent_show:alive"), help="Ask whether the server answers.", params=DOCUMENT)
node = Command("node", callback=runs("bacalhau.cli.agent_show:own_node"), help="Show the node behind the API.", params=DOCUMENT)
version = Command("version", callback=runs("bacalhau.cli.agent_show:server_version"), help="Show the server's version.", params=DOCUMENT)

agent = Tree(
    "agent",
    {
        "alive": Entry("bacalhau.cli.agent:alive", "Ask whether the server answers"),
        "node": Entry("bacalhau.cli.agent:node", "Show the node behind the API"),
        "version": Entry("bacalhau.cli.agent:version", "Show the server's version"),
    },
    help="Ask the node behind the API about itself.",
)
