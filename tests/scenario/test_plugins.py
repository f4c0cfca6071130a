"""Plug-ins of other packages: the example of the documentation runs a whole job, and broken ones harm nobody."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from bacalhau.lib.errors import BadRequest
from tests.support.system import System

EXAMPLE = Path(__file__).parents[2] / "docs/plugin"
NO_DOCKER = "tcp://127.0.0.1:1"

# One package for each way in which a manifest, or what it names, can be wrong.
BROKEN = {
    "gone": "raise ImportError('no module named flux')",
    "number": "PLUGIN = 7",
    "untyped": "PLUGIN = Plugin('untyped', engines=(EngineType('untyped', 5, 'a:b'),))",
    "untold": "PLUGIN = Plugin('untold', engines=(EngineType('untold', 'x', 'a:b'),))",
    "twin": (
        "PLUGIN = Plugin('twin', engines=(EngineType('noop', 'a:b', 'a:b'),),"
        " downloaders=(DownloaderType('twin', 'a:b'),))"
    ),
    "shout2": "from bacalhau_shout import PLUGIN",
    "late": """
PLUGIN = Plugin('late', engines=(EngineType('late', 'bacalhau_late:make', 'bacalhau_late:check'),))
def make(setting): raise KeyError('flux')
def check(spec): return []
""",
    "wrong": """
PLUGIN = Plugin('wrong', sources=(SourceType('wrong', 'bacalhau_wrong:make', 'bacalhau_wrong:check'),))
def make(setting): return object()
def check(spec): return None
""",
    "ill": """
PLUGIN = Plugin('ill', publishers=(PublisherType('ill', 'bacalhau_ill:make', 'bacalhau_ill:check'),))
def check(spec): return []
def make(setting): return Ill()
class Ill:
    async def check(self): raise OSError('the flux is out')
    async def publish(self, result, report): ...
""",
}


def announce(folder: Path, name: str, version: str, entry: str) -> None:
    """Write the metadata by which an installer announces a package and its manifest."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[bacalhau.plugins]\n{entry}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The example, installed into a folder of its own as its pyproject.toml says."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    for package in project["tool"]["setuptools"]["packages"]:
        shutil.copytree(EXAMPLE / package, folder / package)
    ((name, target),) = project["project"]["entry-points"]["bacalhau.plugins"].items()
    announce(folder, project["project"]["name"], project["project"]["version"], f"{name} = {target}")
    return folder


@pytest.fixture(scope="module")
def system(site, tmp_path_factory):
    """One process with the example and every kind of broken plug-in."""
    broken = tmp_path_factory.mktemp("broken")
    for name, code in BROKEN.items():
        (broken / f"bacalhau_{name}.py").write_text(f"from bacalhau.ports.plugin import *\n{code}")
        announce(broken, f"bacalhau-{name}", "0.1", f"{name} = bacalhau_{name}:PLUGIN")
    variables = {"PYTHONPATH": f"{site}:{broken}", "BACALHAU_SHELF": str(tmp_path_factory.mktemp("shelf"))}
    with System(tmp_path_factory.mktemp("system"), NO_DOCKER, variables=variables) as found:
        yield found


def shout(**task):
    fields = {
        "Name": "main",
        "Engine": {"Type": "Shout", "Params": {"Times": 2}},
        "InputSources": [{"Source": {"Type": "greeting", "Params": {"name": "world"}}, "Target": "/inputs"}],
        "Publisher": {"Type": "shelf"},
    }
    return {"Type": "batch", "Count": 1, "Tasks": [fields | task]}


def info(system):
    return next(n.info.compute for n in system.client.nodes() if n.info.node_type == "Compute")


def test_the_manifest_in_the_documentation_is_the_one_that_runs():
    told = (EXAMPLE.parent / "architecture.md").read_text()
    manifest = (EXAMPLE / "bacalhau_shout" / "__init__.py").read_text()
    assert told.partition("```python\n")[2].partition("```")[0] == manifest.partition('"""\n\n')[2]


def test_a_job_runs_with_the_plug_ins_engine_source_publisher_and_downloader(system, site, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(shout()))
    job_id = system.cli("job", "run", "--id-only", "--wait", tmp_path / "job.json").stdout.strip()
    assert system.output(job_id) == "HELLO WORLD\nHELLO WORLD\n"
    (tmp_path / "whole").mkdir()
    system.cli("get", job_id, "--output-dir", tmp_path / "whole", PYTHONPATH=str(site))
    assert (tmp_path / "whole" / "stdout").read_text() == "HELLO WORLD\nHELLO WORLD\n"
    (tmp_path / "part").mkdir()
    system.cli("get", f"{job_id}/stdout", "--output-dir", tmp_path / "part", PYTHONPATH=str(site))
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["stdout"]
    without = system.cli("get", job_id, "--output-dir", tmp_path / "part", code=1)
    assert "results of type shelf cannot be downloaded" in without.stderr


