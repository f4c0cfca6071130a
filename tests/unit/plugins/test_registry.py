"""The promises that every manifest of ours keeps."""

import subprocess
import sys

import pytest

from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.unused import unused_params
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.loading import call, import_target
from bacalhau.plugins.registry import BUILT_IN, all_plugins, own_plugins
from bacalhau.ports.download import Downloader
from bacalhau.ports.engine import Engine
from bacalhau.ports.plugin import OrchestratorPart, ResultServer, Setting
from bacalhau.ports.publisher import Publisher
from bacalhau.ports.storage import Located, Storage

OWN = own_plugins()


@pytest.mark.parametrize(
    ("role", "kind"), [("engine", Engine), ("source", Storage), ("publisher", Publisher)], ids=lambda value: str(value)
)
def test_every_part_can_be_made_and_is_of_its_port(tmp_path, role, kind):
    setting = Setting(BlockStore(tmp_path))
    for offer in OWN.table(role).values():
        assert offer.part.make is None or call(offer.part.make, offer.owner, kind, setting)


def test_every_downloader_can_be_made(tmp_path):
    server = ResultServer(
        "http://127.0.0.1:1", {}, lambda: None, Setting(BlockStore(tmp_path)).config.result_downloaders
    )
    assert all(call(offer.part.make, offer.owner, Downloader, server) for offer in OWN.downloaders.values())


def test_every_orchestrators_part_can_be_made(tmp_path):
    config = Setting(BlockStore(tmp_path)).config
    targets = [offer.part.orchestrator for offer in OWN.publishers.values() if offer.part.orchestrator]
    assert all(isinstance(import_target(target)(config), OrchestratorPart) for target in targets)


def test_every_check_can_be_loaded():
    found = plugin_checks(OWN)
    for check in (*found.engines.values(), *found.sources.values(), *found.publishers.values(), *found.whole.values()):
        check.load()
    assert found.whole.keys() <= found.sources.keys()


def test_every_part_names_its_parameters():
    """So that users are warned of others, which the original ignores: `Publisher: {Type: local, Params: {…}}`."""
    job = Job(
        tasks=(
            Task(
                engine=SpecConfig(type="Docker", params={"Image": "a", "Entrypont": [], "Env": None, "Pull": "always"}),
                input_sources=tuple(
                    InputSource(source=SpecConfig(type=kind, params={"Nope": 1})) for kind in (*OWN.sources, "other")
                ),
                publisher=SpecConfig(type="local", params={"TargetPath": "/t"}),
            ),
        )
    )
    where = "Job.Tasks[0]"
    assert unused_params(job, plugin_checks(OWN).params) == [
        f"unknown field: 'Entrypont' in '{where}.Engine.Params' (did you mean 'Entrypoint'?), ignored",
        f"unknown field: 'Pull' in '{where}.Engine.Params', ignored",
        *(
            f"unknown field: 'Nope' in '{where}.InputSources[{number}].Source.Params', ignored"
            for number in range(len(OWN.sources))
        ),
        f"unknown field: 'TargetPath' in '{where}.Publisher.Params', ignored",
    ]
    kept = {name for name, offer in OWN.publishers.items() if offer.part.make}
    tell = plugin_checks(OWN).params.publishers
    assert all(tell[name](SpecConfig(type=name, params={"Nope": 1}), "P") for name in kept)


def test_every_source_that_can_say_what_is_here_is_asked_but_the_one_that_travels_with_the_job(tmp_path):
    setting = Setting(BlockStore(tmp_path))
    made = {name: call(offer.part.make, offer.owner, Storage, setting) for name, offer in OWN.sources.items()}
    here = {name for name, source in made.items() if isinstance(source, Located)}
    assert here == plugin_checks(OWN).located | {"inline"}


def test_nothing_of_ours_is_broken():
    assert (len(OWN.plugins), OWN.faults, all_plugins().faults) == (len(BUILT_IN), [], [])


def test_manifests_import_none_of_the_libraries_behind_them():
    code = "import sys, bacalhau.plugins.registry as r; r.own_plugins(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"aiohttp", "aiodocker", "botocore", "importlib.metadata"} & set(loaded) == {"importlib.metadata"}
