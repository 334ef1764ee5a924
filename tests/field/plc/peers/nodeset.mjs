// node-opcua serving a NodeSet that it has never seen.
//
//   node nodeset.mjs FOLDER FILE
//
// Prints `ready PORT`; a line of JSON on stdin, {"node": "ns=2;s=…", "type": "Int32", "value": 6},
// sets a variable, which is answered with `done`. It ends when stdin does.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const {
  DataType,
  OPCUACertificateManager,
  OPCUAServer,
  SecurityPolicy,
  MessageSecurityMode,
  Variant,
  VariantArrayType,
  nodesets,
} = require("node-opcua");

function certificates(rootFolder) {
  return new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
}

const [folder, file] = process.argv.slice(2);
const server = new OPCUAServer({
  port: 0,
  hostname: "127.0.0.1",
  resourcePath: "/",
  nodeset_filename: [nodesets.standard, file],
  certificateFile: join(folder, "server.pem"),
  serverCertificateManager: certificates(join(folder, "pki")),
  userCertificateManager: certificates(join(folder, "users")),
  securityModes: [MessageSecurityMode.None],
  securityPolicies: [SecurityPolicy.None],
  serverCapabilities: { minSupportedSampleRate: 0 },
});
await server.initialize();
await server.start();
console.log(`ready ${server.endpoints[0].port}`);
for await (const line of createInterface({ input: process.stdin })) {
  const { node, type, value } = JSON.parse(line);
  const variable = server.engine.addressSpace.findNode(node);
  variable.setValueFromSource(new Variant({ dataType: DataType[type], arrayType: VariantArrayType.Scalar, value }));
  console.log("done");
}
await server.shutdown(0);
