// An OPC UA server that knows nothing of Isthmus: a PackML-like machine, told what to show on stdin.
//
//   node opcua.mjs FOLDER
//
// FOLDER takes its certificates. Prints `ready PORT`, then reads lines of JSON:
//   {"set": "IM07.Status.StateCurrent", "value": 6}      the machine changes a value
//   {"burst": "IM07.Shots", "values": [1, 2, 3]}         several within one publishing interval
// and answers `done` to each. It ends when stdin does.

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

function obey(command, current) {
  const name = command.set ?? command.burst;
  const { node, dataType } = current.get(name);
  for (const value of command.values ?? [command.value]) {
    node.setValueFromSource(scalar(dataType, value));
  }
}

function certificates(rootFolder) {
  return new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
}

async function main(folder) {
  const server = new OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    resourcePath: "/",
    certificateFile: join(folder, "server.pem"),
    serverCertificateManager: certificates(join(folder, "pki")),
    userCertificateManager: certificates(join(folder, "users")),
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
  await server.start();
  console.log(`ready ${server.endpoints[0].port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    obey(JSON.parse(line), current);
    console.log("done");
  }
  await server.shutdown(0);
}

await main(process.argv[2]);
