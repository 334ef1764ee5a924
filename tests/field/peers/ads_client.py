"""Reads a TwinCAT router with pyads, whose own library speaks the protocol; prints JSON.

Usage: python ads_client.py HOST:PORT NET_ID NAME=TYPE …; the first name's change is awaited, too.
"""

import json
import sys
import threading
from ctypes import sizeof

import pyads

TYPES = {
    "LREAL": pyads.PLCTYPE_LREAL,
    "INT": pyads.PLCTYPE_INT,
    "UDINT": pyads.PLCTYPE_UDINT,
    "BOOL": pyads.PLCTYPE_BOOL,
    "STRING": pyads.PLCTYPE_STRING,
}
address, net_id, *wanted = sys.argv[1:]
names = dict(argument.split("=") for argument in wanted)
changed = threading.Event()
seen = []


def on_change(notification, _name):
    _, stamp, value = link.parse_notification(notification, TYPES[names[first]])
    seen.append([stamp.timestamp(), value])
    if value != values[first]:
        changed.set()


pyads.open_port()
pyads.set_local_address("127.0.0.1.1.2")
with pyads.Connection(net_id, 851, address) as link:
    first = next(iter(names))
    values = {name: link.read_by_name(name, TYPES[kind]) for name, kind in names.items()}
    symbols = {name: link.get_symbol(name).plc_type.__name__ for name in (first,)}
    state = link.read_state()
    total = link.read_list_by_name([name for name, kind in names.items() if kind != "STRING"])
    attributes = pyads.NotificationAttrib(sizeof(TYPES[names[first]]))
    handles = link.add_device_notification(first, attributes, on_change)
    print("ready 0", flush=True)  # noqa: T201 - `Peer` waits for it
    changed.wait(10)
    link.del_device_notification(*handles)
    try:
        link.write_by_name(first, 1.0, TYPES[names[first]])
    except pyads.ADSError as refused:
        error = refused.err_code
answer = {"values": values, "state": state, "all": total, "seen": seen, "write": error}
sys.stdin.readline()
print("done" + json.dumps(answer), flush=True)  # noqa: T201
