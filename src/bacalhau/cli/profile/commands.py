"""`bacalhau profile`: how its commands are called."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.frame.flags import Flags, switch, value
from bacalhau.cli.frame.reading import duration_text
from bacalhau.cli.output.flags import Table

_NAME = Operands("NAME", 1, 1)


class Save(Flags):
    """The parts of a profile; None leaves one as it is."""

    endpoint: str | None = value(
        "--endpoint", read=str, default=None, metavar="URL", help="The server, as https://host:port."
    )
    description: str | None = value(
        "--description", read=str, default=None, metavar="TEXT", help="What it is, for people."
    )
    timeout: str | None = value(
        "--timeout",
        read=duration_text,
        default=None,
        metavar="DURATION",
        help="How long an answer may take (default 30s).",
    )
    token: str | None = value(
        "--token", read=str, default=None, metavar="TOKEN", help="Sent with every request; - reads it from stdin."
    )
    select: bool = switch("--select", help="Use it from now on.")


class Show(Flags):
    """Showing a profile."""

    show_token: bool = switch("--show-token", help="The token in full.")


class Delete(Flags):
    """Deleting a profile."""

    force: bool = switch("-f", "--force", help="Do not ask.")


profile = Tree(
    "profile",
    [
        Command(
            "delete",
            Delete,
            "bacalhau.cli.profile.edit:delete",
            _NAME,
            help="Delete a profile; asks first when it is in use.",
        ),
        Command("list", Table, "bacalhau.cli.profile.edit:list_profiles", help="List the profiles."),
        Command(
            "save",
            Save,
            "bacalhau.cli.profile.edit:save",
            _NAME,
            help=(
                "Keep a server under a name, with --cacert and --insecure. Of a profile that is there only what is"
                " given changes; --insecure=false takes trust back, --cacert= forgets the file."
            ),
            brief="Keep a server under a name",
        ),
        Command("select", Flags, "bacalhau.cli.profile.edit:select", _NAME, help="Use a profile from now on."),
        Command(
            "show",
            Show,
            "bacalhau.cli.profile.edit:show",
            Operands("[NAME]", 0, 1),
            help="Show a profile, or the one in use.",
            brief="Show a profile",
        ),
    ],
    help="Name servers and choose among them. --profile NAME or BACALHAU_PROFILE chooses for one command.",
)
