"""Names, sizes and versions from headers."""

import uuid

import pytest

from bacalhau.plugins.url.headers import file_name, full_size, range_start, strong_etag, version_mark


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("http://h/a/data.csv?x=/y.txt#z", "", "data.csv"),
        ("http://h/a%20b/c%20d.txt", "", "c d.txt"),
        ("http://h/dir/", "", "dir"),
        ("http://h/a%2Fb", "", "b"),
        ("http://h/%E2%82%AC.txt", "", "€.txt"),
        ("http://h/x", 'attachment; filename="300.jpg"', "300.jpg"),
        ("http://h/x", "attachment; filename=../../300.jpg", "300.jpg"),
        ("http://h/x", 'attachment; filename="/etc/300.jpg"', "300.jpg"),
        ("http://h/x", 'attachment; filename="C:\\\\300.jpg"', "300.jpg"),
        ("http://h/x", "attachment; filename=plain.txt; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("http://h/x", "attachment; filename*=UTF-8''..%2F..%2Fup.txt", "up.txt"),
        ("http://h/x.bin", 'attachment; filename=".."', "x.bin"),
        ("http://h/x.bin", "attachment", "x.bin"),
        ("http://h/x.bin", "gar=bage;;; filename", "x.bin"),
        ("http://h/" + "n" * 300, "", "n" * 255),
    ],
)
def test_names(url, disposition, name):
    assert file_name(url, disposition) == name


@pytest.mark.parametrize("url", ["http://h/", "http://h", "http://h/..", "http://h/a/%2E%2E", "http://h/%00"])
def test_a_path_without_a_name_gives_the_same_uuid_each_time(url):
    assert uuid.UUID(file_name(url, "")) == uuid.UUID(file_name(url, ""))


@pytest.mark.parametrize(
    ("status", "headers", "size"),
    [
        (200, {"Content-Length": "12"}, 12),
        (200, {}, -1),
        (200, {"Content-Length": "12", "Content-Encoding": "gzip"}, -1),
        (200, {"Content-Length": "-1"}, -1),
        (204, {}, 0),
        (206, {"Content-Range": "bytes 0-0/12", "Content-Length": "1"}, 12),
        (206, {"Content-Range": "bytes 0-0/*", "Content-Length": "1"}, -1),
        (206, {"Content-Length": "1"}, -1),
        (416, {"Content-Range": "bytes */0"}, 0),
    ],
)
def test_sizes(status, headers, size):
    assert full_size(status, headers) == size


def test_where_a_part_begins():
    assert [range_start({"Content-Range": text}) for text in ("bytes 5-9/10", "bytes */10", "")] == [5, -1, -1]


def test_only_strong_marks_mean_equal_bytes():
    assert strong_etag({"ETag": '"a"'}) == '"a"'
    assert strong_etag({"ETag": 'W/"a"'}) == ""
    assert version_mark({"ETag": 'W/"a"', "Last-Modified": "Mon"}) == "Mon"
    assert version_mark({}) == ""
