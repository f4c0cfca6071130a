"""Names that are odd but names, on every S3 server of the tests.

They are staged, published both ways and fetched as they are, or refused by name with the rule.
"""

import pytest

from bacalhau.lib.errors import PublisherFailure, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.params import check_publisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.contract.test_s3_source import read_tree, spec, stage
from tests.support.s3 import S3

pytestmark = pytest.mark.usefixtures("credentials")
LONG = "x" * 255
KEPT = [LONG, f"d/{LONG}", "ä" * 100, "tab\there", "per%20cent", "100%", "a+b", "a b", " first", "q?x", "h#x", "am&p"]
KEPT += ['q"uote', "<lt>", "semi;colon", "star*", "co:lon", "~", "eq=", "(brackets)", "a'b", "$(x)", "{jobID}"]
REFUSED = ["new\nline", "esc\x1b[2J", "\x7f", "return\rx"]


@pytest.fixture
def box(store) -> str:
    return store.new_bucket()


def result(store: S3, box: str, folder, encoding: str) -> Result:
    place = {"bucket": box, "key": f"r-{encoding}", "endpoint": store.url, "encoding": encoding}
    return Result(folder, SpecConfig("s3", place), "j", "e", "n", 0)


async def test_odd_names_are_staged_one_by_one_and_together(store, box, source, tmp_path):
    objects = {name: f"content of {name}".encode() for name in KEPT}
    for name, body in objects.items():
        store.boto.put_object(Bucket=box, Key=f"in/{name}", Body=body)
    (tmp_path / "all").mkdir()
    assert await stage(source, spec(store, box, "in/"), tmp_path / "all") == objects
    for n, (name, body) in enumerate(objects.items()):
        if name.endswith("*"):
            continue  # which names every object that begins so
        (tmp_path / str(n)).mkdir()
        got = await stage(source, spec(store, box, f"in/{name}"), tmp_path / str(n))
        assert got == {name.rpartition("/")[2]: body}


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_odd_names_are_published_and_fetched(store, box, publisher, tmp_path, encoding):
    for name in KEPT:
        path = tmp_path / "tree" / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    published = await publisher.publish(result(store, box, tmp_path / "tree", encoding), ignore)
    await S3Downloader("http://127.0.0.1:1").download(published, tmp_path / "got", ignore)
    assert read_tree(tmp_path / "got") == read_tree(tmp_path / "tree")


@pytest.mark.parametrize("name", REFUSED)
async def test_what_can_be_no_key_is_named_before_it_is_published(store, box, publisher, tmp_path, name):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / name).write_text("x")
    with pytest.raises(PublisherFailure) as raised:
        await publisher.publish(result(store, box, tmp_path, "plain"), ignore)
    assert (
        raised.value.message
        == f"file name {f'outputs/{name}'!r} cannot be a key of S3: {name!r} has control characters"
    )
    assert "publish with encoding gzip" in raised.value.hint
    assert "Contents" not in store.boto.list_objects_v2(Bucket=box)
    await publisher.publish(result(store, box, tmp_path, "gzip"), ignore)


async def test_a_key_longer_than_s3_allows_is_named_before_it_is_published(store, box, publisher, tmp_path):
    path = tmp_path.joinpath(*(["y" * 200] * 6))
    path.mkdir(parents=True)
    (path / "file").touch()
    with pytest.raises(PublisherFailure, match=r"its key would have 1,21\d bytes, and S3 allows 1,024"):
        await publisher.publish(result(store, box, tmp_path, "plain"), ignore)


async def test_keys_that_stand_for_folders_alone_are_named(moto, source):
    bucket = moto.new_bucket()
    moto.boto.put_object(Bucket=bucket, Key="in/dir/", Body=b"")
    with pytest.raises(
        StorageFailure, match="matches only keys that end in / and stand for folders, such as 'in/dir/'"
    ):
        await source.resolve(spec(moto, bucket, "in/"))


async def test_a_name_that_a_server_keeps_as_another_is_named(store, box, publisher, source, tmp_path):
    outputs = tmp_path / "tree" / "outputs"
    outputs.mkdir(parents=True)
    (outputs / "back\\slash").write_text("x")
    try:
        published = await publisher.publish(result(store, box, tmp_path / "tree", "plain"), ignore)
    except PublisherFailure as e:
        folded = [each["Key"] for each in store.boto.list_objects_v2(Bucket=box)["Contents"]]
        assert folded == ["r-plain/outputs/back/slash"]
        assert e.message.startswith(r"file name 'outputs/back\\slash' cannot be an S3 key at http://127.0.0.1:")
        with pytest.raises(StorageFailure, match="nothing matches prefix") as raised:
            await source.resolve(spec(store, box, "r-plain/outputs/back\\"))
        assert r"some servers keep \ as /" in raised.value.hint
    else:
        await S3Downloader("http://127.0.0.1:1").download(published, tmp_path / "got", ignore)
        assert read_tree(tmp_path / "got") == read_tree(tmp_path / "tree")
    await publisher.publish(result(store, box, tmp_path / "tree", "gzip"), ignore)


async def test_blanks_around_a_key_count_where_there_is_such_an_object(store, box, source, tmp_path):
    store.fill(box, {"d/k ": b"with", "d/k": b"without"})
    for key, body in {"d/k ": b"with", "d/k": b"without", " d/k ": b"without"}.items():
        (entry,) = (await source.resolve(spec(store, box, key))).entries
        assert entry.size == len(body)


def test_a_key_of_results_that_begins_with_a_blank_is_refused():
    place = {"Bucket": "b", "Key": " r"}
    assert check_publisher(SpecConfig("s3", place)) == [
        "invalid s3 params. key ' r' begins with white space, which is left out where the result is read: leave it out"
    ]


async def test_a_bucket_that_is_not_there_is_no_empty_input(store, source):
    with pytest.raises(StorageFailure, match="s3: bucket no-such-bucket does not exist"):
        await source.resolve(spec(store, "no-such-bucket", "", AllowEmpty=True))
