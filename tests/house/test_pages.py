"""Every page has its place in the site, and every link between pages, and from the README, leads somewhere.

`make docs` checks the made pages too; this needs no tools.
"""

import ast
import re
import unicodedata
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if not page.is_relative_to(DOCS / "plugin")]
BESIDE = [page for page in sorted(ROOT.glob("*.md"))]  # not in the site
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def made_pages():
    """The pages that docs/hooks.py makes from code."""
    tree = ast.parse((DOCS / "hooks.py").read_text())
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and str(node.value).endswith(".md")}


def prose(page):
    """A page without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def anchor(heading):
    """The anchor that the site gives to a heading."""
    plain = unicodedata.normalize("NFKD", re.sub(r"[`*]", "", heading)).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def anchors(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    own = re.findall(r'<a id="([^"]+)"', text)
    return {*(anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)), *own}


def faults(page):
    """Yield the links of a page that lead nowhere."""
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, name = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if there.is_relative_to(DOCS) and str(there.relative_to(DOCS)) in made_pages():
            continue
        if not there.exists() or (name and name not in anchors(there)):
            yield f"{page.relative_to(ROOT)}: {target}"


def test_every_link_leads_somewhere():
    assert [fault for page in [*PAGES, *BESIDE] for fault in faults(page)] == []


def test_every_page_has_its_place_in_the_site():
    listed = re.findall(r"^ +- .*?([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({*(str(page.relative_to(DOCS)) for page in PAGES), *made_pages()})


def test_pages_say_nothing_of_what_is_to_come():
    words = re.compile(r"\b(TODO|FIXME|coming soon)\b")
    assert [str(page) for page in [*PAGES, *BESIDE] if words.search(page.read_text())] == []
