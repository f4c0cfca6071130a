"""The tutorial's bucket, in small: twenty objects under the tutorial's own keys, and twenty that its prefix must not
match.
"""

from pathlib import Path

from bacalhau.app.objectstore import ObjectStore
from bacalhau.lib.clock import now_ns
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result

SAMPLE_BUCKET, RESULT_BUCKET = "noaa-goes16", "results"
SAMPLE_INPUT = f"s3://{SAMPLE_BUCKET}/ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*:/inputs,opt=region=us-east-1"
SAMPLE_CID = "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"
_TOP, _REST = "ABI-L1b-RadC", "2000/001/12"
_NAME = "OR_ABI-L1b-RadC-{channel}_G16_s2000001120{number:04d}.nc"


def write_sample(folder: Path) -> None:
    """Object i of channel M3C01 is 1000 bytes of value i, each of M3C02 is ten bytes `x`."""
    inner = folder / _REST
    inner.mkdir(parents=True, exist_ok=True)
    for i in range(20):
        (inner / _NAME.format(channel="M3C01", number=i)).write_bytes(bytes([i]) * 1000)
        (inner / _NAME.format(channel="M3C02", number=i)).write_bytes(b"x" * 10)


async def put_sample(store: ObjectStore, folder: Path) -> None:
    """Fill the bucket from files made in `folder`. The credentials are those of the environment."""
    write_sample(folder)
    params = {"Bucket": SAMPLE_BUCKET, "Key": _TOP, "Endpoint": store.url, "Region": "us-east-1", "Encoding": "plain"}
    publisher = S3Publisher()
    try:
        await publisher.publish(
            Result(folder, SpecConfig(type="s3", params=params), "sample", "sample", "sample", now_ns()), ignore
        )
    finally:
        await publisher.close()
