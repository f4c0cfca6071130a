"""The folders of a server's state: other users of the machine may not enter them."""

import logging
import stat
from pathlib import Path

PRIVATE = 0o700
log = logging.getLogger(__name__)


def make_private(folder: Path) -> Path:
    """Make a folder that only this user may enter, or close one that an earlier version left open. Returns it.

    What is in it may then be open: the outputs of tasks are, because a container may run as any user.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & ~PRIVATE:
        try:
            folder.chmod(PRIVATE)
        except OSError as e:
            log.warning("%s is open to other users (mode %o) and cannot be closed: %s", folder, mode, e.strerror or e)
    return folder
