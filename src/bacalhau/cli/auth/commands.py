"""`bacalhau auth`: how its commands are called."""

from bacalhau.cli.frame.command import Command, Tree
from bacalhau.cli.frame.flags import Flags, switch


class Logout(Flags):
    """Forgetting a token."""

    force: bool = switch("-f", "--force", help="Do not ask.")


class Token(Flags):
    """Printing a token."""

    decode: bool = switch("-d", "--decode", help="What it says, as JSON.")


_sso = Tree(
    "sso",
    [
        Command(
            "login",
            Flags,
            "bacalhau.cli.auth.sso:login",
            help="Sign in at the server's identity provider, in a browser on any machine.",
            brief="Sign in at the server's identity provider",
        ),
        Command("logout", Logout, "bacalhau.cli.auth.sso:logout", help="Forget the token of this server."),
        Command("token", Token, "bacalhau.cli.auth.sso:token", help="Print the token of this server."),
    ],
    help="Single sign-on.",
)

auth = Tree(
    "auth",
    [
        Command(
            "hash-password",
            Flags,
            "bacalhau.cli.auth.show:hash_password",
            help=(
                "Hash a password with bcrypt, for API.Auth.Users of the server; asks for it, or reads one line of"
                " stdin."
            ),
            brief="Hash a password for the server's configuration",
        ),
        Command(
            "info",
            Flags,
            "bacalhau.cli.auth.show:info",
            help="Show the server, the credentials that are set, and how the server lets people sign in.",
            brief="Show as whom this client speaks to which server",
        ),
        _sso,
    ],
    help="Sign in, and show as whom this client speaks.",
)
