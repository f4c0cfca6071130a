import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.ipfs.unixfs.car import car_frame, car_header, read_car
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, cid_of

BLOCKS = [
    (cid_of(data, *form), data)
    for data, form in ((b"", (RAW, 1)), (b"x" * 300, (DAG_PB, 0)), (b"y" * 70_000, (RAW, 1)))
]
STREAM = car_header(BLOCKS[1][0]) + b"".join(car_frame(*block) for block in BLOCKS)


async def cut(stream, size):
    for at in range(0, len(stream), size):
        yield stream[at : at + size]


async def blocks_of(stream, size=1000):
    return [tuple(found) async for found in read_car(cut(stream, size))]


@given(st.integers(1, len(STREAM)))
async def test_blocks_arrive_however_the_stream_is_cut(size):
    assert await blocks_of(STREAM, max(size, 50)) == BLOCKS


@pytest.mark.parametrize("end", [0, 1, 30, len(STREAM) - 1])
async def test_a_stream_that_ends_early(end):
    with pytest.raises(EOFError):
        await blocks_of(STREAM[:end])


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (b"<html>no CAR here, but a page of some length that says so</html>" * 9, "not a CAR"),
        (b"\xff" * 20, "not a CAR"),
        (STREAM + b"\xff\xff\xff\xff\x0f", "at most"),
        (STREAM + b"\0" * 20, "frame of 0 bytes"),
        (STREAM + b"\x03abc", "CID cannot be read"),
    ],
)
async def test_malformed_streams(stream, says):
    with pytest.raises(StorageFailure, match=says):
        await blocks_of(stream)


def test_the_header_is_dag_cbor():
    cid = BLOCKS[1][0]
    assert car_header(cid) == b"\x38" + bytes.fromhex("a265726f6f747381d82a582300") + cid.raw + bytes.fromhex(
        "6776657273696f6e01"
    )
