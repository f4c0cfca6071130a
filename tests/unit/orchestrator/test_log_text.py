"""Bytes become text without harm to characters, and every text says where to go on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.orchestrator.logs.text import FRAME, Decoder, LastLines, LogText
from bacalhau.ports.logs import STDERR, STDOUT, Offsets, Piece


def cut(data, places):
    edges = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [Piece(STDOUT, a, data[a:b]) for a, b in itertools.pairwise(edges) if b > a]


@given(st.text(), st.lists(st.integers(0, 10_000)))
def test_characters_survive_any_cut(text, places):
    decoder = Decoder("e", Offsets())
    texts = [t for piece in cut(text.encode(errors="replace"), places) for t in decoder.take([piece])]
    assert "".join(t.text for t in texts) == text.encode(errors="replace").decode()
    assert decoder.rest() == []


@given(st.text(min_size=1), st.lists(st.integers(0, 10_000), min_size=1), st.integers(0, 100))
def test_reading_goes_on_at_every_place_that_was_told(text, places, number):
    data = text.encode(errors="replace")
    first = Decoder("e", Offsets())
    texts = [t for piece in cut(data, places) for t in first.take([piece])]
    stop = number % len(texts) + 1
    again = Decoder("e", texts[stop - 1].end)
    rest = again.take([Piece(STDOUT, 0, data)])
    assert "".join(t.text for t in (*texts[:stop], *rest)) == data.decode()


def test_the_streams_do_not_disturb_one_another():
    decoder = Decoder("e", Offsets())
    euro = "€".encode()
    texts = decoder.take([Piece(STDOUT, 0, euro[:1]), Piece(STDERR, 0, b"err\n"), Piece(STDOUT, 1, euro[1:])])
    assert [(t.stream, t.text, t.end) for t in texts] == [
        (STDERR, "err\n", Offsets(0, 4)),
        (STDOUT, "€", Offsets(3, 4)),
    ]


def test_missing_bytes_are_counted():
    decoder = Decoder("e", Offsets())
    texts = decoder.take([Piece(STDOUT, 0, b"begin"), Piece(STDOUT, 105, b"end\n")])
    assert (
        "".join(t.text for t in texts)
        == "begin\n[100 bytes of output are missing here: the log is longer than what is kept]\nend\n"
    )
    assert texts[-1].end == Offsets(109, 0)


def test_what_is_no_text_is_replaced_and_an_unfinished_character_comes_at_the_end():
    decoder = Decoder("e", Offsets())
    assert "".join(t.text for t in decoder.take([Piece(STDOUT, 0, b"a\xffb\xe2\x82")])) == "a\ufffdb"
    assert [t.text for t in decoder.rest()] == ["\ufffd"]


def test_a_large_piece_is_told_in_parts_that_say_where_to_go_on():
    texts = Decoder("e", Offsets()).take([Piece(STDOUT, 0, b"x" * (2 * FRAME + 1))])
    assert [t.end.stdout for t in texts] == [FRAME, 2 * FRAME, 2 * FRAME + 1]


@pytest.mark.parametrize(("count", "kept"), [(0, ""), (1, "e"), (2, "d\ne"), (3, "c\nd\ne"), (9, "a\nb\nc\nd\ne")])
def test_last_lines(count, kept):
    last = LastLines(count)
    for text in ("a\nb", "\nc\nd\n", "e"):
        last.take([LogText(STDOUT, text, "e", Offsets())])
    assert "".join(t.text for t in last.release()) == kept
    assert last.release() == []


def test_only_newlines_end_lines():
    last = LastLines(1)
    last.take([LogText(STDOUT, "old\n10%\r20%\r\x0b\u2028100%\n", "e", Offsets())])
    assert "".join(t.text for t in last.release()) == "10%\r20%\r\x0b\u2028100%\n"
