"""Messages of nodes that ask the orchestrator for links to results in its own bucket."""

import msgspec

from bacalhau.lib.wire import Model, always
from bacalhau.models.job.spec import SpecConfig


class PreSignURLRequest(Model):
    """A question to the orchestrator: where may this execution put its result, with the orchestrator's credentials?"""

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)


class PreSignURLResponse(Model):
    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)
    pre_signed_url: str = msgspec.field(default_factory=str, name="PreSignedURL")


class SignInputRequest(Model):
    """A question to the orchestrator (ours): by which link does this node fetch an input, a result that an execution of
    its own takes?
    """

    source: SpecConfig = always(factory=SpecConfig)


class SignInputResponse(Model):
    """The input with its link."""

    source: SpecConfig = always(factory=SpecConfig)
