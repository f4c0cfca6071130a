"""`python -m tests.support.peers`: other people's programs for the tests, installed at the same time; at once when they
are there. The tests would install them too, while others wait for them.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.support import azurite
from tests.support.venvs import AIRFLOW, SDK_SEED, SDK_TODAY, python_with


def main() -> None:
    sys.stderr.write("peers: Airflow, the SDKs of the original and Azurite\n")
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(python_with, packages) for packages in (AIRFLOW, SDK_TODAY, SDK_SEED)]
        for each in (*made, pool.submit(azurite.installed)):
            each.result()


if __name__ == "__main__":
    main()
