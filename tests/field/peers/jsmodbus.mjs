// A Modbus device (jsmodbus) that knows nothing of Isthmus, told what to show on stdin.
//
//   node jsmodbus.mjs tcp|rtu
//
// `rtu` puts the frames of a serial line on the socket, as simple gateways do. Prints `ready PORT`, then
// reads lines of JSON: {"area": "holding", "start": 100, "values": [42]} and answers `done` to each. It
// ends when stdin does.

import { createInterface } from "node:readline";
import { createServer } from "node:net";
import modbus from "jsmodbus";

const REGISTERS = 256;

const contents = {
  coil: Buffer.alloc(REGISTERS / 8),
  discrete: Buffer.alloc(REGISTERS / 8),
  holding: Buffer.alloc(2 * REGISTERS),
  input: Buffer.alloc(2 * REGISTERS),
};
const options = {
  coils: contents.coil,
  discrete: contents.discrete,
  holding: contents.holding,
  input: contents.input,
};

function put(area, address, value) {
  if (area === "holding" || area === "input") {
    contents[area].writeUInt16BE(value, 2 * address);
    return;
  }
  const mask = 1 << address % 8;
  const byte = contents[area][Math.floor(address / 8)];
  contents[area][Math.floor(address / 8)] = value ? byte | mask : byte & ~mask;
}

function listen(framing) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    if (framing === "rtu") {
      new modbus.server.RTU(socket, options);
    }
  });
  if (framing === "tcp") {
    new modbus.server.TCP(server, options);
  }
  server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
}

listen(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const { area, start, values } = JSON.parse(line);
  values.forEach((value, index) => put(area, start + index, value));
  console.log("done");
}
process.exit(0);
