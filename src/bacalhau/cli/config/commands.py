"""`bacalhau config`: how its commands are called."""

from bacalhau.cli.frame.options import TABLE, runs
from bacalhau.cli.frame.pflag import Arity, Command, Entry, Tree

list_command = Command(
    "list",
    callback=runs("bacalhau.cli.config.edit:list_config"),
    help="List every setting, its value and what it is for.",
    params=TABLE,
)

set_command = Command(
    "set",
    callback=runs("bacalhau.cli.config.edit:set_config"),
    arity=Arity(1, 2),
    operands="KEY=VALUE",
    help="Write a setting to the file named with -c, or to config.yaml in the data directory.",
)

config = Tree(
    "config",
    {
        "list": Entry("bacalhau.cli.config.commands:list_command", "List every setting, its value and what it is for"),
        "set": Entry("bacalhau.cli.config.commands:set_command", "Write a setting to the configuration file"),
    },
    help="Show and change the configuration.",
)
