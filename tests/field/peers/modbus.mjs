// A Modbus TCP device that knows nothing of Isthmus, told what to show on stdin.
//
//   node modbus.mjs
//
// Prints `ready PORT`, then reads lines of JSON: {"area": "holding", "start": 100, "values": [42]}
// and answers `done` to each. It ends when stdin does. Addresses nobody set are illegal.

import { createInterface } from "node:readline";
import { createServer } from "node:net";
import ModbusRTU from "modbus-serial";

const ILLEGAL_ADDRESS = 0x02;

const contents = { coil: new Map(), discrete: new Map(), holding: new Map(), input: new Map() };

function read(area, address) {
  const value = contents[area].get(address);
  if (value === undefined) {
    throw { modbusErrorCode: ILLEGAL_ADDRESS };
  }
  return value;
}

const vector = {
  getCoil: (address) => read("coil", address),
  getDiscreteInput: (address) => read("discrete", address),
  getHoldingRegister: (address) => read("holding", address),
  getInputRegister: (address) => read("input", address),
};

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function obey({ area, start, values }) {
  values.forEach((value, index) => contents[area].set(start + index, value));
}

async function main() {
  const port = await freePort();
  const device = new ModbusRTU.ServerTCP(vector, { host: "127.0.0.1", port, unitID: 1 });
  device.on("initialized", () => console.log(`ready ${port}`));
  for await (const line of createInterface({ input: process.stdin })) {
    obey(JSON.parse(line));
    console.log("done");
  }
  device.close(() => process.exit(0));
}

await main();
