"""Threads that keep one connection each."""

from bacalhau.plugins.s3.bulk import BulkReader


def test_a_thread_that_goes_to_another_server_leaves_no_connection_behind():
    lane = BulkReader()
    first = lane._connection("http://one.example/bucket/key")
    assert lane._connection("http://one.example/bucket/other") is first
    second = lane._connection("https://two.example/bucket/key")
    assert lane._opened == [second]
    lane.close()
