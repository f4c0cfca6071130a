"""The account of what goes on: jobs by state, the queue by reason, the newest executions."""

from tests.api.room import a_job, open_room

PATH = "/api/v1/orchestrator/activity"


def waiting(**job):
    made = a_job(**job)
    made["Tasks"][0]["Timeouts"] = {"QueueTimeout": 3600}
    return made


async def test_what_waits_is_counted_by_its_reason(tmp_path):
    async with open_room(tmp_path) as room:
        assert (await room.http.get(PATH)).json() | {"Time": ""} == {
            "Time": "",
            "Jobs": {},
            "Queue": [],
            "Live": 0,
            "Executions": [],
        }
        await room.submit(**waiting(Name="a"))
        await room.submit(**waiting(Name="b"))
        await room.submit(**waiting(Name="c", Namespace="other"))
        told = (await room.http.get(PATH)).json()
        assert sum(told["Jobs"].values()) == 3
        assert [(line["Jobs"], line["Oldest"] < told["Time"]) for line in told["Queue"]] == [(3, True)]
        alone = (await room.http.get(PATH, params={"namespace": "other"})).json()
        assert sum(alone["Jobs"].values()) == alone["Queue"][0]["Jobs"] == 1
        refused = await room.http.get(PATH, params={"limit": "many"})
        assert refused.status_code == 400 and "limit" in refused.json()["Message"]
