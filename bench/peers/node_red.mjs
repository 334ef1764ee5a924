// Node-RED with the flows of a file, told on stdin to say what came and what it cost.
//
//   node node_red.mjs FOLDER
//
// FOLDER holds flows.json and takes what Node-RED writes. Its last node is `tally` (beside this
// file in node_red_nodes/): it counts and does nothing else. Prints `ready 0` when the flows run;
// answers each line on stdin with `done {JSON}`. Ends with stdin.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const RED = createRequire(import.meta.url)("node-red");
const tally = (globalThis.isthmusTally = { messages: 0, values: 0 });

async function main(folder) {
  RED.init({
    userDir: folder,
    flowFile: "flows.json",
    nodesDir: fileURLToPath(new URL("node_red_nodes", import.meta.url)),
    credentialSecret: false,
    disableEditor: true, // nobody listens: the nodes only want its routes to exist
    httpAdminRoot: "/",
    httpNodeRoot: "/",
    editorTheme: { projects: { enabled: false } },
    logging: { console: { level: "error", metrics: false, audit: false } },
    telemetry: { enabled: false },
  });
  await RED.start();
  console.log("ready 0");
  for await (const _ of createInterface({ input: process.stdin })) {
    const { user, system } = process.cpuUsage();
    const report = { ...tally, cpu_s: (user + system) / 1e6, rss: process.memoryUsage().rss };
    console.log(`done ${JSON.stringify({ ...report, version: RED.version() })}`);
  }
  await RED.stop();
  process.exit(0);
}

await main(process.argv[2]);
