"""How much of a machine is given to jobs."""

import pytest

from bacalhau.app.offer import offered_capacity, offered_executions
from bacalhau.config.schema import AllocatedCapacity
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.resources import GPU, Resources

CARDS = (GPU(index=0), GPU(index=1))
MACHINE = Resources(cpu=4.0, memory=1000, disk=2000, gpu=2, gpus=CARDS)


def test_shares_and_amounts():
    assert offered_capacity(MACHINE, AllocatedCapacity()) == Resources(
        cpu=3.2, memory=800, disk=1600, gpu=2, gpus=CARDS
    )
    assert offered_capacity(MACHINE, AllocatedCapacity(cpu="500m", memory="1kb", disk="0%", gpu="1")) == Resources(
        cpu=0.5, memory=1000, gpu=1, gpus=CARDS[:1]
    )
    assert offered_capacity(MACHINE, AllocatedCapacity(cpu="16", memory=" 12.5 % ", disk="", gpu="50%")) == Resources(
        cpu=16.0, memory=125, disk=2000, gpu=1, gpus=CARDS[:1]
    )


def test_executions_at_once():
    """By the CPU that is given to jobs, or as configured."""
    few, many = Resources(cpu=0.5), Resources(cpu=6.4)
    assert [offered_executions(there, AllocatedCapacity()) for there in (few, many)] == [32, 103]
    assert offered_executions(many, AllocatedCapacity(executions=5)) == 5


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("CPU", "many"),
        ("CPU", "-1"),
        ("CPU", "101%"),
        ("Memory", "-5%"),
        ("Memory", "1xb"),
        ("Disk", "%"),
        ("Disk", "nan%"),
        ("GPU", "0.5"),
        ("GPU", "-1"),
    ],
)
def test_what_is_neither_names_the_key(key, text):
    with pytest.raises(
        BadRequest,
        match=rf"^Compute.AllocatedCapacity.{key}: '{text}' is neither a share from 0% to 100% nor an amount$",
    ):
        offered_capacity(MACHINE, AllocatedCapacity(**{key.lower(): text}))


def test_more_gpus_than_there_are():
    with pytest.raises(BadRequest, match=r"Compute.AllocatedCapacity.GPU: '3' is more than the 2 of this machine"):
        offered_capacity(MACHINE, AllocatedCapacity(gpu="3"))
