"""Settings of the scheduler: where work goes, who comes first, and how much a namespace may have."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from bacalhau.config.section import Seconds, Section


class Fair(Section):
    weights: Annotated[
        dict[str, Annotated[float, Meta(gt=0)]],
        Meta(
            description=(
                "Weights of namespaces: when room appears, it goes to the waiting namespace whose share of the nodes is"
                " smallest for its weight, among jobs of the same priority. A namespace that is not named has weight 1,"
                " so that all are equal by default."
            )
        ),
    ] = {}


class Scheduler(Section):
    fair: Fair = Fair()
    ageing: Annotated[
        Seconds,
        Meta(
            description=(
                "Time of waiting after which a job's priority counts as one higher, up to the highest that waits; ten"
                " minutes, so that less urgent jobs are late but never forgotten. 0s never raises it."
            )
        ),
    ] = Seconds(600.0)
    placement: Annotated[
        Literal["spread", "pack"],
        Meta(
            description=(
                "spread puts work where most is free; pack fills one node after the other, so that the rest can be"
                " switched off."
            )
        ),
    ] = "spread"
    quotas: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description=(
                'What each namespace may have reserved at once, {"team-a": {"CPU": 8, "Memory": "16Gb", "GPU": 2,'
                ' "Executions": 100}}; "*" is for each namespace that is not named. Jobs beyond it wait. Empty: no'
                " limit."
            )
        ),
    ] = {}
