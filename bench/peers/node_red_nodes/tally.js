// The least a flow can end in: it counts messages and the values in them.

module.exports = function (RED) {
  function Tally(config) {
    RED.nodes.createNode(this, config);
    this.on("input", (message, send, done) => {
      const tally = globalThis.isthmusTally;
      tally.messages += 1;
      tally.values += Array.isArray(message.payload) ? message.payload.length : 1;
      done();
    });
  }
  RED.nodes.registerType("tally", Tally);
};
