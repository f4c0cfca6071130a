"""The names of the folders that results are fetched into: nobody who reports a result can choose them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.client.results import _name
from bacalhau.models.job.spec import SpecConfig


@given(st.sampled_from(["CID", "cid", "URL", "Key"]), st.text() | st.sampled_from(["Qm/..", "..", ".", "a/b", "\x1b"]))
def test_no_result_chooses_its_folder(field, value):
    assert re.fullmatch(r"[0-9a-f]{16}", _name(SpecConfig(type="ipfs", params={field: value})))
