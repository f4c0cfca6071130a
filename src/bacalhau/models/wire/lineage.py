"""The lineage of a job in answers of the API: where its inputs came from, and which jobs read its results."""

from bacalhau.lib.wire import Model, always
from bacalhau.models.job.spec import SpecConfig


class LineageResult(Model):
    """A result of another job that an input takes: whose it is, and where it was published."""

    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    execution_id: str = always(factory=str)
    source: SpecConfig = always(factory=SpecConfig)


class LineageInput(Model):
    """An input of a job; `results` are those that it takes of other jobs."""

    target: str = always(factory=str)
    source: SpecConfig = always(factory=SpecConfig)
    results: tuple[LineageResult, ...] = ()


class LineageJob(Model):
    """A version of a job with its inputs. Of a job that is forgotten only id and version are known.

    `objects` and `bytes` are what its listed inputs held together.
    """

    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    name: str = always(factory=str)
    state: str = always(factory=str)
    is_forgotten: bool = False
    objects: int = 0
    bytes: int = 0
    inputs: tuple[LineageInput, ...] = ()


class LineageReader(Model):
    """A version of a job that takes results of the job that was asked about, of its version `source_version`."""

    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    source_version: int = always(factory=int)
    name: str = always(factory=str)
    namespace: str = always(factory=str)


class LineageResponse(Model):
    """`jobs` are the job that was asked about and all that its inputs came from, directly or through others, each once
    and nearest first. `readers` are the jobs that take its results, oldest first. `is_cut`: there are more of either.
    """

    jobs: tuple[LineageJob, ...] = always(factory=tuple)
    readers: tuple[LineageReader, ...] = always(factory=tuple)
    is_cut: bool = False
