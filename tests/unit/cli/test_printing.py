"""How the flags of `job logs` are read, and how output of several executions is told apart."""

import pytest
from click.testing import CliRunner

from bacalhau.cli.job.commands import logs
from bacalhau.cli.output.printing import LogPrinter
from bacalhau.client.log_piece import LogPiece

FIRST, SECOND = "e-11111111-1111-4111-8111-111111111111", "e-22222222-2222-4222-8222-222222222222"


@pytest.mark.parametrize(
    ("args", "tail", "rest"),
    [
        (["j"], False, ["j"]),
        (["--tail", "j"], True, ["j"]),
        (["-t", "j"], True, ["j"]),
        (["--tail=false", "j"], False, ["j"]),
        (["--tail=10", "j"], 10, ["j"]),
        (["--tail=0", "j"], True, ["j"]),
        (["--tail", "10", "j"], 10, ["j"]),
        (["-t", "10", "j"], 10, ["j"]),
        (["-ft", "10", "j"], 10, ["j"]),
        (["-t=10", "j"], 10, ["j"]),
        (["--tail", "123"], True, ["123"]),
        (["j", "--tail"], True, ["j"]),
        (["j", "--tail", "10"], 10, ["j"]),
        (["j", "-t", "10", "-f"], 10, ["j"]),
    ],
)
def test_tail(args, tail, rest):
    ctx = logs.make_context("logs", args)
    assert (ctx.params["tail"], ctx.args) == (tail, rest)


def test_a_tail_that_is_no_number_is_refused():
    assert "must be a whole number" in str(CliRunner().invoke(logs, ["--tail=x", "j"]).output)


def test_one_execution_is_printed_as_it_is(capsys):
    printer = LogPrinter(apart=True, named=False)
    for piece in (LogPiece(1, "a\r", FIRST), LogPiece(2, "err", FIRST), LogPiece(1, "b", FIRST)):
        printer.print(piece)
    printer.close()
    assert capsys.readouterr() == ("a\rb", "err")


def test_lines_of_several_do_not_run_into_one_another(capsys):
    printer = LogPrinter(apart=False, named=True)
    for piece in (
        LogPiece(1, "on", FIRST),
        LogPiece(1, "two\nthree", SECOND),
        LogPiece(1, "e\n\n", FIRST),
        LogPiece(2, "err\n", FIRST),
    ):
        printer.print(piece)
    printer.close()
    one, two = "[e-11111111]", "[e-22222222]"
    assert capsys.readouterr().out == f"{two} two\n{one} one\n{one} \n{one} err\n{two} three\n"