def test_its_check_refuses_bad_parameters_here_and_offline(system, site, tmp_path):
    bad = shout(Engine={"Type": "shout", "Params": {"Times": 0, "Loud": 1}})
    with pytest.raises(BadRequest) as refused:
        system.client.submit(bad)
    assert "unknown field: 'Loud' in 'Job.Tasks[0].Engine.Params', ignored" in refused.value.message
    assert "invalid shout param: Times must be at least 1, not 0" in refused.value.message
    (tmp_path / "job.json").write_text(json.dumps(bad))
    offline = system.cli("validate", tmp_path / "job.json", code=1, PYTHONPATH=str(site))
    assert "- task main validation failed: invalid engine: invalid shout param: Times must be" in offline.stderr
    assert "unknown engine type 'shout'" in system.cli("validate", tmp_path / "job.json", code=1).stderr


def test_the_flags_know_its_schemes(system, site):
    args = ["docker", "run", "--dry-run", "-p", "shelf", "-i", "greeting://all:/in", "alpine"]
    made = system.cli(*args, PYTHONPATH=str(site)).stdout
    assert all(text in made for text in ("shelf", "greeting", "Name: all"))
    refused = system.cli(*args, code=1).stderr
    assert "unknown storage schema: greeting" in refused
    refused = system.cli("docker", "run", "--dry-run", "-p", "shelf", "alpine", code=1).stderr
    assert "unknown publisher type: shelf" in refused
    unknown = system.cli("docker", "run", "--dry-run", "-i", "nope://x", "alpine", code=1, PYTHONPATH=str(site)).stderr
    assert "file:///path or greeting://NAME, followed by :/target" in unknown


def test_each_broken_package_is_told_once_with_its_cure(system):
    for name in BROKEN.keys() - {"ill"}:
        lines = [line for line in system.orchestrator.lines if "| bacalhau.app.plugins |" in line]
        told = [line for line in lines if f"package bacalhau-{name} 0.1" in line]
        assert len(told) == 1 and f"pip uninstall bacalhau-{name}" in told[0], (name, told)


def test_a_node_offers_what_works_and_says_why_the_rest_does_not(system):
    found = info(system)
    assert {"noop", "shout"} <= set(found.execution_engines) and "greeting" in found.storage_sources
    reasons = {
        "gone engine": "cannot be loaded: bacalhau_gone:PLUGIN: ImportError: no module named flux",
        "number source": "bacalhau_number:PLUGIN is a int, not a bacalhau.ports.plugin.Plugin",
        "untyped engine": "Expected `str`, got `int` - at `$.engines[0].make`",
        "untold engine": "- at `$.engines[0].make`",
        "late engine": "fails in bacalhau_late:make: KeyError: 'flux'",
        "wrong source": "bacalhau_wrong:make returns object, which is not a Storage",
        "ill publisher": "its own check fails: OSError: the flux is out",
    }
    assert {part: text for part, text in reasons.items() if text not in found.unavailable.get(part, "")} == {}
    assert "pip install --upgrade bacalhau-late" in found.cures["late engine"]
    assert "noop engine" not in found.unavailable and "shout engine" not in found.unavailable


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"Engine": {"Type": "gone"}}, "plug-in gone of package bacalhau-gone 0.1 cannot be loaded"),
        ({"InputSources": [{"Source": {"Type": "wrong"}, "Target": "/in"}]}, "bacalhau_wrong:check returns NoneType"),
    ],
    ids=["engine", "source"],
)
def test_a_job_that_needs_a_broken_one_is_refused_with_the_cure(system, task, text):
    with pytest.raises(BadRequest) as refused:
        system.client.submit(shout(**task))
    assert text in refused.value.message and "pip uninstall" in refused.value.message


def test_what_fails_when_it_is_made_leaves_its_jobs_waiting_for_no_node(system):
    job = system.client.wait(system.client.submit(shout(Engine={"Type": "late"})), 30)
    assert "bacalhau-late 0.1 fails in bacalhau_late:make" in job.state.message
