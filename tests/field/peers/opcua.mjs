// An OPC UA server that knows nothing of Isthmus: a PackML-like machine, told what to show on stdin.
//
//   node opcua.mjs FOLDER
//
// FOLDER takes its certificates. Prints `ready PORT`, then reads lines of JSON:
//   {"set": "IM07.Status.StateCurrent", "value": 6}      the machine changes a value
//   {"burst": "IM07.Shots", "values": [1, 2, 3]}         several within one publishing interval
//   {"believe": "user.der"}                              a user with this certificate may sign in
//   {"level": 100}                                       how well it can serve: its ServiceLevel
//   {"sessions": true}                                   begin and end (or null) of each, in ms
// and answers `done` to each, with what was asked for behind it. It ends when stdin does.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import {
  DataType,
  MessageSecurityMode,
  OPCUACertificateManager,
  OPCUAServer,
  SecurityPolicy,
  StatusCodes,
  Variant,
  VariantArrayType,
} from "node-opcua";

const STATES = { 2: "Stopped", 4: "Idle", 6: "Execute", 9: "Aborted", 11: "Held" };

function variable(name, dataType, value) {
  return { name, dataType: DataType[dataType], value };
}

const VARIABLES = [
  variable("IM07.Status.StateCurrent", "Int32", 6),
  variable("IM07.Status.MachSpeed", "Float", 12.5),
  variable("IM07.Status.Blocked", "Boolean", false),
  variable("IM07.Shots", "UInt32", 65000),
  variable("IM07.Total", "UInt64", [0, 7]),
  variable("IM07.Mould", "String", "Deckel 12 – größer"),
  variable("IM07.Started", "DateTime", new Date("2026-11-22T06:00:00Z")),
];

function scalar(dataType, value) {
  return new Variant({ dataType, arrayType: VariantArrayType.Scalar, value });
}

function addMachine(addressSpace, current) {
  const namespace = addressSpace.registerNamespace("urn:peer:packml");
  const machine = namespace.addObject({
    organizedBy: addressSpace.rootFolder.objects,
    browseName: "IM07",
    nodeId: "s=IM07",
  });
  for (const { name, dataType, value } of VARIABLES) {
    const node = namespace.addVariable({
      componentOf: machine,
      browseName: name.replace("IM07.", ""),
      nodeId: `s=${name}`,
      dataType,
    });
    node.setValueFromSource(scalar(dataType, value));
    current.set(name, { node, dataType });
  }
  addZones(namespace, machine, current);
  addSensor(namespace, machine);
  return namespace;
}

function addZones(namespace, machine, current) {
  const node = namespace.addVariable({
    componentOf: machine,
    browseName: "Zones",
    nodeId: "s=IM07.Zones",
    dataType: DataType.Double,
    valueRank: 1,
    arrayDimensions: [3],
  });
  const arrayType = VariantArrayType.Array;
  const value = new Float64Array([210, 215, 220.5]);
  node.setValueFromSource(new Variant({ dataType: DataType.Double, arrayType, value }));
  current.set("IM07.Zones", { node, dataType: DataType.Double });
}

// An analog value with a unit, and another one whose sensor is broken.
function addSensor(namespace, machine) {
  namespace.addAnalogDataItem({
    componentOf: machine,
    browseName: "MeltTemp",
    nodeId: "s=IM07.MeltTemp",
    dataType: DataType.Double,
    engineeringUnits: { namespaceUri: "urn:unece", unitId: 4408652, displayName: { text: "°C" } },
    engineeringUnitsRange: { low: 0, high: 400 },
    value: new Variant({ dataType: DataType.Double, value: 221.5 }),
  });
  const broken = namespace.addVariable({
    componentOf: machine,
    browseName: "Broken",
    nodeId: "s=IM07.Broken",
    dataType: DataType.Double,
  });
  broken.setValueFromSource(
    new Variant({ dataType: DataType.Double, value: 0 }),
    StatusCodes.BadSensorFailure,
  );
}

function addTypes(namespace, machine) {
  const stateType = namespace.addEnumerationType({
    browseName: "PackMLState",
    enumeration: Object.entries(STATES).map(([value, name]) => ({
      value: Number(value),
      displayName: name,
    })),
  });
  const node = namespace.addVariable({
    componentOf: machine,
    browseName: "StateEnum",
    nodeId: "s=IM07.StateEnum",
    dataType: stateType,
  });
  node.setValueFromSource(new Variant({ dataType: DataType.Int32, value: 11 }));
}

function change(command, current) {
  const name = command.set ?? command.burst;
  const { node, dataType } = current.get(name);
  for (const value of command.values ?? [command.value]) {
    node.setValueFromSource(scalar(dataType, value));
  }
}

async function obey(command, server, current, sessions) {
  if (command.believe) {
    await server.userCertificateManager.trustCertificate(readFileSync(command.believe));
  } else if (command.level !== undefined) {
    serve(server, command.level);
  } else if (command.sessions) {
    return JSON.stringify([...sessions.values()]);
  } else {
    change(command, current);
  }
  return "";
}

// It has no call for it: its own getter always says 255.
function serve(server, level) {
  const node = server.engine.addressSpace.findNode("i=2267");
  node.bindVariable({ get: () => scalar(DataType.Byte, level) }, true);
}

function remembered(server) {
  const sessions = new Map();
  server.on("create_session", ({ nodeId }) => sessions.set(`${nodeId}`, [Date.now(), null]));
  server.on("session_closed", ({ nodeId }) => (sessions.get(`${nodeId}`)[1] = Date.now()));
  return sessions;
}

function certificates(rootFolder, automaticallyAcceptUnknownCertificate) {
  return new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate });
}

async function main(folder) {
  const server = new OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    resourcePath: "/",
    certificateFile: join(folder, "server.pem"),
    serverCertificateManager: certificates(join(folder, "pki"), true),
    userCertificateManager: certificates(join(folder, "users"), false),
    securityModes: [
      MessageSecurityMode.None,
      MessageSecurityMode.Sign,
      MessageSecurityMode.SignAndEncrypt,
    ],
    securityPolicies: [
      SecurityPolicy.None,
      SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    allowAnonymous: true,
    serverCapabilities: { minSupportedSampleRate: 0 }, // every change counts, none is coalesced
    userManager: { isValidUser: (user, password) => user === "isthmus" && password === "moulding" },
  });
  await server.initialize();
  const current = new Map();
  const namespace = addMachine(server.engine.addressSpace, current);
  addTypes(namespace, server.engine.addressSpace.findNode("ns=2;s=IM07"));
  const sessions = remembered(server);
  await server.start();
  console.log(`ready ${server.endpoints[0].port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    const said = await obey(JSON.parse(line), server, current, sessions);
    console.log(`done ${said}`);
  }
  await server.shutdown(0);
}

await main(process.argv[2]);
