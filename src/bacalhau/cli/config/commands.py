"""`bacalhau config`: how its commands are called."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.output.flags import Table

config = Tree(
    "config",
    [
        Command(
            "list",
            Table,
            "bacalhau.cli.config.edit:list_config",
            help="List every setting, its value and what it is for.",
        ),
        Command(
            "set",
            Flags,
            "bacalhau.cli.config.edit:set_config",
            Operands("KEY=VALUE", 1, 2),
            help="Write a setting to the file named with -c, or to config.yaml in the data directory.",
            brief="Write a setting to the configuration file",
        ),
    ],
    help="Show and change the configuration.",
)
