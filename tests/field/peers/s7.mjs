// A reader of a SIMATIC S7 that knows nothing of Isthmus: prints what NodeS7 makes of the memory.
//
//   node s7.mjs PORT SLOT ADDRESS…
//
// Addresses are NodeS7's own (`DB10,REAL4`). Prints one line of JSON, address → value; a value that
// could not be read is null.

import { createRequire } from "node:module";

// NodeS7 would say on the console what it does.
const NodeS7 = createRequire(import.meta.url)("nodes7");
const [port, slot, ...addresses] = process.argv.slice(2);
const plc = new NodeS7({ silent: true });

function end(error) {
  console.error(String(error));
  process.exit(1);
}

function print(anyBad, values) {
  const read = addresses.map((address) => [address, bad(values[address]) ? null : values[address]]);
  console.log(JSON.stringify(Object.fromEntries(read)));
  plc.dropConnection(() => process.exit(0));
}

function bad(value) {
  return typeof value === "string" && value.startsWith("BAD");
}

plc.initiateConnection({ host: "127.0.0.1", port: Number(port), rack: 0, slot: Number(slot) }, (error) => {
  if (error !== undefined) end(error);
  plc.addItems(addresses);
  plc.readAllItems(print);
});
