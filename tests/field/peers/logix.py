"""cpppo's Logix simulator; its own client changes values, as an operator at the machine would.

Usage: python logix.py NAME=TYPE …; then lines of JSON such as {"tag": "Count", "type": "DINT",
"values": [41]}.
"""

import json
import logging
import socket
import sys
import threading
import time

from cpppo.server.enip import client
from cpppo.server.enip.main import main

HOST = "127.0.0.1"
logging.disable(logging.CRITICAL)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(500):
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server does not start")


def write(port, tag, kind, values):
    content = ",".join(map(str, values))
    operations = client.parse_operations([f"{tag}=({kind}){content}"])
    with client.connector(host=HOST, port=port, timeout=5.0) as link:
        results = [status for *_, status, _ in link.synchronous(operations=operations)]
    if results != [0]:
        raise RuntimeError(f"{tag} was not written: {results}")


port = free_port()
server = threading.Thread(target=main, args=(["-a", f"{HOST}:{port}", *sys.argv[1:]],), daemon=True)
server.start()
wait_for(port)
print(f"ready {port}", flush=True)  # noqa: T201 - `Peer` waits for it
for line in sys.stdin:
    command = json.loads(line)
    write(port, command["tag"], command["type"], command["values"])
    print("done", flush=True)  # noqa: T201
