"""The reading of pages: blocks, marks and outputs."""

import pytest

from tests.support.pages import matches, read_page

PAGE = """\
---
needs: [devstack]
---
# Title

```sh
echo hello
```

```text
hello
```

<!-- exit 1 -->
```sh
false
```

<!-- not run: it needs a cloud -->
```sh
cloud
```

- In a list:

  ```yaml
  # job.yaml
  Name: x
  ```
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "page.md").write_text(text)
        return read_page(tmp_path / "page.md")

    return read


def test_blocks_have_their_marks_and_outputs(read):
    page = read(PAGE)
    assert page.needs == ("devstack",)
    assert [(b.kind, b.text, b.exit, b.why, b.shown, b.file) for b in page.blocks] == [
        ("sh", "echo hello\n", 0, "", "hello\n", ""),
        ("sh", "false\n", 1, "", None, ""),
        ("sh", "cloud\n", 0, "it needs a cloud", None, ""),
        ("yaml", "# job.yaml\nName: x\n", 0, "", None, "job.yaml"),
    ]


@pytest.mark.parametrize("text", ["<!-- exit 1 -->\n\nwords\n", "```text\nnobody printed it\n```\n"])
def test_a_mark_or_an_output_that_belongs_to_nothing_is_a_fault(read, text):
    with pytest.raises(ValueError, match="line"):
        read(text)


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\n", "a", False),
        ("id j-123 Completed\n", "id … Completed", True),
        ("id j-123 Failed\n", "id … Completed", False),
        ("one\ntwo\nthree\n", "one\n…\nthree", True),
        ("one\nthree\n", "one\n…\nthree", True),
        ("one\ntwo\n", "…", True),
        ("x.y\n", "x.y", True),
        ("xzy\n", "x.y", False),
        ("", "", True),
    ],
)
def test_what_varies_is_three_dots(printed, shown, same):
    assert matches(printed, shown) is same
