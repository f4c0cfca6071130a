"""Folders whose content others made."""

import shutil
import subprocess
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """With all that is in it, also where folders are nested deeper than Python follows.

    What cannot be removed stays, silently.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(("rm", "-rf", "--", folder), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
