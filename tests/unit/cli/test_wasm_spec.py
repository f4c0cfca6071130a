"""Flags of `wasm run` as a job."""

import pytest

from bacalhau.cli.job.wasm import WasmRun, run
from bacalhau.cli.spec.wasm import wasm_job
from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.inline.data_url import parse_data_url


def task(*args):
    ctx = run.make_context("run", list(args))
    return wasm_job(WasmRun(**ctx.params), ctx.args).task


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "noop.wasm"
    path.write_bytes(b"\0asm" + b"\1" * 100)
    return path


def test_a_local_module_travels_with_the_job(module):
    made = task(str(module), "--", "hello", "-x")
    assert made.engine.type == "wasm"
    assert made.engine.params == {
        "EntryModule": "main.wasm",
        "Entrypoint": "_start",
        "ImportModules": None,
        "Parameters": ["hello", "-x"],
    }
    (source,) = made.input_sources
    assert (source.source.type, source.target, source.alias) == ("inline", "main.wasm", str(module))
    assert parse_data_url(source.source.params["URL"]).data == module.read_bytes()


def test_a_large_module_is_packed_always_alike(module):
    module.write_bytes(b"\0asm" * 1000)
    first, second = (task(str(module)).input_sources[0].source.params["URL"] for _ in range(2))
    assert first == second and parse_data_url(first).is_archive and len(first) < 500


def test_where_modules_are_mounted(module):
    made = task(
        f"{module}:/app/custom.wasm",
        "-I",
        "https://host/a.wasm:/lib/a.wasm",
        "-I",
        f"{module}:b.wasm",
        "-i",
        "s3://b/k:/in",
        "--entry-point",
        "run",
    )
    assert made.engine.params["EntryModule"] == "/app/custom.wasm" and made.engine.params["Entrypoint"] == "run"
    assert made.engine.params["ImportModules"] == ["/lib/a.wasm", "b.wasm"]
    assert [(s.source.type, s.target) for s in made.input_sources] == [
        ("s3", "/in"),
        ("inline", "/app/custom.wasm"),
        ("urlDownload", "/lib/a.wasm"),
        ("inline", "b.wasm"),
    ]
    assert task("https://host/main.wasm").input_sources[0].target == "main.wasm"


def test_a_module_that_an_input_brings():
    made = task("/mods/m.wasm", "-i", "ipfs://QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN:/mods")
    assert made.engine.params["EntryModule"] == "/mods/m.wasm" and [s.target for s in made.input_sources] == ["/mods"]


def test_a_module_that_is_nowhere(module):
    inputs = ("-i", "s3://b/k:/mods")
    for wrong in (["nofile.wasm"], ["/other/m.wasm", *inputs], [str(module), "-I", "/modsx/m.wasm", *inputs]):
        with pytest.raises(BadRequest, match=r'opening module \(".*\.wasm"\): no such file or directory'):
            task(*wrong)


def test_what_is_no_module(module, tmp_path):
    with pytest.raises(BadRequest, match="should point to a single file"):
        task(str(tmp_path))
    with pytest.raises(BadRequest, match="must specify a target path using the format 'path:target'"):
        task(str(module), "-I", str(module))
