"""JSON as strangers send it: right by a type, wrong in one place, or nothing of the kind."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

DEEP = (50, 99, 101, 500, 900, 980, 1000, 3000, 20_000)
NUMBERS = ["0", "-0", "-1", "1e999", "-1e400", "NaN", "Infinity", "-Infinity", "0.1e-400", "00", "1.", "9" * 30]
NUMBERS += [str(2**n + d) for n in (31, 32, 53, 63, 64) for d in (-1, 0)] + ["9" * 5000, f"-{2**63 + 1}"]
TEXTS = [
    "",
    " ",
    ".",
    "..",
    "a/b",
    "\x00",
    "\x1b[31m",
    "é",
    "\u202e",
    "\U0001f600",
    "%s%n",
    "'\"\\",
    "{{.}}",
    "x" * 300,
]
TEXTS += ["y" * 70_000, "null", "true", "-1", "99999999999999999999", "1h", "10Gb", "1e99", "j-", "*", ">", "a.b"]

texts = st.sampled_from(TEXTS) | st.text(max_size=20)
raw_numbers = st.sampled_from(NUMBERS)


class Raw(str):
    """JSON text that stands as it is."""


def rendered(value: Any) -> bytes:
    """Write JSON in which `Raw` stands as it is and pairs in a list of `Pairs` may have a key twice."""
    if isinstance(value, Raw):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b'"' + value + b'"'
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(k).encode() + b":" + rendered(v) for k, v in value.items()) + b"}"
    if isinstance(value, Twice):
        return rendered(value.one)[:-1] + b"," + rendered(value.other)[1:]
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(rendered, value)) + b"]"
    return json.dumps(value).encode()


class Twice(msgspec.Struct):
    """Two objects written as one, so that keys come twice."""

    one: dict
    other: dict


deep = st.sampled_from(DEEP).flatmap(
    lambda n: st.sampled_from([Raw("[" * n + "]" * n), Raw('{"a":' * n + "1" + "}" * n), Raw("[" * n)])
)
odd = st.one_of(
    texts,
    raw_numbers.map(Raw),
    deep,
    st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\x01", b"\xc3"]),
    st.sampled_from([None, True, False, [], {}, [[]], [{}], [None], {"": ""}, 0, -1, 1.5]),
    st.lists(texts, max_size=3),
    st.dictionaries(texts, st.integers() | st.none(), max_size=3),
)


def of_type(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON values of a type of msgspec's inspection, wrong in some places."""
    if isinstance(kind, type):
        kind = msgspec.inspect.type_info(kind)
    right = _right(kind, depth)
    return st.integers(0, 9).flatmap(lambda n: odd if n == 0 else right)


def _right(kind: msgspec.inspect.Type, depth: int) -> st.SearchStrategy[Any]:
    i = msgspec.inspect
    if isinstance(kind, i.StructType) and depth < 7:
        return _struct(kind, depth)
    if isinstance(kind, i.UnionType):
        return st.one_of(*(_right(each, depth) for each in kind.types))
    if isinstance(kind, i.VarTupleType | i.ListType) and depth < 7:
        return st.lists(of_type(kind.item_type, depth + 1), max_size=2)
    if isinstance(kind, i.DictType) and depth < 7:
        return st.dictionaries(texts, of_type(kind.value_type, depth + 1), max_size=2)
    if isinstance(kind, i.IntType):
        return st.integers(0, 5) | st.integers()
    if isinstance(kind, i.FloatType):
        return st.floats(0, 100) | st.sampled_from([1e308, -1e308, 5e-324])
    if isinstance(kind, i.BoolType):
        return st.booleans()
    if isinstance(kind, i.LiteralType):
        return st.sampled_from(kind.values)
    if isinstance(kind, i.NoneType):
        return st.none()
    return odd if isinstance(kind, i.AnyType) else texts


def _struct(kind: msgspec.inspect.StructType, depth: int) -> st.SearchStrategy[dict]:
    # Deferred: the types of messages are wide, and only what is drawn is built.
    fields = {f.encode_name: st.deferred(lambda f=f: of_type(f.type, depth + 1)) for f in kind.fields}
    names = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=8) if fields else st.just([])
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))


def bodies(kind: Any) -> st.SearchStrategy[bytes]:
    """Bytes of a body of that type, or of none."""
    whole = of_type(kind)
    twice = st.tuples(whole, whole).map(lambda p: Twice(*p) if all(isinstance(x, dict) for x in p) else p[0])
    broken = st.tuples(whole.map(rendered), st.integers(0, 40)).map(lambda p: p[0][: len(p[0]) - p[1]])
    return st.one_of(whole.map(rendered), twice.map(rendered), broken, odd.map(rendered), st.binary(max_size=30))
