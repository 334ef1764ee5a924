// A Sparkplug edge node that knows nothing of Isthmus, told what to say on stdin.
//
//   node sparkplug.mjs BROKER_PORT
//
// Prints `ready BROKER_PORT` when it is connected, then reads lines of JSON:
//   {"birth": {"metrics": [...]}, "devices": {"press": {"metrics": [...]}}}   its births, from now on
//   {"data": {"metrics": [...]}, "device": "press", "compress": "GZIP"}        what changed
//   {"device_death": "press"}
//   {"stop": true}                                                              its death, and goodbye
// and answers `done` to each. A rebirth is obeyed; every command it gets is printed as `command …`.
// It ends when stdin does.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { newClient } = createRequire(import.meta.url)("sparkplug-client");

const port = Number(process.argv[2]);
let births = null;
let last = 0;

const client = newClient({
  serverUrl: `mqtt://127.0.0.1:${port}`,
  username: "",
  password: "",
  groupId: "hall",
  edgeNode: "peer",
  clientId: "peer",
  version: "spBv1.0",
  keepalive: 5,
  publishDeath: true,
});

// Fresh objects: the client adds its own metrics to what it is given.
function stamped(payload) {
  last = Math.max(Date.now(), last + 1);
  const metrics = payload.metrics.map((metric) => ({ timestamp: last, ...metric, value: wire(metric) }));
  return { timestamp: last, metrics };
}

function wire(metric) {
  return metric.type === "Bytes" ? Buffer.from(metric.value, "base64") : metric.value;
}

function birth() {
  if (births === null) {
    return;
  }
  client.publishNodeBirth(stamped(births.birth));
  for (const [device, payload] of Object.entries(births.devices)) {
    client.publishDeviceBirth(device, stamped(payload));
  }
}

function obey(command) {
  if (command.birth) {
    births = command;
    birth();
  } else if (command.stop) {
    client.stop();
  } else if (command.device_death) {
    client.publishDeviceDeath(command.device_death, { timestamp: Date.now() });
  } else {
    const options = command.compress ? { compress: true, algorithm: command.compress } : {};
    client.publishDeviceData(command.device, stamped(command.data), options);
  }
}

client.on("connect", () => console.log(`ready ${port}`));
client.on("ncmd", (payload) => {
  console.log(`command ${JSON.stringify(payload.metrics)}`);
  if (payload.metrics.some((metric) => metric.name === "Node Control/Rebirth" && metric.value)) {
    birth();
  }
});
client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});

for await (const line of createInterface({ input: process.stdin })) {
  obey(JSON.parse(line));
  console.log("done");
}
process.exit(0);
