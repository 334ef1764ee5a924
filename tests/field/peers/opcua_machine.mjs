// An OPC UA server that knows nothing of Isthmus: a machine after PackML and Machinery (their own
// NodeSets), with structures, enumerations, an alarm and a history (of `Kept`, and of the last three
// values of `Brief`); told what to do on stdin.
//
//   node opcua_machine.mjs FOLDER
//
// FOLDER takes its certificates. Prints `ready PORT`, then reads lines of JSON:
//   {"set": "Temperature", "value": 95}     the machine changes a value; above 90 it is an alarm
//   {"job": {"Quantity": 500, …}}           the machine begins another job
//   {"event": "Tool changed", "severity": 200}
//   {"remove": "Temperature"} / {"add": "Temperature", "value": 20}   a download to the controller
//   {"rests": true}                         how many continuation points it keeps
// and answers `done` to each, with what was asked for behind it. It ends when stdin does.

import { createInterface } from "node:readline";
import { join } from "node:path";
import {
  DataType,
  OPCUACertificateManager,
  OPCUAServer,
  Variant,
  VariantArrayType,
  ensureDatatypeExtracted,
  nodesets,
} from "node-opcua";

function certificates(rootFolder) {
  return new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
}

class Machine {
  constructor(addressSpace) {
    this.space = addressSpace;
    this.own = addressSpace.registerNamespace("urn:peer:machine");
    this.folder = this.own.addObject({
      organizedBy: addressSpace.rootFolder.objects,
      browseName: "IM07",
      nodeId: "s=IM07",
      eventNotifier: 1,
      eventSourceOf: addressSpace.rootFolder.objects.server,
    });
    this.nodes = new Map();
  }

  addPackML() {
    const index = this.space.getNamespaceIndex("http://opcfoundation.org/UA/PackML/");
    const type = this.space.findObjectType("PackMLBaseObjectType", index);
    type.instantiate({ componentOf: this.folder, browseName: "PackML", nodeId: "s=PackML" });
  }

  addNumber(name, value) {
    const node = this.own.addVariable({
      componentOf: this.folder,
      browseName: name,
      nodeId: `s=${name}`,
      dataType: DataType.Double,
    });
    node.setValueFromSource({ dataType: DataType.Double, value });
    this.nodes.set(name, node);
    return node;
  }

  addAlarm() {
    this.alarm = this.own.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
      browseName: "TooHot",
      nodeId: "s=TooHot",
      componentOf: this.folder,
      conditionSource: this.folder,
      inputNode: this.nodes.get("Temperature"),
      highHighLimit: 120,
      highLimit: 90,
      lowLimit: -50,
      lowLowLimit: -60,
    });
  }

  addJob() {
    const mode = this.own.addEnumerationType({
      browseName: "ModeType",
      enumeration: [
        { value: 1, displayName: "Automatic" },
        { value: 4, displayName: "Setup" },
      ],
    });
    const item = this.structure("ItemType", [
      { name: "Cavity", dataType: DataType.Byte },
      { name: "Weight", dataType: DataType.Float },
    ]);
    this.jobType = this.structure("JobType", [
      { name: "Order", dataType: DataType.String },
      { name: "Quantity", dataType: DataType.UInt32 },
      { name: "Mode", dataType: mode.nodeId },
      { name: "Started", dataType: DataType.DateTime },
      { name: "Title", dataType: DataType.LocalizedText },
      { name: "Items", dataType: item.nodeId, valueRank: 1 },
      { name: "Limits", dataType: DataType.Double, valueRank: 1 },
    ]);
    this.job = this.own.addVariable({
      componentOf: this.folder,
      browseName: "Job",
      nodeId: "s=Job",
      dataType: this.jobType.nodeId,
    });
    this.jobs = this.own.addVariable({
      componentOf: this.folder,
      browseName: "Jobs",
      nodeId: "s=Jobs",
      dataType: this.jobType.nodeId,
      valueRank: 1,
    });
    this.addMode(mode);
  }

  structure(browseName, partialDefinition) {
    const type = this.own.createDataType({
      browseName,
      isAbstract: false,
      subtypeOf: "Structure",
      partialDefinition,
    });
    this.own.addObject({
      browseName: { name: "Default Binary", namespaceIndex: 0 },
      typeDefinition: "DataTypeEncodingType",
      encodingOf: type,
    });
    return type;
  }

  addMode(dataType) {
    const node = this.own.addVariable({
      componentOf: this.folder,
      browseName: "Mode",
      nodeId: "s=Mode",
      dataType,
    });
    node.setValueFromSource({ dataType: DataType.Int32, value: 4 });
  }

  begin(fields) {
    const value = this.space.constructExtensionObject(this.jobType, fields);
    const dataType = DataType.ExtensionObject;
    this.job.setValueFromSource(new Variant({ dataType, value }));
    const arrayType = VariantArrayType.Array;
    this.jobs.setValueFromSource(new Variant({ dataType, arrayType, value: [value, value] }));
  }

  keepHistory() {
    for (const [name, maxOnlineValues] of [["Kept", 1000], ["Brief", 3]]) {
      this.space.installHistoricalDataNode(this.addNumber(name, 0), { maxOnlineValues });
    }
  }

  obey(command) {
    if (command.set) {
      const value = { dataType: DataType.Double, value: command.value };
      this.nodes.get(command.set).setValueFromSource(value);
    } else if (command.job) {
      this.begin(command.job);
    } else if (command.event) {
      this.folder.raiseEvent("BaseEventType", {
        message: { dataType: DataType.LocalizedText, value: { text: command.event } },
        severity: { dataType: DataType.UInt16, value: command.severity },
      });
    } else if (command.remove) {
      this.space.deleteNode(this.nodes.get(command.remove));
    } else if (command.add) {
      this.addNumber(command.add, command.value);
    }
  }
}

function rests(server) {
  const sessions = Object.values(server.engine._sessions);
  return sessions.reduce((sum, one) => sum + one.continuationPointManager._map.size, 0);
}

async function main(folder) {
  const server = new OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    resourcePath: "/",
    certificateFile: join(folder, "server.pem"),
    serverCertificateManager: certificates(join(folder, "pki")),
    userCertificateManager: certificates(join(folder, "users")),
    serverCapabilities: { minSupportedSampleRate: 0 },
    nodeset_filename: [nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery, nodesets.packML],
  });
  await server.initialize();
  const addressSpace = server.engine.addressSpace;
  addressSpace.installAlarmsAndConditionsService();
  const machine = new Machine(addressSpace);
  machine.addNumber("Temperature", 20);
  machine.addNumber("Speed", 12.5);
  machine.addAlarm();
  machine.addPackML();
  machine.addJob();
  machine.keepHistory();
  addressSpace.$$extraDataTypeManager = undefined; // it was made before our own types were
  await ensureDatatypeExtracted(addressSpace);
  machine.begin({
    order: "4711",
    quantity: 1200,
    mode: 1,
    started: new Date("2026-11-22T06:00:00Z"),
    title: { locale: "de", text: "Deckel 12" },
    items: [{ cavity: 1, weight: 4.5 }, { cavity: 2, weight: 4.25 }],
    limits: [1.5, 2.5],
  });
  await server.start();
  console.log(`ready ${server.endpoints[0].port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    machine.obey(command);
    console.log(command.rests ? `done ${rests(server)}` : "done");
  }
  await server.shutdown(0);
}

await main(process.argv[2]);
