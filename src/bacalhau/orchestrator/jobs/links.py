"""Links to the objects of a result that consists of many, for clients without credentials of their own."""

from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.models.wire.api import SignLinksRequest, SignLinksResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.plugin import LinkWish
from bacalhau.ports.publisher import Published

MOST_KEYS = 1000  # links in one answer


async def sign_links(orch: Orchestrator, job_id: str, namespace: str, request: SignLinksRequest) -> SignLinksResponse:
    """Sign a link to a page of a result's listing, and to the objects that are asked for.

    Raises NotFound for a result that is none of the job's, BadRequest for too many objects or one of another place.
    """
    job = await orch.store.find_job(job_id, namespace)
    if len(request.keys) > MOST_KEYS:
        raise BadRequest(f"{len(request.keys)} links are asked for, more than {MOST_KEYS} at once")
    execution, made_for = await orch.store.load_execution(request.execution_id)
    if made_for.id != job.id or not execution.published_result.type:
        raise NotFound(f"execution {request.execution_id} of job {job.id} has published no result")
    published = Published.of(execution, made_for, execution.published_result)
    if problems := orch.checks.list_result_problems(published):
        raise BadRequest(problems, hint="the node reported a result that cannot be one of this execution")
    links = await orch.sign_links(published, LinkWish(request.keys, request.after))
    return SignLinksResponse(listing=links.listing, links=links.objects)
