"""Which paths a pattern allows. The paths are ones that are on no disk, so nothing is a symlink."""

import pytest

from bacalhau.plugins.local.allow import read_rules


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("/data/**", ("/data/**", False)),
        (" /data:rw ", ("/data", True)),
        ("/data:ro", ("/data", False)),
        ("/da:ta", ("/da:ta", False)),
        ("/data:rw:ro", ("/data:rw", False)),
    ],
)
def test_reading(text, rule):
    assert [(read.pattern, read.write) for read in read_rules([text, " "])] == [rule]


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
    (rule,) = read_rules([pattern or ":ro"])
    assert [path for path in allowed if not rule.allows(path)] == []
    assert [path for path in refused if rule.allows(path)] == []


@pytest.mark.parametrize(
    ("rules", "changing", "still"),
    [
        (["/nn/**:rw"], ["/nn", "/nn/a", "/nn/a/b"], ["/", "/nm"]),
        (["/nn/*:rw"], ["/nn/a", "/nn/a/b"], ["/nn", "/"]),
        (["/nn/a:rw", "/nn/**"], ["/nn/a", "/nn/a/b"], ["/nn", "/nn/b"]),
        (["**:rw"], ["/", "/nn"], []),
        (["/nn/**"], [], ["/", "/nn", "/nn/a"]),
    ],
)
def test_the_folders_that_jobs_may_change(rules, changing, still):
    read = read_rules(rules)
    assert [folder for folder in changing if not read.may_change(folder)] == []
    assert [folder for folder in still if read.may_change(folder)] == []


def test_a_link_at_the_beginning_of_a_pattern_is_followed_once_and_only_where_no_job_can_have_made_it(tmp_path):
    (tmp_path / "alias").symlink_to("data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "theirs").symlink_to("/secret")
    above, below = read_rules([f"{tmp_path}/alias/**:rw", f"{tmp_path}/alias/theirs/**"])
    assert above.allows(f"{tmp_path}/data/x")
    assert below.allows(f"{tmp_path}/data/theirs/x") and not below.allows("/secret/x")
    (tmp_path / "alias").unlink()
    (tmp_path / "alias").symlink_to("/secret")
    assert not above.allows("/secret/x")
