// Live values: one socket per tab; elements say what they show with data-live="topic#field".
// @ts-check

const SILENCE = 6000; // three heartbeats
const POLL = 2000;

/** @type {Set<(topic: string, fields: Record<string, any>) => void>} */
const listeners = new Set();
/** @type {Map<string, Record<string, any>>} */
const state = new Map();
/** @type {WebSocket | null} */
let socket = null;
let failures = 0;
let heard = 0; // performance.now() of the last sign of life
let opened = false;
/** @type {{plant: number, at: number, speed: number} | null} */
let beat = null;
/** @type {Date | null} */
let lostAt = null;
let asked = "";

/** Hear every frame; returns how to stop. @param {(topic: string, fields: Record<string, any>) => void} listener */
export function onFrame(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Plant time in ms; before the first heartbeat what the page was rendered with. */
export function plantNow() {
  if (beat) return beat.plant + (performance.now() - beat.at) * beat.speed;
  const rendered = Number(document.querySelector("main")?.dataset.now ?? NaN);
  return Number.isNaN(rendered) ? null : rendered / 1000 + performance.now();
}

export function start() {
  connect();
  setInterval(tick, 500);
  document.addEventListener("visibilitychange", () => subscribe());
}

/** After the page changed: listen to what it shows now, fill in what is already known. */
export function refresh() {
  state.forEach((fields, topic) => show(topic, fields));
  subscribe();
  tick();
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/live`);
  socket.onopen = () => { opened = true; failures = 0; asked = ""; subscribe(); };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = () => {
    socket = null;
    failures++;
    // A proxy that breaks sockets must not break the page: ask by HTTP until one opens.
    if (failures >= 3) poll();
    const wait = Math.min(15000, 500 * 2 ** failures);
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
  };
}

function topics() {
  if (document.hidden) return [];
  const bound = [...document.querySelectorAll("[data-live]")].map((element) => topicOf(element)[0]);
  return [...new Set(bound)].sort();
}

function subscribe() {
  const wanted = JSON.stringify({ sub: topics() });
  if (socket?.readyState !== WebSocket.OPEN || wanted === asked) return;
  asked = wanted;
  socket.send(wanted);
}

async function poll() {
  if (socket?.readyState === WebSocket.OPEN || document.hidden) return;
  try {
    const answer = await fetch(`/live/snapshot?topics=${encodeURIComponent(topics().join(","))}`);
    if (answer.redirected || answer.status === 401) return;
    for (const frame of await answer.json()) receive(frame, true);
  } catch {
    return; // offline: the chip says so, connect() goes on trying
  }
  setTimeout(poll, POLL);
}

/** @param {any[]} frame @param {boolean} [polled] */
function receive(frame, polled = false) {
  heard = performance.now();
  lostAt = null;
  opened = opened && !polled;
  if (frame[0] === "hb") {
    beat = { plant: frame[1], at: heard, speed: frame[2] };
    return;
  }
  const [topic, , , fields] = frame;
  state.set(topic, fields);
  show(topic, fields);
  listeners.forEach((listener) => listener(topic, fields));
}

/** @param {Element} element @returns {[string, string]} */
function topicOf(element) {
  const [topic, field] = /** @type {HTMLElement} */ (element).dataset.live?.split("#") ?? [];
  return [topic ?? "", field ?? ""];
}

/** @param {string} topic @param {Record<string, any>} fields */
function show(topic, fields) {
  for (const element of document.querySelectorAll(`[data-live^="${CSS.escape(topic)}#"]`)) {
    const [, field] = topicOf(element);
    if (field in fields) bind(/** @type {HTMLElement} */ (element), fields[field]);
  }
}

/** @param {HTMLElement} element @param {any} value */
function bind(element, value) {
  const fmt = element.dataset.fmt ?? "text";
  if (fmt === "attr") element.dataset.kind = value;
  else if (fmt === "since") element.dataset.since = value ?? "";
  else if (fmt === "width") element.setAttribute("width", `${Math.min(1, value ?? 0) * 100}%`);
  else element.textContent = text(fmt, value);
}

/** @param {string} fmt @param {any} value */
function text(fmt, value) {
  if (value === null || value === "") return fmt === "word" ? "" : "–";
  const language = document.documentElement.lang;
  if (fmt === "int") return Math.round(value).toLocaleString(language);
  if (fmt === "pct") return `${Math.round(value * 100)}${language === "de" ? "\u202f" : ""}%`;
  if (fmt === "word") return words()[value] ?? value;
  return String(value);
}

/** @returns {Record<string, string>} */
function words() {
  const holder = document.getElementById("live-words");
  return holder ? JSON.parse(holder.textContent ?? "{}") : {};
}

function tick() {
  const now = plantNow();
  for (const element of document.querySelectorAll("[data-since]")) {
    const since = Number(/** @type {HTMLElement} */ (element).dataset.since);
    const shown = now && since ? clock((now - since) / 1000) : "–";
    if (element.textContent !== shown) element.textContent = shown;
  }
  freshness();
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
}

function freshness() {
  const chip = document.getElementById("fresh");
  if (!chip || (!heard && performance.now() < SILENCE)) return;
  const silent = performance.now() - heard;
  const stale = !heard || silent > SILENCE;
  if (stale) lostAt ??= new Date(Date.now() - silent);
  document.body.toggleAttribute("data-stale", stale);
  chip.toggleAttribute("data-stale", stale);
  const since = lostAt?.toLocaleTimeString("de", { hour: "2-digit", minute: "2-digit" });
  const shown = stale ? `${chip.dataset.lostText} ${since}` : opened ? chip.dataset.liveText : chip.dataset.pollingText;
  if (chip.textContent !== shown) chip.textContent = shown ?? "";
}
