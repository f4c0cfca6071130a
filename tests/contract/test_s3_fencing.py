"""Who loses the right to publish leaves nothing behind, however far it has come."""

import os
from pathlib import Path

import pytest

from bacalhau.lib.errors import Conflict
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.ports.progress import ignore
from tests.contract.test_s3_publish import result

pytestmark = pytest.mark.usefixtures("credentials")
CALLS = {
    "before anything": (0, 1000),
    "in the middle of the only request": (3, 3 << 20),
    "before the parts are put together": (1, 20 << 20),
}


class Right:
    """A Confirm that agrees so many times, and never again; it counts how often it was asked."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def confirm(self) -> None:
        self.times -= 1
        if self.times < 0:
            raise Conflict("another attempt may")


@pytest.mark.parametrize("moment", CALLS)
async def test_the_right_is_lost(moment: str, s3, bucket: str, tmp_path: Path) -> None:
    times, size = CALLS[moment]
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(size))
    wanted = result(s3, folder, bucket, "late/{jobID}")
    publisher = S3Publisher()
    try:
        right = Right(10**6)
        assert (await publisher.publish(wanted._replace(confirm=right.confirm), ignore)).type == "s3"
        needed = 10**6 - right.times
        (before,) = s3.boto.list_objects_v2(Bucket=bucket)["Contents"]
        (folder / "data").write_bytes(os.urandom(size))
        with pytest.raises(Conflict):
            await publisher.publish(wanted._replace(confirm=Right(min(times, needed - 1)).confirm), ignore)
        assert s3.boto.list_objects_v2(Bucket=bucket)["Contents"] == [before]
        assert "Uploads" not in s3.boto.list_multipart_uploads(Bucket=bucket)
    finally:
        await publisher.close()
