"""`bacalhau profile`: how its commands are called."""

from bacalhau.cli.frame.options import TABLE, duration_text, runs, switch, text
from bacalhau.cli.frame.pflag import MAYBE_ARG, ONE_ARG, Command, Entry, Flag, Tree

save = Command(
    "save",
    callback=runs("bacalhau.cli.profile.edit:save"),
    arity=ONE_ARG,
    operands="NAME",
    help=(
        "Keep a server under a name. Of a profile that is there only what is given changes; --insecure=false takes"
        " trust back."
    ),
    params=[
        text("--endpoint", metavar="URL", help="The server, as https://host:port."),
        text("--description", help="What it is, for people."),
        Flag(
            "--timeout",
            type=duration_text,
            default=None,
            metavar="DURATION",
            help="How long an answer may take (default 30s).",
        ),
        text("--token", metavar="TOKEN", help="Sent with every request; - reads it from stdin."),
        switch("--select", help="Use it from now on."),
    ],
)

list_command = Command(
    "list", callback=runs("bacalhau.cli.profile.edit:list_profiles"), help="List the profiles.", params=TABLE
)

show = Command(
    "show",
    callback=runs("bacalhau.cli.profile.edit:show"),
    arity=MAYBE_ARG,
    operands="[NAME]",
    help="Show a profile, or the one in use.",
    params=[switch("--show-token", help="The token in full.")],
)

select = Command(
    "select",
    callback=runs("bacalhau.cli.profile.edit:select"),
    arity=ONE_ARG,
    operands="NAME",
    help="Use a profile from now on.",
)

delete = Command(
    "delete",
    callback=runs("bacalhau.cli.profile.edit:delete"),
    arity=ONE_ARG,
    operands="NAME",
    help="Delete a profile; asks first when it is in use.",
    params=[switch("-f", "--force", help="Do not ask.")],
)

profile = Tree(
    "profile",
    {
        "delete": Entry("bacalhau.cli.profile.commands:delete", "Delete a profile"),
        "list": Entry("bacalhau.cli.profile.commands:list_command", "List the profiles"),
        "save": Entry("bacalhau.cli.profile.commands:save", "Keep a server under a name"),
        "select": Entry("bacalhau.cli.profile.commands:select", "Use a profile from now on"),
        "show": Entry("bacalhau.cli.profile.commands:show", "Show a profile"),
    },
    help="Name servers and choose among them. --profile NAME or BACALHAU_PROFILE chooses for one command.",
)
