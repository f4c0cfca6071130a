"""Run by the interpreter that has Airflow and `bacalhau-airflow` 1.3.2: the pipeline of its own description, told as
one JSON document.

Argument: an image with `cat` and `echo`.
"""

import json
import re
import sys
from importlib.metadata import metadata

(IMAGE,) = sys.argv[1:]
description = metadata("bacalhau-airflow").get_payload() or metadata("bacalhau-airflow")["Description"]
names = {}
exec(
    "\n".join(re.findall(r"```python\n(.*?)```", description, re.S)).replace('image="ubuntu"', f'image="{IMAGE}"'),
    names,
)
run = names["dag"].test()

told = {"state": run.state}
for task in run.get_task_instances():
    pulled = {key: task.xcom_pull(task_ids=task.task_id, key=key) for key in ("bacalhau_job_id", "cids")}
    told[task.task_id] = {"state": task.state, **pulled}
sys.stdout.write("\n" + json.dumps(told))
