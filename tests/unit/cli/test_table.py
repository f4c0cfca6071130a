"""Tables against what the original drew (golden texts, colours aside)."""

from bacalhau.cli.output.table import Column, Style, draw
from bacalhau.lib.ids import short_id

JOB = (
    'Type:"docker",Params:"map[Entrypoint:<nil> EnvironmentVariables:[] Image:127.0.0.1:5000/alpine Parameters:[sleep'
    ' 60] WorkingDirectory:]"'
)
ID = "c4da0dad-5518-425c-9280-b997cb0cd1a8"


def at(index):
    return lambda row: row[index]


def test_the_older_list_narrow():
    columns = (
        Column("created", at(0), 8, brief=lambda t: t[-8:]),
        Column("id", at(1), 10, brief=short_id),
        Column("job", at(2), 40, hard=True),
        Column("state", at(3), 20),
        Column("published", at(4)),
    )
    rows = [
        ("2026-11-22 13:44:33", ID, JOB, "Cancelled", ""),
        ("2026-11-22 13:44:32", "ded1896b" + ID[8:], 'Type:"noop",Params:"map[]"', "Undefined", ""),
    ]
    assert draw(columns, rows, Style()) == [
        " CREATED   ID          JOB                                       STATE      PUBLISHED ",
        ' 13:44:33  c4da0dad    Type:"docker",Params:"map[Entrypoint:<ni  Cancelled            ',
        "                       l> EnvironmentVariables:[] Image:127.0.0                       ",
        "                       .1:5000/alpine Parameters:[sleep 60] Wor                       ",
        '                       kingDirectory:]"                                               ',
        ' 13:44:32  ded1896b    Type:"noop",Params:"map[]"                Undefined            ',
    ]
    wide = draw(columns, rows[1:], Style(wide=True, header=False))
    assert wide == [f' 2026-11-22 13:44:32  ded1896b{ID[8:]}  Type:"noop",Params:"map[]"  Undefined   ']


def test_words_are_wrapped_where_they_end():
    columns = (
        Column("labels", at(0), 50),
        Column("cpu", at(1), 6),
        Column("memory", at(2), 10),
        Column("disk", at(3), 11),
        Column("gpu", at(4), 4),
    )
    row = (
        "name=n-8a9a051c-4064-44a5-b91e-d77b68083704 os_arch=amd64 os_type=linux",
        "1.6 / 1.6",
        "20 GB / 20 GB",
        "201 GB / 201 GB",
        "0 / 0",
    )
    assert draw(columns, [row], Style()) == [
        " LABELS                                              CPU     MEMORY      DISK         GPU  ",
        " name=n-8a9a051c-4064-44a5-b91e-d77b68083704         1.6 /   20 GB / 20  201 GB /     0 /  ",
        " os_arch=amd64 os_type=linux                         1.6     GB          201 GB       0    ",
    ]


def test_without_rows_the_header_alone():
    assert draw([Column("a", str), Column("b\nc", str)], [], Style()) == [" A  B ", "    C "]
    assert draw([Column("a", str)], [], Style(header=False)) == []


def test_colours_and_wide_characters():
    lines = draw([Column("a", str)], ["日本", "x", "y"], Style(colour=True))
    assert lines == [
        "\x1b[92;100m A    \x1b[0m",
        "\x1b[97;40m 日本 \x1b[0m",
        "\x1b[37;40m x    \x1b[0m",
        "\x1b[97;40m y    \x1b[0m",
    ]
