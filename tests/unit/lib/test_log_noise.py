"""Lines of libraries that say nothing to an operator are left out of the log."""

import logging

from bacalhau.lib.log import set_up_logging


def test_the_end_of_a_tls_connection_is_not_in_the_log(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up_logging("info", "default", str)
        logging.getLogger("asyncio").warning("returning true from eof_received() has no effect when using ssl")
        logging.getLogger("asyncio").warning("socket.send() raised exception.")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert [line.rpartition("| ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "socket.send() raised exception."
    ]
