// Sends one signed post, as a sender that knows nothing of Isthmus does, and prints the status it gets.
//
//   node post.mjs URL SECRET BODY [ID]

import { createHmac } from "node:crypto";

const [url, secret, body, id = "1"] = process.argv.slice(2);
const timestamp = String(Math.floor(Date.now() / 1000));
const signature = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64");
const response = await fetch(url, {
  method: "POST",
  body,
  headers: {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  },
});
console.log(response.status);
