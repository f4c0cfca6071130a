"""What a process says about itself before anything is opened."""

from bacalhau.app.identity import load_identity
from bacalhau.app.serve import serve
from bacalhau.config.schema import Compute, Config


async def test_a_name_that_the_data_directory_does_not_bear_is_told(tmp_path, caplog):
    load_identity(tmp_path, "old")
    config = Config(data_dir=str(tmp_path), compute=Compute(enabled=True, orchestrators=("nats://127.0.0.1:1",)))
    async with serve(config, "new") as served:
        assert served.node is not None and served.node.node_id == "old"
    assert f"--name new is not used: {tmp_path} is the data directory of node old" in caplog.text
