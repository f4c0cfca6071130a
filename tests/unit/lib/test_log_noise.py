"""Lines of libraries that say nothing to an operator are left out of the log."""

import json
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


def test_json_lines_have_the_ids_that_they_name_apart(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    job, other, execution = (f"{kind}-78faf114-0000-4000-8000-00000000000{n}" for n, kind in enumerate("jje"))
    try:
        set_up_logging("info", "json", str)
        logging.getLogger("x").info("execution %s of job %s failed: job %s is gone", execution, job, other)
        logging.getLogger("x").info("nothing of j-78faf114 or xj-78faf114-0000-4000-8000-000000000000")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["job"], first["execution"]) == (job, execution) and "node" not in first
    assert not {"job", "execution", "node"} & second.keys()
