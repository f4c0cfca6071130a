"""What a task becomes as a container."""

from pathlib import Path

import pytest

from bacalhau.lib.errors import EngineFailure
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.resources import GPU, Resources
from bacalhau.plugins.docker.container import Surroundings, container_config, container_name, merge_env
from bacalhau.plugins.docker.image import Program
from bacalhau.plugins.docker.isolation import Facts, Isolation
from bacalhau.plugins.docker.params import DockerParams
from bacalhau.ports.engine import EngineTask, Mount

NODE = Surroundings()


def task(**changes):
    blank = EngineTask("e-1", "j-1", "n-1", {}, {}, (), Resources(), NetworkConfig(), Path("/o"), Path("/e"))
    return blank._replace(**changes)


def config(params=None, around=NODE, **changes):
    return container_config(task(**changes), params or DockerParams(image="alpine"), "sha256:1", around)


def test_name_and_labels_tell_whose_it_is():
    assert container_name("e-1") == "bacalhau-e-1"
    assert config()["Labels"] == {"bacalhau-executor": "n-1", "bacalhau-jobID": "j-1", "bacalhau-executionID": "e-1"}


def test_what_the_job_leaves_out_is_the_images():
    made = config()
    assert made["Image"] == "sha256:1"
    assert not {"Entrypoint", "Cmd", "WorkingDir"} & made.keys()


def test_command_and_folder_of_the_job():
    made = config(DockerParams(image="a", entrypoint=("sh", "-c"), parameters=("true",), working_directory="/w"))
    assert (made["Entrypoint"], made["Cmd"], made["WorkingDir"]) == (["sh", "-c"], ["true"], "/w")


def test_engine_variables_win():
    assert merge_env({"A": "1", "B": "2"}, ("B=3", "C", "D=x=y")) == ["A=1", "B=3", "C", "D=x=y"]


def test_limits():
    host = config(resources=Resources(cpu=0.5, memory=10**8, gpu=2))["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 10**8, 10**8)
    assert host["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]


def test_what_every_container_gets():
    host = config()["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["CapDrop"] == ["AUDIT_WRITE", "MKNOD", "NET_RAW"]
    assert host["PidsLimit"] == 4096
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 65536, "Hard": 65536}]
    assert not {"Init", "Runtime", "UsernsMode", "ReadonlyRootfs", "Tmpfs"} & host.keys()


def test_what_a_task_asks_for_wins_over_what_every_container_gets():
    around = Surroundings(Isolation(readonly_rootfs=True, no_new_privileges=False))
    params = DockerParams(image="a", shm_size="1Mb", tmpfs=("/tmp:ro", "/run"), ulimits=("nofile=10", "core=0"))
    host = config(params, around)["HostConfig"]
    assert (host["ShmSize"], host["Tmpfs"]) == (1_000_000, {"/tmp": "ro", "/run": ""})
    limits = [{"Name": "nofile", "Soft": 10, "Hard": 10}, {"Name": "core", "Soft": 0, "Hard": 0}]
    assert host["Ulimits"] == limits
    assert "SecurityOpt" not in host
    with pytest.raises(EngineFailure, match="Tmpfs /run is the place of an input or a result path, too"):
        config(params, around, mounts=(Mount(Path("/a"), "/run/", False),))


def test_process_1_is_asked_for_where_the_daemon_has_one():
    there, absent = Facts(has_init=True), Facts(has_init=False)
    assert config(around=Surroundings(facts=there))["HostConfig"]["Init"] is True
    assert "Init" not in config(around=Surroundings(facts=absent))["HostConfig"]
    assert "Init" not in config(around=Surroundings(Isolation(init=False), there))["HostConfig"]


def test_a_read_only_root_leaves_a_place_to_write():
    around = Surroundings(Isolation(readonly_rootfs=True))
    host = config(around=around)["HostConfig"]
    assert (host["ReadonlyRootfs"], host["Tmpfs"]) == (True, {"/tmp": "rw,exec,nosuid,nodev,mode=1777"})
    host = config(around=around, resources=Resources(memory=10**8))["HostConfig"]
    assert host["Tmpfs"]["/tmp"].endswith(",size=100000000")
    assert "Tmpfs" not in config(around=around, mounts=(Mount(Path("/a"), "/tmp", False),))["HostConfig"]


def test_runtime_and_user_namespace():
    host = config(around=Surroundings(Isolation(runtime="runsc", userns_mode="auto", max_open_files=0)))["HostConfig"]
    assert (host["Runtime"], host["UsernsMode"]) == ("runsc", "auto")
    assert "Ulimits" not in host


def test_no_limits_asked_none_set():
    assert not {"NanoCpus", "Memory", "MemorySwap", "DeviceRequests"} & config()["HostConfig"].keys()


def test_allotted_gpus_by_number():
    host = config(resources=Resources(gpu=1, gpus=(GPU(index=3),)))["HostConfig"]
    assert host["DeviceRequests"] == [{"DeviceIDs": ["3"], "Capabilities": [["gpu"]]}]


def test_mounts():
    host = config(mounts=(Mount(Path("/a:b"), "/in", True),))["HostConfig"]
    assert host["Mounts"] == [{"Type": "bind", "Source": "/a:b", "Target": "/in", "ReadOnly": True}]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("", "bridge"), ("Default", "bridge"), ("bridge", "bridge"), ("None", "none"), ("Host", "host"), ("Full", "host")],
)
def test_network_modes(kind, mode):
    host = config(network=NetworkConfig(type=kind))["HostConfig"]
    assert host["NetworkMode"] == mode
    assert ("ExtraHosts" in host) == (mode == "bridge")


def test_http_network_is_refused():
    with pytest.raises(EngineFailure, match="HTTP"):
        config(network=NetworkConfig(type="HTTP"))


def test_ports_are_published_on_a_bridge_only():
    ports = (
        PortMapping(name="a", static=8080, target=80),
        PortMapping(name="b", static=9000, host_network="127.0.0.1"),
    )
    made = config(network=NetworkConfig(type="Bridge", ports=ports))
    assert made["ExposedPorts"] == {"80/tcp": {}, "9000/tcp": {}}
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
        "9000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}],
    }
    assert "PortBindings" not in config(network=NetworkConfig(type="Host", ports=ports))["HostConfig"]


@pytest.mark.parametrize(
    ("image", "params", "first"),
    [
        (Program(), {}, ""),
        (Program(command=("sh",)), {}, "sh"),
        (Program(("/init",), ("sh",)), {}, "/init"),
        (Program(("/init",), ("sh",)), {"parameters": ("a",)}, "/init"),
        (Program(("/init",)), {"entrypoint": ("sh", "-c"), "parameters": ("/init",)}, "sh"),
        (Program(command=("sh",)), {"parameters": ("/sbin/init",)}, "/sbin/init"),
        (Program(("/init",)), {"entrypoint": ()}, "/init"),
    ],
)
def test_the_program_that_becomes_process_1(image, params, first):
    assert image.first(DockerParams(image="a", **params)) == first


def test_programs_that_are_process_1_themselves_get_none_of_ours():
    for program in ("/init", "/sbin/init", "/lib/systemd/systemd", "tini", "/usr/bin/dumb-init", "/tini-static"):
        assert not Isolation().suited_to(program).init
    for program in ("", "sh", "/bin/initialize", "/init/run", "python"):
        assert Isolation().suited_to(program).init
    assert not Isolation(init=False).suited_to("sh").init
