"""The machine within its control groups, of both versions."""

import os

import pytest

from bacalhau.compute.machine.resources import detect_resources


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def look(tmp_path):
    def detect(membership, **files):
        write(tmp_path / "cg", **files)
        (tmp_path / "membership").write_text(membership)
        found = detect_resources(tmp_path, tmp_path / "cg", tmp_path / "membership")
        assert found.disk > 0 and found.gpu == 0
        return found.cpu, found.memory

    return detect


ALL = (float(len(os.sched_getaffinity(0))), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def test_without_limits_it_is_the_whole_machine(look):
    assert look("") == ALL
    assert look("0::/\n") == ALL
    assert look("0::/a/b\n", a__cpu_DOT_max="max 100000\n", a__b__memory_DOT_max="max\n") == ALL


def test_version_2_the_tightest_of_all_groups_above_counts(look):
    files = {
        "a__cpu_DOT_max": "50000 100000\n",
        "a__b__cpu_DOT_max": "max 100000\n",
        "a__memory_DOT_max": "1000000\n",
        "a__b__memory_DOT_max": "3000000\n",
    }
    assert look("0::/a/b\n", **files) == (0.5, 1_000_000)


def test_version_2_as_a_container_sees_it(look):
    assert look("0::/\n", cpu_DOT_max="25000 100000\n", memory_DOT_max="536870912\n") == (0.25, 536870912)


def test_version_1(look):
    files = {
        "cpu,cpuacct__j__cpu_DOT_cfs_quota_us": "75000\n",
        "cpu,cpuacct__j__cpu_DOT_cfs_period_us": "100000\n",
        "memory__j__memory_DOT_limit_in_bytes": "2000000\n",
        "memory__memory_DOT_limit_in_bytes": "9223372036854771712\n",
    }
    assert look("5:memory:/j\n4:cpu,cpuacct:/j\n1:name=systemd:/j\n", **files) == (0.75, 2_000_000)


def test_version_1_without_limits(look):
    files = {
        "cpu__cpu_DOT_cfs_quota_us": "-1\n",
        "cpu__cpu_DOT_cfs_period_us": "100000\n",
        "memory__memory_DOT_limit_in_bytes": "9223372036854771712\n",
    }
    assert look("5:memory:/docker/x\n4:cpu:/docker/x\n", **files) == ALL


def test_more_than_there_is_is_no_limit(look):
    assert look("0::/\n", cpu_DOT_max="100000000 100000\n", memory_DOT_max=f"{1 << 59}\n") == ALL
