"""A program that runs tasks as an ordinary user: `python -m tests.support.ordinary SOCKET IMAGE FOLDER`.

It begins as root, because the interpreter may stand where nobody else may look, and becomes another user when all
modules are loaded. `FOLDER/out` is the task's own, `FOLDER/local` is not. It prints what it can read in `out`
afterwards, `number` being whether a private file is still the same one and no copy, and removes that.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from stat import S_ISREG

from bacalhau.lib.tree import remove_tree, walk
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.engine import Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task

USER = 54_321
SCRIPT = """
umask 077; mkdir -p /out/a/b; echo private > /out/a/b/private; echo open > /out/open; chmod 644 /out/open
stat -c %i /out/a/b/private > /out/number
ln -s /etc/passwd /out/a/link; head -c 3000000 /dev/zero > /out/a/archive; echo kept > /local/private
"""


async def run(socket: Path, image: str, folder: Path) -> None:
    os.chdir(socket.parent)
    socket.parent.chmod(socket.parent.stat().st_mode | 0o011)
    url = f"unix://{socket.name}"
    mounts = (Mount(folder / "out", "/out", False, own=True), Mount(folder / "local", "/local", False))
    async with DockerEngine(url) as engine:
        await engine.run(
            make_task(folder / "first/result", "e-first", {"image": image, "parameters": ["true"]}), ignore
        )
    await asyncio.to_thread(os.getpid)
    os.setgroups([socket.stat().st_gid])
    os.setegid(USER)
    os.seteuid(USER)
    params = {"image": image, "parameters": ["sh", "-c", SCRIPT]}
    async with DockerEngine(url) as engine:
        await engine.run(make_task(folder / "second/result", "e-second", params, mounts=mounts), ignore)
    out = folder / "out"
    files = {name: (out / name).read_bytes()[:10].decode() for name, status in walk(out) if S_ISREG(status.st_mode)}
    files["number"] = str((out / "a/b/private").stat().st_ino).startswith(files["number"].strip())
    remove_tree(out)
    sys.stdout.write(json.dumps(files))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1].removeprefix("unix://")), sys.argv[2], Path(sys.argv[3])))
