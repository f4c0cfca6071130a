"""What a process says about itself before anything is opened."""

import pytest

from bacalhau.app.identity import load_identity
from bacalhau.app.serve import serve
from bacalhau.config.access import API, ApiTLS, Auth, User
from bacalhau.config.schema import Compute, Config
from bacalhau.lib.errors import BadRequest


async def test_a_name_that_the_data_directory_does_not_bear_is_told(tmp_path, caplog):
    load_identity(tmp_path, "old")
    config = Config(data_dir=str(tmp_path), compute=Compute(enabled=True, orchestrators=("nats://127.0.0.1:1",)))
    async with serve(config, "new") as served:
        assert served.node is not None and served.node.node_id == "old"
    assert f"--name new is not used: {tmp_path} is the data directory of node old" in caplog.text


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        (API(auth=Auth(users=(User(username="ada", password="short"),))), "Password must be 10 to 255"),
        (API(tls=ApiTLS(cert_file="/nowhere.crt", key_file="/nowhere.key")), "cannot use certificate /nowhere.crt"),
    ],
)
async def test_a_node_whose_api_cannot_be_served_as_configured_takes_up_nothing(tmp_path, api, problem):
    config = Config(data_dir=str(tmp_path), api=api, compute=Compute(enabled=True, orchestrators=("nats://h:1",)))
    with pytest.raises(BadRequest, match=problem):
        async with serve(config):
            pass
    assert not (tmp_path / "compute").exists()
