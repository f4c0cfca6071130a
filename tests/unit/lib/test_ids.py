"""Identifiers: right in form, never twice, short for people."""

import uuid

import pytest

from bacalhau.lib.ids import is_full_id, new_execution_id, new_job_id, new_node_id, new_uuid, short_id


def test_new_ones_are_distinct_version_4_uuids():
    made = [new_uuid() for _ in range(2000)]
    assert len(set(made)) == 2000
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_every_free_bit_is_drawn():
    """122 bits are free; in 2000 ids each is both 0 and 1."""
    numbers = [uuid.UUID(new_uuid()).int for _ in range(2000)]
    ones, zeros = 0, 0
    for number in numbers:
        ones, zeros = ones | number, zeros | ~number
    assert (ones & zeros).bit_count() == 122


@pytest.mark.parametrize(
    ("make", "prefix"), [(new_job_id, "j-"), (new_execution_id, "e-"), (new_node_id, "n-"), (new_uuid, "")]
)
def test_full_and_short(make, prefix):
    text = make()
    assert text.startswith(prefix) and is_full_id(text)
    assert short_id(text) == text[: len(prefix) + 8]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "j-",
        "my-job",
        "j-78faf114",
        "jj-78faf114-0000-4000-8000-000000000000",
        "78FAF114-0000-4000-8000-000000000000",
    ],
)
def test_other_text_is_no_full_id_and_stays_whole(text):
    assert not is_full_id(text)
    assert short_id(text) == text
