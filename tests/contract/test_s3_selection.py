"""The choice of objects in S3 on the servers of several makers: globs, lists of names, sizes, dates, lists of keys."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from bacalhau.border.globs import KeyGlob
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import require_params
from bacalhau.plugins.s3.input import S3InputParams
from bacalhau.plugins.s3.listing import Lister, read_mark
from bacalhau.plugins.s3.named import STRETCH, cut_lines
from bacalhau.plugins.s3.source import bucket_of
from tests.contract.test_s3_source import list_all, spec

pytestmark = pytest.mark.usefixtures("credentials")
DATA = {
    "2024-01/raw/a.nc": 10,
    "2024-01/raw/deep/b.nc": 2000,
    "2024-01/cooked/c.nc": 10,
    "2024-02/raw/d.csv": 10,
    "2025-01/raw/e.nc": 10,
    "top.nc": 10,
}


@pytest.fixture
def box(store) -> str:
    name = store.new_bucket()
    store.fill(name, {key: b"x" * size for key, size in DATA.items()})
    return name


async def keys_of(source, wanted):
    """The keys that a whole listing finds, which are those of its pages."""
    found = [entry.key for entry in (await source.resolve(wanted)).entries]
    pages, _ = await list_all(source, wanted)
    assert sorted({entry.key for entry in pages}) == found
    return set(found)


@pytest.mark.parametrize(
    ("key", "params", "keys"),
    [
        ("2024-*/raw/**/*.nc", {}, {"2024-01/raw/a.nc", "2024-01/raw/deep/b.nc"}),
        ("2024-*/raw/*.nc", {}, {"2024-01/raw/a.nc"}),
        ("2024-0[2-9]/*/*", {}, {"2024-02/raw/d.csv"}),
        ("*/raw/", {}, {"2024-01/raw/a.nc", "2024-01/raw/deep/b.nc", "2024-02/raw/d.csv", "2025-01/raw/e.nc"}),
        ("*/raw/d*", {}, {"2024-01/raw/deep/b.nc", "2024-02/raw/d.csv"}),
        ("", {"Include": ["*.csv", "/top*"]}, {"2024-02/raw/d.csv", "top.nc"}),
        ("2024-01/", {"Exclude": ["raw/**/b*", "cooked/"]}, {"2024-01/raw/a.nc"}),
        ("*/raw/**", {"Filter": "nc$", "MinSize": "1Kb"}, {"2024-01/raw/deep/b.nc"}),
        ("2025-01/", {"Newer": "1h"}, {"2025-01/raw/e.nc"}),
        ("", {"Keys": ["top.nc", "2025-01/raw/e.nc", "top.nc"]}, {"top.nc", "2025-01/raw/e.nc"}),
        ("*/raw/", {"Keys": ["top.nc", "2025-01/raw/e.nc"]}, {"2025-01/raw/e.nc"}),
        ("", {"Keys": ["top.nc", "2025-01/raw/e.nc"], "Include": ["*/raw/*"], "Newer": "1h"}, {"2025-01/raw/e.nc"}),
    ],
)
async def test_what_is_chosen(store, box, source, key, params, keys):
    assert await keys_of(source, spec(store, box, key, **params)) == keys


async def test_paths_begin_where_the_globs_fixed_folders_end(store, box, source):
    found = (await source.resolve(spec(store, box, "2024-01/r*/**/*.nc"))).entries
    assert [entry.path for entry in found] == ["raw/a.nc", "raw/deep/b.nc"]


async def test_dates_are_those_of_the_server(store, box, source):
    now = datetime.now(UTC)
    later, before = ((now + timedelta(hours=hours)).isoformat(timespec="seconds") for hours in (1, -1))
    assert len((await source.resolve(spec(store, box, "", Newer=before, Older=later))).entries) == len(DATA)
    for params in ({"Older": "1h"}, {"Newer": later}, {"Keys": ["top.nc"], "Older": "1h"}):
        assert (await source.resolve(spec(store, box, "", AllowEmpty=True, **params))).entries == ()


async def test_nothing_that_matches_is_told_with_the_glob_the_prefix_and_how_much_was_seen(store, box, source):
    where = f"prefix '2024-' in bucket {box}"
    with pytest.raises(
        StorageFailure, match=re.escape(f"glob '2024-*/none/*.nc' matches none of 4 objects with {where}")
    ):
        await source.resolve(spec(store, box, "2024-*/none/*.nc"))
    with pytest.raises(StorageFailure, match=r"nothing matches prefix 'zz-' .*, and so glob 'zz-\*/x' matches"):
        await source.resolve(spec(store, box, "zz-*/x"))
    with pytest.raises(StorageFailure, match="min-size with newer matches none of 6 objects with prefix ''"):
        await source.resolve(spec(store, box, "", MinSize="1Gb", Newer="1d"))
    with pytest.raises(StorageFailure, match="none of the 1 keys of its list is taken"):
        await source.resolve(spec(store, box, "", Keys=["top.nc"], MinSize="1Gb"))


async def test_a_list_in_an_object_of_another_bucket(store, box, source):
    lists = store.new_bucket()
    text = f"top.nc\r\n\r\ns3://{box}/2025-01/raw/e.nc\ntop.nc"
    store.fill(lists, {"keys.txt": text.encode(), "empty": b"", "gone": f"nope\ns3://{box}/top.nc\nno/pe".encode()})
    wanted = spec(store, box, "", Manifest=f"s3://{lists}/keys.txt")
    assert await keys_of(source, wanted) == {"top.nc", "2025-01/raw/e.nc"}
    assert all(entry.etag and entry.size == 10 for entry in (await source.resolve(wanted)).entries)
    with pytest.raises(StorageFailure, match=r"2 objects that are not there: 'nope', 'no/pe'$"):
        await source.resolve(spec(store, box, "", Manifest=f"s3://{lists}/gone"))
    with pytest.raises(StorageFailure, match="none of the 0 keys of its list is taken"):
        await source.resolve(spec(store, box, "", Manifest=f"s3://{lists}/empty"))
    with pytest.raises(StorageFailure, match=f"no object nothing in bucket {lists}"):
        await source.resolve(spec(store, box, "", Manifest=f"s3://{lists}/nothing"))
    store.fill(lists, {"other": b"s3://elsewhere/k"})
    with pytest.raises(StorageFailure, match=f"s3://{lists}/other: keys have 's3://elsewhere/k'"):
        await source.resolve(spec(store, box, "", Manifest=f"s3://{lists}/other"))


async def test_a_long_list_is_read_in_stretches_and_all_its_missing_keys_are_counted(seaweedfs, source):
    box = seaweedfs.new_bucket()
    keys = [f"{'d' * 60}/{n:05d}" for n in range(1200)]
    seaweedfs.fill(box, {key: b"x" for key in keys})
    lines = "\n".join(key for pair in zip(keys, [f"missing-{n}" for n in range(1200)], strict=True) for key in pair)
    assert len(lines) > 2 * STRETCH
    seaweedfs.fill(box, {"all": "\n".join(keys).encode(), "half": lines.encode()})
    wanted = spec(seaweedfs, box, "", Manifest=f"s3://{box}/all")
    found, pages = await list_all(source, wanted)
    assert sorted(entry.key for entry in found) == keys and pages == 3
    with pytest.raises(
        StorageFailure, match=r"1,200 objects that are not there: 'missing-0', .*'missing-19' and 1,180"
    ):
        await source.resolve(spec(seaweedfs, box, "", Manifest=f"s3://{box}/half"))
    first = await source.list_page(wanted, "")
    seaweedfs.fill(box, {"all": b"another list"})
    with pytest.raises(StorageFailure, match=r"object all in bucket .* changed after it was listed"):
        await source.list_page(wanted, first.following[0])


@pytest.mark.parametrize("last", [b"", b"\n"])
def test_each_line_of_a_list_is_in_one_stretch(last):
    lines = [f"{n}{'x' * (n * 7919 % 900)}" for n in range(300)]
    body = "\n".join(lines).encode() + last
    found = []
    for start in range(0, len(body), STRETCH):
        first = max(0, start - 1)
        found += cut_lines(body[first : start + STRETCH + 1000], start - first)
    assert [line for line in found if line] == lines


async def test_only_folders_that_may_hold_a_match_are_listed(seaweedfs, source):
    box = seaweedfs.new_bucket()
    keys = [f"{year}/{kind}/{n:04d}.nc" for year in range(2000, 2010) for kind in ("raw", "tmp") for n in range(120)]
    seaweedfs.fill(box, {key: b"" for key in keys})
    wanted = spec(seaweedfs, box, "*[3-5]/raw/*.nc")
    found, _ = await list_all(source, wanted)
    assert sorted(each.key for each in found) == [key for key in keys if KeyGlob("*[3-5]/raw/*.nc").matches(key)]
    params = require_params(wanted, S3InputParams)
    lister = Lister(source._client, await bucket_of(params), params)
    first = await lister.page(read_mark('[""]'))
    assert sorted(read_mark(text).prefix for text in first.following) == [f"{year}/raw/" for year in (2003, 2004, 2005)]
