"""Which paths a pattern allows. The paths are ones that are on no disk, so nothing is a symlink."""

import pytest

from bacalhau.plugins.local.allow import Rule, read_rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("/data/**", Rule("/data/**", False)),
        (" /data:rw ", Rule("/data", True)),
        ("/data:ro", Rule("/data", False)),
        ("/da:ta", Rule("/da:ta", False)),
        ("/data:rw:ro", Rule("/data:rw", False)),
    ],
)
def test_reading(text, rule):
    assert read_rule(text) == rule


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("/nn/data", ["/nn/data"], ["/nn/data/x", "/nn/dat", "/nn", "/"]),
        ("/nn/data/", ["/nn/data"], ["/nn/data/x"]),
        ("/nn/*", ["/nn/a", "/nn/.a", "/nn/a b"], ["/nn", "/nn/a/b", "/nnn/a"]),
        ("/nn/**", ["/nn", "/nn/a", "/nn/a/b/.c"], ["/n", "/nnn", "/"]),
        ("/nn/**/x", ["/nn/x", "/nn/a/x", "/nn/a/b/x"], ["/nn", "/nn/a/x/y"]),
        ("/nn/*.conf", ["/nn/a.conf"], ["/nn/a.cfg", "/nn/d/a.conf"]),
        ("/nn/a?c[0-9]", ["/nn/abc1"], ["/nn/ac1", "/nn/abcd", "/nn/a/c1"]),
        ("/nn/[^ab]", ["/nn/c", "/nn/^"], ["/nn/a", "/nn/b"]),
        ("/nn/[!ab]", ["/nn/c"], ["/nn/a"]),
        ("/nn/{a,b*}/{x,y}", ["/nn/a/x", "/nn/bcd/y"], ["/nn/c/x", "/nn/a/z", "/nn/{a,b*}/x"]),
        (r"/nn/\*\[x", ["/nn/*[x"], ["/nn/a[x", "/nn/a"]),
        ("/", ["/"], ["/nn"]),
        ("**", ["/", "/nn/a"], []),
        ("/**", ["/", "/nn/a"], []),
        ("/nn/*/../../etc", [], ["/etc", "/nn/a"]),
        ("/nn/../nm", ["/nm"], ["/nn/nm"]),
        ("", [], ["/", "/nn"]),
        ("nn/*", [], ["/nn/a"]),
        ("{/nn,mm}", [], ["/nn", "/mm"]),
    ],
)
def test_patterns(pattern, allowed, refused):
    rule = Rule(pattern, False)
    assert [path for path in allowed if not rule.allows(path)] == []
    assert [path for path in refused if rule.allows(path)] == []
