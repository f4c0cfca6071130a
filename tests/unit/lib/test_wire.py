"""Names, empty values, keys in any case, and faults that are all told at once."""

import gc

import msgspec
import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import MAX_PROBLEMS, Model, always, convert_all, decode, encode, fold_keys, wire_name


class Part(Model):
    gpu_count: int = 0
    params: dict[str, int] | None = None


class Whole(Model):
    id: str = always(factory=str)
    labels: dict[str, str] = always(factory=dict)
    note: str = ""
    main: Part | None = None
    parts: tuple[Part, ...] | None = None
    later: list[Part] = []


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("job_id", "JobID"),
        ("create_time", "CreateTime"),
        ("cpu", "CPU"),
        ("gpus", "GPUs"),
        ("pci_address", "PCIAddress"),
        ("identity", "Identity"),
    ],
)
def test_wire_names(name, wire):
    assert wire_name(name) == wire


def test_only_what_is_always_written_stays_when_empty():
    assert encode(Whole()) == b'{"ID":"","Labels":{}}'
    assert decode(encode(Whole(note="x", parts=(Part(gpu_count=1),))), Whole) == Whole(
        note="x", parts=(Part(gpu_count=1),)
    )


def test_keys_of_any_case_are_folded_and_those_of_maps_are_left():
    raw = {
        "ID": "a",
        "LABELS": {"Zone": "b"},
        "main": {"gpuCOUNT": 1, "params": {"Entry": 2}},
        "Parts": [{"gpucount": 3}],
        "later": [{"GpuCount": 4}],
    }
    folded, unknown = fold_keys(raw, Whole)
    assert unknown == []
    assert folded == {
        "ID": "a",
        "Labels": {"Zone": "b"},
        "Main": {"GPUCount": 1, "Params": {"Entry": 2}},
        "Parts": [{"GPUCount": 3}],
        "Later": [{"GPUCount": 4}],
    }


def test_unknown_keys_are_named_by_path_and_left_out():
    folded, unknown = fold_keys(
        {"id": "a", "nope": 1, "main": {"Nope": {"deep": 1}}, "parts": [{}, {"no": 1}], 7: 8}, Whole
    )
    assert folded == {"ID": "a", "Main": {}, "Parts": [{}, {}]}
    assert unknown == ["nope", "main.Nope", "parts[1].no", "7"]


@pytest.mark.parametrize("raw", [None, 3, "text", {"main": None, "parts": 5, "later": "x"}])
def test_values_of_another_shape_are_left_for_the_conversion(raw):
    folded, unknown = fold_keys(raw, Whole)
    assert unknown == []
    assert folded == ({wire_name(key): value for key, value in raw.items()} if isinstance(raw, dict) else raw)


def test_what_fits_is_converted():
    assert convert_all({"ID": "a", "Parts": [{"GPUCount": 3}]}, Whole) == Whole(id="a", parts=(Part(gpu_count=3),))


def test_every_wrong_field_is_listed_with_path_type_and_value():
    with pytest.raises(BadRequest) as caught:
        convert_all({"ID": 5, "Note": "fine", "Main": {"GPUCount": "x"}, "Parts": [{}, {"Params": {"A": None}}]}, Whole)
    assert caught.value.message.splitlines() == [
        "field 'ID': expected `str`, got `int` (value: 5)",
        "field 'Main.GPUCount': expected `int`, got `str` (value: 'x')",
        "field 'Parts[1].Params': expected `int`, got `null` - at `$[...]` (value: {'A': None})",
    ]


def test_a_whole_of_the_wrong_shape_is_refused():
    with pytest.raises(BadRequest, match="xpected `object`, got `str`"):
        convert_all("text", Whole)


def test_of_very_many_failures_the_first_are_told():
    with pytest.raises(BadRequest) as refused:
        convert_all({"Parts": [{"GPUCount": "x" * 1000}] * 300}, Whole)
    lines = refused.value.message.splitlines()
    assert len(lines) == MAX_PROBLEMS + 1 and lines[-1] == "…and more"
    assert len(lines[0]) < 400


def test_values_are_nothing_to_the_garbage_collection():
    """They form no circles; thousands of jobs in memory must not make each collection longer."""
    whole = decode(b'{"ID": "a", "Main": {"GPUCount": 1}, "Parts": [{}]}', Whole)
    assert not any(gc.is_tracked(value) for value in (whole, whole.main, *(whole.parts or ())))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"Note":1}', b'{"Note":"\xff"}', b'{"Note":"\\ud800"}', b"[" * 100_000, b'{"x":' + b"[" * 100_000],
    ids=["empty", "cut", "type", "no UTF-8", "surrogate", "deep", "deep and unknown"],
)
def test_whatever_cannot_be_read_is_one_error(text):
    with pytest.raises(msgspec.DecodeError):
        decode(text, Whole)
