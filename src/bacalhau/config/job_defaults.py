"""Defaults for jobs, by job type: used where a job asks for nothing."""

from bacalhau.config.schema import Config, DefaultJob
from bacalhau.models.job.job import Timeouts
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.validate import JobDefault


def job_defaults(config: Config) -> dict[str, JobDefault]:
    """Collect the defaults of the configuration in the form that `fill_defaults` takes."""
    jobs = config.job_defaults
    by_type = {"batch": jobs.batch, "ops": jobs.ops, "service": jobs.service, "daemon": jobs.daemon}
    return {name: _job_default(job) for name, job in by_type.items()}


def _job_default(job: DefaultJob) -> JobDefault:
    task = job.task
    return JobDefault(
        priority=job.priority,
        resources=ResourcesConfig(
            cpu=task.resources.cpu, memory=task.resources.memory, disk=task.resources.disk, gpu=task.resources.gpu
        ),
        publisher=SpecConfig(type=task.publisher.type, params=task.publisher.params or None),
        timeouts=Timeouts(
            execution_timeout=int(task.timeouts.execution_timeout), total_timeout=int(task.timeouts.total_timeout)
        ),
    )
