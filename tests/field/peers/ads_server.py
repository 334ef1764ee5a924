"""The ADS test server of pyads, with errors where it would end its connection or drop a request.

It answers reads, symbols, handles and states; it grants notifications that never come over the
wire, and knows no sum command about names. Lines of JSON such as
{"tag": "MAIN.nCount", "value": 42} change a value.
"""

import json
import socket
import struct
import sys

from pyads import constants
from pyads.testserver import AdsTestServer, AdvancedHandler, PLCVariable, testserver
from pyads.testserver.handler import AmsResponseData

NOT_FOUND = 0x710
NO_GROUP = 0x702
TYPES = {
    "LREAL": (constants.ADST_REAL64, "<d"),
    "REAL": (constants.ADST_REAL32, "<f"),
    "INT": (constants.ADST_INT16, "<h"),
    "UDINT": (constants.ADST_UINT32, "<I"),
    "BOOL": (constants.ADST_BIT, "<?"),
    "LINT": (constants.ADST_INT64, "<q"),
}
SYMBOLS = {
    "MAIN.fTemp": ("LREAL", 12.5),
    "MAIN.nCount": ("UDINT", 41),
    "MAIN.stRecipe.fTemp": ("REAL", 231.5),
    "GVL.aCounts[3]": ("INT", -7),
    "GVL.bRun": ("BOOL", True),
    "GVL.nTotal": ("LINT", 2**60),
}


class Framed:
    """A connection whose requests come one by one; of two that came together it took the first."""

    def __init__(self, client):
        self.fileno, self.send, self.close = client.fileno, client.send, client.close
        self._client = client

    def recvfrom(self, _size):
        head = self._client.recv(6, socket.MSG_WAITALL)
        if len(head) < 6:
            return b"", None
        (length,) = struct.unpack("<2xI", head)
        return head + self._client.recv(length, socket.MSG_WAITALL), None


connect = testserver.AdsClientConnection.__init__
testserver.AdsClientConnection.__init__ = lambda self, handler, client, *more, **keys: connect(
    self, handler, Framed(client), *more, **keys
)


class Handler(AdvancedHandler):
    """pyads's own, but a name it does not have is an answer and not the end of its thread."""

    def handle_request(self, request):
        try:
            return super().handle_request(request)
        except (KeyError, struct.error):
            (command,) = struct.unpack("<H", request.ams_header.command_id)
            (group,) = struct.unpack("<I", request.ams_header.data[:4])
            known = group in {constants.ADSIGRP_SYM_HNDBYNAME, constants.ADSIGRP_SYM_INFOBYNAMEEX}
            error = NOT_FOUND if known and command == constants.ADSCOMMAND_READWRITE else NO_GROUP
            data = struct.pack("<I", error)
            return AmsResponseData(b"\x05\x00", request.ams_header.error_code, data)

    def get_variable_by_indices(self, index_group, index_offset):
        if index_group == constants.ADSIGRP_SYM_VALBYHND:
            return self.get_variable_by_handle(index_offset)
        return super().get_variable_by_indices(index_group, index_offset)


def text(name, content, size):
    return PLCVariable(
        name, content.ljust(size, b"\0"), constants.ADST_STRING, f"STRING({size - 1})"
    )


def wide(name, content, size):
    data = content.encode("utf-16-le").ljust(size, b"\0")
    return PLCVariable(name, data, constants.ADST_WSTRING, f"WSTRING({size // 2 - 1})")


handler = Handler()
for symbol, (kind, value) in SYMBOLS.items():
    handler.add_variable(
        PLCVariable(symbol, struct.pack(TYPES[kind][1], value), TYPES[kind][0], kind)
    )
handler.add_variable(text("GVL.sMould", b"gie\xdfen", 21))
handler.add_variable(wide("GVL.wsName", "Łódź", 42))
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with AdsTestServer(handler=handler, ip_address="127.0.0.1", port=port, logging=False):
    print(f"ready {port}", flush=True)  # noqa: T201 - `Peer` waits for it
    for line in sys.stdin:
        command = json.loads(line)
        variable = handler.get_variable_by_name(command["tag"])
        variable.value = struct.pack(TYPES[variable.symbol_type][1], command["value"])
        print("done", flush=True)  # noqa: T201
