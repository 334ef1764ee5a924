"""An OPC UA server on open62541 (o6): a machine with types of its own beside a MachineTool.

    python opcua_open62541.py PORT

Prints `ready PORT`, then reads lines of JSON:

    {"set": "IM07.State", "values": [6]}             the machine changes a value, once or often
    {"wave": 7.0}                                    all its analog values: that, and 1 more each
    {"mode": 2}                                      the operation mode of the MachineTool
    {"job": "4712", "quantity": 500}                 a structure
    {"add": "IM07.Late", "value": 3.5}, {"remove": "IM07.Late"}
    {"event": "Tool changed", "severity": 200}
    {"restart": true}                                stops, and starts anew
    {"believe": "user.der"}                          a user with this certificate may sign in
    {"level": 100}                                   how well it can serve: its ServiceLevel
    {"sessions": true}                               begin and end (or null) of each, in ms

and answers `done` to each, with what was asked for behind it. It ends when stdin does; without a
licence o6 ends it after ten minutes.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import o6
import opcua_open62541_types as plant
from o6.ns import di, ia, machine_tool, machinery, machinery_result, ns0

PORT = int(sys.argv[1])
ANALOGS = 1_500
LEVEL = "i=2267"
PROPERTY = "i=68"
APPLICATION = "urn:peer:open62541"
USER = ("isthmus", b"moulding")
STARTED = o6.DateTime(datetime(2026, 11, 22, 6, tzinfo=UTC))
TYPES = {
    "IM07.State": o6.Int32,
    "IM07.Speed": o6.Float,
    "IM07.Blocked": o6.Boolean,
    "IM07.Shots": o6.UInt32,
    "IM07.Total": o6.UInt64,
    "IM07.Small": o6.SByte,
    "IM07.Mould": o6.String,
    "IM07.Late": o6.Double,
}


class Users(o6.server.AccessControl):
    """Anonymous, one with a password, and those whose certificates are believed."""

    def __init__(self):
        super().__init__(anonymous=True, username=True)
        self.believed = set()
        self.sessions = {}
        self.user_token_policies.append(
            ns0.datatypes.UserTokenPolicy(
                policyId="certificate", tokenType=ns0.datatypes.UserTokenType.CERTIFICATE
            )
        )

    def activateSession(self, endpoint, remoteCertificate, session, userIdentityToken):  # noqa: N802, N803 - the names are o6's
        if not self.knows(userIdentityToken):
            raise o6.StatusCodeError(o6.StatusCode.BAD_USER_ACCESS_DENIED)
        self.sessions.setdefault(str(session.id), [time.time() * 1000, None])

    def closeSession(self, session):  # noqa: N802
        if activated := self.sessions.get(str(session.id)):
            activated[1] = time.time() * 1000

    def knows(self, token):
        match token:
            case ns0.datatypes.UserNameIdentityToken():
                return (str(token.userName), bytes(token.password)) == USER
            case ns0.datatypes.X509IdentityToken():
                return bytes(token.certificateData) in self.believed
            case _:
                return isinstance(token, ns0.datatypes.AnonymousIdentityToken)


USERS = Users()


def node(name):
    return f"ns=plant;s={name}"


def job(order, quantity):
    return plant.Job(
        order=order,
        quantity=quantity,
        started=STARTED,
        title=o6.LocalizedText("Deckel 12", "de"),
        limits=[1.5, 2.5],
    )


def first_values():
    return {
        "IM07.State": o6.Int32(6),
        "IM07.Speed": o6.Float(12.5),
        "IM07.Blocked": o6.Boolean(0),
        "IM07.Shots": o6.UInt32(65_000),
        "IM07.Total": o6.UInt64(2**60),
        "IM07.Small": o6.SByte(-5),
        "IM07.Mould": "Deckel 12 – größer",
        "IM07.Title": o6.LocalizedText("Deckel", "de"),
        "IM07.Started": STARTED,
        "IM07.Raw": o6.ByteString(b"\1\2\xff"),
        "IM07.Zones": np.array([210.0, 215.0, 220.5]),
        "IM07.Matrix": np.array([[1, 2], [3, 4]], dtype=np.int32),
        "IM07.Mode": plant.Mode.SETUP,
        "IM07.Job": job("4711", 1200),
        "IM07.Jobs": [job("4711", 1200), job("4712", 7)],
        "IM07.Plan": plant.Plan(mode=plant.Mode.AUTOMATIC, next=job("4712", 7)),
        "IM07.Times": machinery_result.datatypes.ProcessingTimesDataType(
            startTime=STARTED, endTime=STARTED, acquisitionDuration=2.5
        ),
        "IM07.Torque": o6.Double(1.0),
    }


def build():
    """The server with its nodes, not yet listening."""
    private_key, certificate = o6.util.createSelfSignedCertificate(
        appUri=APPLICATION, commonName="open62541 peer", altNames=["IP:127.0.0.1"]
    )
    server = o6.Server(
        port=PORT,
        certificate=certificate,
        privateKey=private_key,
        acceptAllCertificates=True,
        applicationUri=APPLICATION,
        accessControl=USERS,
    )
    for module in (di, ia, machinery, machinery_result, machine_tool, plant):
        server.ns.append(module)
    serve_with_a_level_of_our_own(server)
    machine = server.addObject("IM07", server.objectsNode, nodeId=node("IM07"))
    for name, value in first_values().items():
        add(server, machine, name, value)
    broken = o6.DataValue(1.0, status=o6.StatusCode.BAD_SENSOR_FAILURE)
    server.write(node("IM07.Torque"), broken)
    analogs = server.addObject("Analogs", machine, nodeId=node("IM07.Analogs"))
    for number in range(ANALOGS):
        add(server, analogs, f"IM07.Analogs.{number}", o6.Double(number))
    tool = machine_tool.objtypes.MachineToolType(
        server=server, parent=server.objectsNode, browseName="MC1", nodeId=node("MC1")
    )
    return server, tool


def serve_with_a_level_of_our_own(server):
    """Its own node always says 255, and cannot be written."""
    server.deleteNode(LEVEL)
    server.addVariable(
        "ServiceLevel",
        server.serverNode,
        o6.Byte(255),
        nodeId=LEVEL,
        typeDefinition=PROPERTY,
        parentReference=ns0.reftypes.HasProperty,
        writable=False,
    )


def add(server, parent, name, value):
    server.addVariable(name.rpartition(".")[2], parent, value, nodeId=node(name))


def obey(server, tool, command):  # noqa: C901 - a case for each command
    match command:
        case {"set": name, "values": values}:
            for value in values:
                server.write(node(name), TYPES[name](value))
        case {"wave": first}:
            wave = range(ANALOGS)
            server.write({node(f"IM07.Analogs.{n}"): o6.Double(first + n) for n in wave})
        case {"mode": mode}:
            tool.monitoring.machineTool.operationMode(
                machine_tool.datatypes.MachineOperationMode(mode)
            )
        case {"job": order, "quantity": quantity}:
            server.write(node("IM07.Job"), job(order, quantity))
        case {"add": name, "value": value}:
            add(server, node("IM07"), name, TYPES[name](value))
        case {"remove": name}:
            server.deleteNode(node(name))
        case {"event": message, "severity": severity}:
            server.createEvent(ns0.objtypes.BaseEventType, message=message, severity=severity)
        case {"restart": True}:
            server.stop()
            server.start()
        case {"believe": file}:
            USERS.believed.add(Path(file).read_bytes())
        case {"level": level}:
            server.write(LEVEL, o6.Byte(level))
        case {"sessions": True}:
            return json.dumps(list(USERS.sessions.values()))
    return ""


server, tool = build()
server.start()
print(f"ready {PORT}", flush=True)  # noqa: T201 - `Peer` waits for it
for line in sys.stdin:
    said = obey(server, tool, json.loads(line))
    print(f"done {said}", flush=True)  # noqa: T201
os._exit(0)  # whatever sessions are open
