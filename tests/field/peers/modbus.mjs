// A Modbus TCP device that knows nothing of Isthmus, told what to show on stdin.
//
//   node modbus.mjs
//
// Prints `ready PORT`, then reads lines of JSON: {"area": "holding", "start": 100, "values": [42]}
// and answers `done` to each. It ends when stdin does. Addresses nobody set are illegal.
// With "unit": 7 in the line they are those of another slave behind it; units nobody set are silent.

import { createInterface } from "node:readline";
import { createServer } from "node:net";
import ModbusRTU from "modbus-serial";

const ILLEGAL_ADDRESS = 0x02;

const ALL_UNITS = 255;

const units = new Map();

function contentsOf(unit) {
  if (!units.has(unit)) {
    units.set(unit, { coil: new Map(), discrete: new Map(), holding: new Map(), input: new Map() });
  }
  return units.get(unit);
}

function read(area, address, unit) {
  if (!units.has(unit)) {
    return new Promise(() => {});
  }
  const value = units.get(unit)[area].get(address);
  if (value === undefined) {
    throw { modbusErrorCode: ILLEGAL_ADDRESS };
  }
  return value;
}

const vector = {
  getCoil: (address, unit) => read("coil", address, unit),
  getDiscreteInput: (address, unit) => read("discrete", address, unit),
  getHoldingRegister: (address, unit) => read("holding", address, unit),
  getInputRegister: (address, unit) => read("input", address, unit),
};

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function obey({ area, start, values, unit = 1 }) {
  values.forEach((value, index) => contentsOf(unit)[area].set(start + index, value));
}

async function main() {
  const port = await freePort();
  const device = new ModbusRTU.ServerTCP(vector, { host: "127.0.0.1", port, unitID: ALL_UNITS });
  device.on("initialized", () => console.log(`ready ${port}`));
  for await (const line of createInterface({ input: process.stdin })) {
    obey(JSON.parse(line));
    console.log("done");
  }
  device.close(() => process.exit(0));
}

await main();
