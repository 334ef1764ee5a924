// An OPC UA server whose variables all change at a pace: the load of `bench.field`.
//
//   node opcua_server.mjs FOLDER NODES TIMES_PER_SECOND
//
// FOLDER takes its certificates. All variables change together, that often; every twentieth is a
// String, the others Double, Float, Int32 and Boolean, as in a machine. Prints `ready PORT`;
// answers each line on stdin with `done CHANGES`, how many there were so far. Ends with stdin.

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
} from "node-opcua";

function kind(number) {
  const of = number % 20;
  if (of === 0) return [DataType.String, (round) => `order ${round}`];
  if (of < 4) return [DataType.Boolean, (round) => round % 2 === 0];
  if (of < 9) return [DataType.Int32, (round) => round];
  if (of < 13) return [DataType.Float, (round) => round / 4];
  return [DataType.Double, (round) => round / 10];
}

function addVariables(namespace, parent, count) {
  return Array.from({ length: count }, (_, number) => {
    const [dataType, value] = kind(number);
    const name = `T${number}`;
    const node = namespace.addVariable({
      componentOf: parent,
      browseName: name,
      nodeId: `s=${name}`,
      dataType: DataType[dataType],
    });
    node.setValueFromSource(new Variant({ dataType, value: value(0) }));
    return { node, dataType, value };
  });
}

function change(variables, round) {
  const now = new Date();
  for (const { node, dataType, value } of variables) {
    const variant = new Variant({ dataType, value: value(round) });
    node.setValueFromSource(variant, StatusCodes.Good, now);
  }
}

function certificates(rootFolder) {
  return new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
}

async function main(folder, count, perSecond) {
  const server = new OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    resourcePath: "/",
    certificateFile: join(folder, "server.pem"),
    serverCertificateManager: certificates(join(folder, "pki")),
    userCertificateManager: certificates(join(folder, "users")),
    securityModes: [MessageSecurityMode.None],
    securityPolicies: [SecurityPolicy.None],
    allowAnonymous: true,
    serverCapabilities: { minSupportedSampleRate: 0 },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const namespace = space.registerNamespace("urn:bench");
  const parent = namespace.addObject({ organizedBy: space.rootFolder.objects, browseName: "Load" });
  const variables = addVariables(namespace, parent, Number(count));
  await server.start();
  let round = 0;
  setInterval(() => change(variables, ++round), 1000 / Number(perSecond)).unref();
  console.log(`ready ${server.endpoints[0].port}`);
  for await (const _ of createInterface({ input: process.stdin })) {
    console.log(`done ${round * variables.length}`);
  }
  await server.shutdown(0);
}

await main(...process.argv.slice(2));
