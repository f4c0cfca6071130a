"""Every page of the documentation, block by block, as a new user types it, against a real devstack.

Pages that `need` something share one devstack. The README and the page about installation need nothing: they start
their own. `STAND_INS` says what is put in the place of what the outside world would have to give.
"""

import pytest

from bacalhau.app.sample import RESULT_BUCKET
from tests.support.pages import RUN, Reader, list_pages, read_page

STAND_INS = [
    (r"make demo", "bacalhau demo"),  # the rest of that target is the set-up that these tests run in
    # as it is installed for the tests
    (r"pip install '\.(\[\w+\])'", r"pip install --dry-run --no-index 'bacalhau\1'"),
    (r"(bacalhau devstack .*--s3)", r"\1 --random-ports"),
    (r"(bacalhau serve .*--compute)", r"\1 -c API.Port={api} -c Orchestrator.Port={bus}"),
    (r"s3://my-bucket/", f"s3://{RESULT_BUCKET}/"),
]
MOST_UNTRIED = 0  # blocks of all pages that no test can run
PAGES = [read_page(path) for path in list_pages()]


def runs(page):
    return any(block.kind in RUN and not block.why for block in page.blocks)


@pytest.fixture(scope="module")
def world(docker_url, docker_image):
    """What every page has: a Docker daemon with an image, under the names that pages use."""
    return {"DOCKER_HOST": docker_url}, [*STAND_INS, (r"\b(alpine|ubuntu)\b", docker_image)]


@pytest.fixture(scope="module")
def shared(world, tmp_path_factory):
    """The environment of the devstack that pages share; it is started when the first of them comes."""
    environment, stand_ins = world
    with Reader(tmp_path_factory.mktemp("shared"), environment, stand_ins) as reader:
        yield reader.serve("bacalhau devstack --compute-nodes 2 --s3 --random-ports")


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: page.name)
def test_a_page_runs_as_it_is_printed(anyio_backend, request, world, tmp_path, page):
    environment, stand_ins = world
    if page.needs:
        environment = environment | request.getfixturevalue("shared")
    with Reader(tmp_path, environment, stand_ins) as reader:
        for block in page.blocks:
            if not block.why:
                reader.run(block)


def test_few_blocks_are_not_tried():
    """Each says why. Whoever adds one raises the number, and finds a way to do without."""
    untried = [f"{page.name}:{block.line}: {block.why}" for page in PAGES for block in page.blocks if block.why]
    assert len(untried) == MOST_UNTRIED, "\n".join(untried)
