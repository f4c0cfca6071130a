"""`bacalhau auth`: how its commands are called."""

from bacalhau.cli.frame.options import runs, switch
from bacalhau.cli.frame.pflag import Command, Entry, Tree

info = Command(
    "info",
    callback=runs("bacalhau.cli.auth.show:info"),
    help="Show the server, the credentials that are set, and how the server lets people sign in.",
)

hash_password = Command(
    "hash-password",
    callback=runs("bacalhau.cli.auth.show:hash_password"),
    help="Hash a password with bcrypt, for API.Auth.Users of the server; asks for it, or reads one line of stdin.",
)

login = Command(
    "login",
    callback=runs("bacalhau.cli.auth.sso:login"),
    help="Sign in at the server's identity provider, in a browser on any machine.",
)

logout = Command(
    "logout",
    callback=runs("bacalhau.cli.auth.sso:logout"),
    help="Forget the token of this server.",
    params=[switch("-f", "--force", help="Do not ask.")],
)

token = Command(
    "token",
    callback=runs("bacalhau.cli.auth.sso:token"),
    help="Print the token of this server.",
    params=[switch("-d", "--decode", help="What it says, as JSON.")],
)

sso = Tree(
    "sso",
    {
        "login": Entry("bacalhau.cli.auth.commands:login", "Sign in at the server's identity provider"),
        "logout": Entry("bacalhau.cli.auth.commands:logout", "Forget the token of this server"),
        "token": Entry("bacalhau.cli.auth.commands:token", "Print the token of this server"),
    },
    help="Single sign-on.",
)

auth = Tree(
    "auth",
    {
        "hash-password": Entry(
            "bacalhau.cli.auth.commands:hash_password", "Hash a password for the server's configuration"
        ),
        "info": Entry("bacalhau.cli.auth.commands:info", "Show as whom this client speaks to which server"),
        "sso": Entry("bacalhau.cli.auth.commands:sso", "Single sign-on"),
    },
    help="Sign in, and show as whom this client speaks.",
)
