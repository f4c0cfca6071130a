"""Tables against what the original drew (golden texts, colours aside)."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.cli.frame.say import in_colour
from bacalhau.cli.output.table import Column, Style, draw
from bacalhau.cli.output.width import columns_of
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
        in_colour(" A    ", "92;100"),
        in_colour(" 日本 ", "97;40"),
        in_colour(" x    ", "37;40"),
        in_colour(" y    ", "97;40"),
    ]


NARROW = (Column("id", at(0)), Column("state", at(1)), Column("comment", at(2), 90))
ROWS = [("e-12345678", "Failed", "the image was not found in the registry"), ("e-2", "日本語日本語", "x" * 30)]


def test_a_narrow_terminal_wraps_the_widest_columns():
    assert draw(NARROW, ROWS, Style(columns=42)) == [
        " ID          STATE         COMMENT        ",
        " e-12345678  Failed        the image was  ",
        "                           not found in   ",
        "                           the registry   ",
        " e-2         日本語日本語  xxxxxxxxxxxxxx ",
        "                           xxxxxxxxxxxxxx ",
        "                           xx             ",
    ]


def test_a_terminal_that_is_too_narrow_gets_lists():
    assert draw(NARROW, ROWS[:1] * 2, Style(columns=25)) == [
        " ID       e-12345678",
        " STATE    Failed",
        " COMMENT  the image was not found in the registry",
        "",
        " ID       e-12345678",
        " STATE    Failed",
        " COMMENT  the image was not found in the registry",
    ]


@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40), st.text(max_size=90)), min_size=1, max_size=4),
    st.integers(40, 120),
)
def test_no_line_of_a_table_is_wider_than_the_terminal(rows, width):
    lines = draw(NARROW, rows, Style(columns=width))
    assert max(map(columns_of, lines)) <= width


def test_wide_tables_are_as_wide_as_they_need():
    assert len(draw(NARROW, ROWS, Style(wide=True, columns=40))) == 3


def test_control_characters_take_the_room_of_their_escapes():
    assert draw([Column("a", str)], ["\x1b", "x"], Style()) == [" A    ", r" \x1b ", " x    "]
