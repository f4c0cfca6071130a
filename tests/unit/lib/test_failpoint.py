"""Failpoints: each is one place of the code, unset they do nothing, set they kill this very process at the
right time.
"""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.failpoint import VARIABLE, Point, arm_failpoints, reach

SOURCES = Path(__file__).parents[3] / "src" / "bacalhau"


def test_every_point_is_one_place_of_the_code():
    reached = Counter(
        name for path in SOURCES.rglob("*.py") for name in re.findall(r"\breach\(Point\.(\w+)\)", path.read_text())
    )
    assert reached == Counter(point.name for point in Point)


def test_nothing_happens_where_none_is_set():
    arm_failpoints({})
    for point in Point:
        reach(point)


@pytest.mark.parametrize(
    "text", ["nowhere=kill", "node.ran", "node.ran=pause", "node.ran=kill:0", "node.ran=kill:", "node.ran=kill:x"]
)
def test_a_wrong_one_is_named(text):
    with pytest.raises(
        BadRequest, match=f'{VARIABLE} expects NAME=kill or NAME=kill:N, received: "{re.escape(text)}"'
    ) as caught:
        arm_failpoints({VARIABLE: text})
    assert "node.ran" in caught.value.hint


def test_it_kills_the_process_at_its_turn():
    code = (
        f"import os\nfrom {reach.__module__} import *\narm_failpoints(os.environ)\nfor n in range(5):\n    print(n,"
        " flush=True)\n    reach(Point.NODE_RAN)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {VARIABLE: "node.told=kill,node.ran=kill:3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["0", "1", "2"])
