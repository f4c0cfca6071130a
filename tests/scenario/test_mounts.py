"""Folders that jobs see: those of a node, changed under each other's feet, and inputs and outputs of their own."""

import pytest

from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import OUTPUTS, Identity, System, s3_input


@pytest.fixture
def data(tmp_path):
    """A folder that jobs may change, beside one that they may not see."""
    for name in ("data/x", "secret"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "who").write_text(name)
    return tmp_path / "data"


def local_input(path, target="/in"):
    params = {"SourcePath": str(path), "ReadWrite": True}
    return {"Source": {"Type": "local", "Params": params}, "Target": target}


def inline_input(text, target):
    return {"Source": {"Type": "inline", "Params": {"URL": f"data:,{text}"}}, "Target": target}


def test_a_program_works_beside_its_input_and_mounts_lie_below_one_another(
    data, docker_url, docker_image, containers, s3, bucket, tmp_path
):
    """Samtools writes `x.bam.bai` beside `x.bam`. What is written there is neither published nor kept in the store."""
    s3.fill(bucket, {"in/x.bam": b"bam", "in/sub/y": b"y"})
    script = (
        "cat x.bam > x.bam.bai; echo more >> x.bam; rm -r sub; cat x.bam.bai x.bam part/who part/node/who lone;"
        " echo changed > lone; cp x.bam part/out/; cat part/out/given; touch part/node/new"
    )
    with System(
        tmp_path / "system",
        docker_url,
        image=docker_image,
        settings={"Compute.AllowListedLocalPaths": f"{data.parent}/*"},
        identity=Identity(umask=0o077),
    ) as system:
        ro = {"Source": {"Type": "local", "Params": {"SourcePath": str(data)}}, "Target": "/in/part/node"}
        inputs = [
            s3_input(s3.url, bucket, "in/", "/in", Writable=True),
            inline_input("inner", "/in/part/who"),
            inline_input("lone", "/in/lone"),
            inline_input("given", "/in/part/out/given"),
            ro,
        ]
        (data / "who").write_text("node")
        job = system.run(
            script,
            InputSources=inputs,
            ResultPaths=[{"Name": "outputs", "Path": "/in/part/out"}],
            Publisher={"Type": "local"},
            engine={"WorkingDirectory": "/in"},
        )
        assert (job.state.state_type, system.output(job.id)) == ("Completed", "bambammore\ninnernodelonegiven")
        assert "new: Read-only file system" in system.client.executions(job.id)[-1].run_output.stderr
        (tmp_path / "got").mkdir()
        system.client.get(job.id, tmp_path / "got")
        again = system.run("cat /in/*; ls /in", InputSources=[s3_input(s3.url, bucket, "in/x.bam", "/in")])
        assert system.output(again.id) == "bamx.bam\n"
    assert (tmp_path / "got/outputs/x.bam").read_text() == "bammore\n"
    assert sorted(path.name for path in data.iterdir()) == ["who", "x"]


def test_a_mount_without_a_place_is_told_by_both_targets(docker_url, docker_image, containers, tmp_path):
    with System(tmp_path / "system", docker_url, image=docker_image) as system:
        inputs = [inline_input("a", "/in"), inline_input("b", "/in/b")]
        job = system.run("true", InputSources=inputs)
        assert (job.state.state_type, job.state.message) == (
            "Failed",
            "/in/b lies below /in, where it is a file",
        )


def test_a_container_of_any_user_reads_its_inputs_and_adds_to_their_folders(
    docker_url, plain_user_image, containers, s3, bucket, tmp_path
):
    s3.fill(bucket, {"in/x": b"x"})
    with System(tmp_path / "system", docker_url, image=plain_user_image, identity=Identity(umask=0o077)) as system:
        job = system.run(
            "id -u; cat /in/x > /in/x.new; cat /in/x.new /lone; echo > /in/x || echo refused",
            InputSources=[s3_input(s3.url, bucket, "in/", "/in", Writable=True), inline_input("lone", "/lone")],
        )
        assert (job.state.state_type, system.output(job.id)) == ("Completed", "1234\nxlonerefused\n")
        containers.until("destroy", job.id)


def test_a_job_does_not_see_what_another_job_puts_in_the_place_of_its_folder(
    data, docker_url, docker_image, containers, s3, bucket, tmp_path
):
    s3.fill(bucket, {"slow": b"slow"})
    settings = {"Compute.AllowListedLocalPaths": f"{data}/**:rw"}
    with Gate(s3.url) as gate, System(tmp_path / "system", docker_url, image=docker_image, settings=settings) as system:
        fetched = gate.hold(f"GET /{bucket}/slow")
        inputs = [local_input(data / "x"), s3_input(gate.url, bucket, "slow", "/slow")]
        victim = system.submit("cat /in/who; echo mine > /in/new", InputSources=inputs)
        fetched.until_reached()
        swap = f"mv /data/x /data/moved; ln -s {tmp_path}/secret /data/x"
        attacker = system.run(swap, InputSources=[local_input(data, "/data")])
        assert attacker.state.state_type == "Completed"
        assert (data / "x/who").read_text() == "secret"
        fetched.open()
        assert system.client.wait(victim, 60).state.state_type == "Completed"
        assert system.output(victim) == "data/x"
        late = system.run("cat /in/who", InputSources=[local_input(data / "x")])
        assert (late.state.state_type, late.state.message) == ("Failed", f"volume {data}/x is not allowlisted")
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["who"]
    assert (data / "moved/new").read_text() == "mine\n"


def test_a_container_of_any_user_writes_its_outputs_where_no_other_user_of_the_machine_can_look(
    docker_url, plain_user_image, containers, tmp_path
):
    older = tmp_path / "system/orchestrator/compute/executions"
    older.mkdir(parents=True)
    with System(tmp_path / "system", docker_url, image=plain_user_image) as system:
        job = system.run("id -u > /outputs/who; cat /outputs/who", ResultPaths=OUTPUTS, Publisher={"Type": "local"})
        assert (job.state.state_type, system.output(job.id)) == ("Completed", "1234\n")
        containers.until("destroy", job.id)
        closed = [system.dir / name for name in ("compute", "compute/executions", "orchestrator")]
        assert [oct(folder.stat().st_mode & 0o777) for folder in closed] == [oct(0o700)] * 3


def test_a_task_whose_mount_is_no_longer_allowed_is_stopped_when_its_node_starts_again(
    data, docker_url, docker_image, containers, tmp_path
):
    settings = {"Compute.AllowListedLocalPaths": f"{data}/**:rw"}
    with System(tmp_path / "system", docker_url, image=docker_image, split=True, settings=settings) as system:
        allowed, refused = (system.submit(HOLD, InputSources=[local_input(data / name)]) for name in ("x", "."))
        for job_id in (allowed, refused):
            containers.until("start", job_id)
        system.node.kill()
        system.settings["Compute.AllowListedLocalPaths"] = f"{data}/x:rw"
        system.node = system.add_node(system.node_dir)
        system.start()
        job = system.client.wait(refused, 60)
        assert (job.state.state_type, job.state.message) == ("Failed", f"volume {data} is not allowlisted")
        containers.until("destroy", refused)
        containers.let_go(allowed)
        assert system.client.wait(allowed, 60).state.state_type == "Completed"
        assert len(containers.seen("start", job_id=allowed)) == 1
