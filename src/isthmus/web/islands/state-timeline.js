// <state-timeline>: machine states over time on one canvas. Data comes as JSON inside the element.
// @ts-check
import { at, band, bars, neighbour, pan, ticks, zoom } from "./timeline-layout.js";
import { onFrame, plantNow } from "../live.js";

/**
 * @typedef {import("./timeline-layout.js").Interval} Interval
 * @typedef {import("./timeline-layout.js").Row} Row
 * @typedef {import("./timeline-layout.js").View} View
 * @typedef {{start: number, end: number, follow: boolean, zone: string, language: string, row: number,
 *   rows: Row[], reasons: string[], orders: string[], kinds: Record<string, string>,
 *   words: Record<string, string>, label: string, cursor?: [number, number]}} Data
 */

const AXIS = 24;
const MOST_ROWS = 24;
const INKS = ["text", "muted", "line", "surface", "accent", "hatch", "outline",
  "running", "slow", "idle", "setup", "planned", "stopped", "unclassified", "offline"];
const OUTLINED = new Set(["idle", "offline"]);

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  :host { display: block; position: relative; }
  .scroll { overflow-y: auto; overflow-x: hidden; position: relative; outline-offset: 2px; }
  .scroll:focus-visible { outline: 2px solid var(--accent); border-radius: 3px; }
  canvas { display: block; position: sticky; top: 0; touch-action: pan-y; }
  canvas.hot { cursor: pointer; }
  .tip { position: absolute; z-index: 3; left: 0; top: 0; pointer-events: none; max-width: 320px; padding: 6px 10px; border-radius: 4px;
    background: var(--text); color: var(--bg); font-size: 12.5px; line-height: 1.4; white-space: nowrap; }
  .tools { position: absolute; right: 0; bottom: -2px; display: flex; gap: 8px; }
  button { font: inherit; font-size: 12.5px; min-height: 24px; padding: 0 8px; border: 1px solid var(--line); border-radius: 4px;
    background: var(--surface); color: var(--text); cursor: pointer; }
  [hidden] { display: none; }
  .sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }`);

class StateTimeline extends HTMLElement {
  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    root.innerHTML = `<div class="scroll" tabindex="0" role="group"><canvas></canvas><div class="space"></div></div>
      <div class="tip" hidden></div><div class="tools"><button class="reset" hidden></button></div>
      <span class="probe" hidden></span><p class="sr" role="status"></p>`;
    this.scroller = /** @type {HTMLElement} */ (root.querySelector(".scroll"));
    this.canvas = /** @type {HTMLCanvasElement} */ (root.querySelector("canvas"));
    this.space = /** @type {HTMLElement} */ (root.querySelector(".space"));
    this.tip = /** @type {HTMLElement} */ (root.querySelector(".tip"));
    this.reset = /** @type {HTMLButtonElement} */ (root.querySelector(".reset"));
    this.said = /** @type {HTMLElement} */ (root.querySelector(".sr"));
    this.probe = /** @type {HTMLElement} */ (root.querySelector(".probe"));
    /** @type {Data | null} */
    this.data = null;
    /** @type {View} */
    this.view = { start: 0, end: 1 };
    /** @type {{row: number, index: number} | null} */
    this.selected = null;
    this.following = false;
    this.queued = false;
    this.listen();
  }

  connectedCallback() {
    this.watchers = [
      new ResizeObserver(() => this.draw()),
      new MutationObserver(() => this.read()),
      new MutationObserver(() => { this.inks = undefined; this.draw(); }),
    ];
    /** @type {ResizeObserver} */ (this.watchers[0]).observe(this);
    /** @type {MutationObserver} */ (this.watchers[1]).observe(this, { childList: true, subtree: true, characterData: true });
    /** @type {MutationObserver} */ (this.watchers[2]).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => { this.inks = undefined; this.draw(); };
    this.scheme.addEventListener("change", this.onScheme);
    this.onMoment = (/** @type {Event} */ event) => { this.moment = /** @type {CustomEvent} */ (event).detail; this.draw(); };
    document.addEventListener("isthmus:moment", this.onMoment);
    this.forget = onFrame((topic, fields) => this.live(topic, fields));
    this.clock = setInterval(() => this.follow(), 1000);
    this.read();
  }

  disconnectedCallback() {
    this.watchers?.forEach((watcher) => watcher.disconnect());
    this.scheme?.removeEventListener("change", /** @type {() => void} */ (this.onScheme));
    document.removeEventListener("isthmus:moment", /** @type {(event: Event) => void} */ (this.onMoment));
    this.forget?.();
    clearInterval(this.clock);
  }

  /** Take the JSON from inside the element; keep the zoom when the range stayed the same. */
  read() {
    const text = this.querySelector("script")?.textContent;
    if (!text || text === this.text) return;
    const before = this.data;
    this.text = text;
    this.data = /** @type {Data} */ (JSON.parse(text));
    const { start, end, follow, label, words } = this.data;
    if (!before || before.start !== start || before.end !== end) {
      this.view = this.whole();
      this.following = follow;
    }
    this.selected = null;
    this.scroller.setAttribute("aria-label", `${label}. ${words.help}`);
    this.reset.textContent = words.reset;
    this.formats = new Map();
    this.draw();
  }

  /** @returns {View} */
  whole() {
    const { start, end } = /** @type {Data} */ (this.data);
    return { start: 0, end: (end - start) / 1000 };
  }

  listen() {
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.choose(null));
    this.canvas.addEventListener("pointerdown", (event) => { this.grabbed = { x: event.clientX, view: this.view, moved: false }; });
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.scroller.addEventListener("scroll", () => this.draw());
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.scroller.addEventListener("blur", () => this.choose(null));
    this.reset.addEventListener("click", () => this.show(this.whole(), Boolean(this.data?.follow)));
  }

  /** @param {View} view @param {boolean} [following] */
  show(view, following = false) {
    this.view = view;
    this.following = following;
    this.draw();
  }

  // Pointer and keys ------------------------------------------------------------------------

  /** @param {PointerEvent} event */
  hover(event) {
    if (this.grabbed && event.buttons === 1) {
      const moved = event.clientX - this.grabbed.x;
      if (Math.abs(moved) > 4) this.grabbed.moved = true;
      if (this.grabbed.moved) this.show(pan(this.grabbed.view, -moved / this.scale(), this.whole()));
      return;
    }
    this.choose(this.under(event), event.offsetX);
  }

  /** @param {PointerEvent} event */
  release(event) {
    const moved = this.grabbed?.moved;
    this.grabbed = undefined;
    if (!moved) this.open(this.under(event));
  }

  /** Plain wheel scrolls the page; with Ctrl it zooms, sideways it pans. @param {WheelEvent} event */
  wheel(event) {
    if (!this.data || !(event.ctrlKey || event.metaKey || event.deltaX || event.shiftKey)) return;
    event.preventDefault();
    const anchor = this.view.start + (event.offsetX - this.left()) / this.scale();
    if (event.ctrlKey || event.metaKey) this.show(zoom(this.view, event.deltaY > 0 ? 1.25 : 0.8, anchor, this.whole()));
    else this.show(pan(this.view, (event.deltaX || event.deltaY) / this.scale(), this.whole()));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.data || event.ctrlKey || event.altKey || event.metaKey) return;
    const now = this.selected ?? { row: 0, index: -1 };
    const middle = (this.view.start + this.view.end) / 2;
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowRight: () => this.step(now.row, now.index, 1),
      ArrowLeft: () => this.step(now.row, now.index, -1),
      ArrowDown: () => this.step(Math.min(now.row + 1, this.rows().length - 1), -1, 1),
      ArrowUp: () => this.step(Math.max(now.row - 1, 0), -1, 1),
      "+": () => this.show(zoom(this.view, 0.6, this.anchor(middle), this.whole())),
      "-": () => this.show(zoom(this.view, 1 / 0.6, this.anchor(middle), this.whole())),
      0: () => this.show(this.whole(), this.data?.follow),
      Enter: () => this.open(this.selected),
      r: () => this.open(this.selected),
      Escape: () => this.choose(null),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  /** @param {number} row @param {number} from @param {1 | -1} direction */
  step(row, from, direction) {
    const intervals = this.rows()[row]?.intervals ?? [];
    const index = neighbour(intervals, from, direction);
    if (index < 0) { this.choose({ row, index: 0 }); return; }
    const [start, seconds] = intervals[index];
    if (start + seconds < this.view.start || start > this.view.end) {
      this.show(pan(this.view, start + seconds / 2 - (this.view.start + this.view.end) / 2, this.whole()));
    }
    this.choose({ row, index });
  }

  /** @param {number} otherwise */
  anchor(otherwise) {
    const interval = this.selected && this.rows()[this.selected.row].intervals[this.selected.index];
    return interval ? interval[0] + interval[1] / 2 : otherwise;
  }

  /** @param {{row: number, index: number} | null} spot */
  open(spot) {
    const row = spot && this.rows()[spot.row];
    const stop = row?.intervals[spot?.index ?? -1]?.[3];
    if (row && stop) location.assign(`${row.url}@${stop}`);
  }

  /** @param {PointerEvent} event */
  under(event) {
    const x = event.offsetX - this.left();
    const row = Math.floor((event.offsetY + this.scroller.scrollTop) / this.rowHeight());
    const data = this.rows()[row];
    if (!data || x < 0) return null;
    const { index, count } = at(data.intervals, this.view, this.inner(), x);
    return index < 0 ? null : { row, index, count };
  }

  /** @param {{row: number, index: number, count?: number} | null} spot @param {number} [x] */
  choose(spot, x) {
    this.selected = spot;
    const row = spot && this.rows()[spot.row];
    const interval = row?.intervals[spot?.index ?? -1];
    this.tip.hidden = !interval;
    this.canvas.classList.toggle("hot", Boolean(interval?.[3]));
    if (row && interval && spot) this.explain(row, interval, spot.count ?? 1, x);
    this.draw();
  }

  /** @param {Row} row @param {Interval} interval @param {number} count @param {number} [x] */
  explain(row, interval, count, x) {
    const { start, kinds, reasons, orders, words } = /** @type {Data} */ (this.data);
    const [from, seconds, kind, , reason, order] = interval;
    const span = `${this.time(start + from * 1000, true)}–${this.time(start + (from + seconds) * 1000, true)}`;
    const lines = [`${row.name} · ${kinds[kind]} · ${length(seconds)}`, span];
    if (reason >= 0) lines.push(`${words.reason}: ${reasons[reason]}`);
    if (order >= 0) lines.push(`${words.order}: ${orders[order]}`);
    if (count > 1) lines.push(words.worst.replace("{n}", String(count)));
    this.tip.replaceChildren(...lines.flatMap((line, n) => (n ? [document.createElement("br"), line] : [line])));
    if (x === undefined) this.said.textContent = lines.join(", ");
    const left = x ?? this.left() + Math.max(0, (from - this.view.start) * this.scale());
    const top = (this.rows().indexOf(row) + 1) * this.rowHeight() - this.scroller.scrollTop + 4;
    this.tip.style.transform = `translate(${Math.min(left, Math.max(0, this.clientWidth - this.tip.offsetWidth))}px, ${top}px)`;
  }

  // Live ------------------------------------------------------------------------------------

  /** A machine changed: its last interval ends, a new one begins. @param {string} topic @param {Record<string, any>} fields */
  live(topic, fields) {
    if (!this.data?.follow || !topic.startsWith("machine:") || !fields.kind) return;
    const row = this.data.rows.find((row) => `machine:${row.machine}` === topic);
    const last = row?.intervals.at(-1);
    if (!row || !last || last[2] === fields.kind) return;
    const start = Math.max(last[0], (fields.since - this.data.start) / 1000);
    last[1] = start - last[0];
    row.intervals.push([start, 0, fields.kind, fields.stop ? fields.stop.split("@").pop() : "", -1, -1]);
    this.draw();
  }

  /** Let the running intervals grow, and the view with them. */
  follow() {
    const now = plantNow();
    if (!this.data?.follow || now === null || document.hidden) return;
    const moved = (now - this.data.end) / 1000;
    if (moved <= 0) return;
    this.data.end = now;
    for (const row of this.data.rows) {
      const last = row.intervals.at(-1);
      if (last) last[1] = (now - this.data.start) / 1000 - last[0];
    }
    if (this.following) this.view = { start: this.view.start + moved, end: this.view.end + moved };
    this.draw();
  }

  // Drawing ---------------------------------------------------------------------------------

  rows() { return this.data?.rows ?? []; }
  rowHeight() { return this.data?.row ?? 26; }
  left() { return this.labels ?? 110; }
  inner() { return Math.max(50, Math.floor(this.clientWidth - this.left())); }
  scale() { return this.inner() / (this.view.end - this.view.start); }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; if (this.data && this.clientWidth) this.paint(); });
  }

  paint() {
    const height = Math.min(this.rows().length, MOST_ROWS) * this.rowHeight();
    const pen = this.sheet(this.clientWidth, height + AXIS);
    const inks = (this.inks ??= this.readInks());
    pen.font = "13px " + getComputedStyle(this).fontFamily;
    const widest = Math.max(0, ...this.rows().map((row) => pen.measureText(row.name).width));
    this.labels = Math.ceil(Math.min(widest, this.clientWidth * 0.28) + 12);
    const first = Math.floor(this.scroller.scrollTop / this.rowHeight());
    const last = Math.min(this.rows().length, first + MOST_ROWS + 1);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, this.clientWidth, height);
    pen.clip();
    for (let row = first; row < last; row++) this.paintRow(pen, inks, row, row * this.rowHeight() - this.scroller.scrollTop);
    pen.restore();
    this.paintCursor(pen, inks, height);
    this.paintAxis(pen, inks, height);
    const { start, end } = this.whole();
    this.reset.hidden = this.view.end - this.view.start >= (end - start) * 0.999;
  }

  /** A canvas of the device's own pixels. @param {number} width @param {number} height */
  sheet(width, height) {
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
      this.scroller.style.maxHeight = `${height}px`;
      this.space.style.height = `${Math.max(0, (this.rows().length - MOST_ROWS) * this.rowHeight())}px`;
    }
    const pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  /** @param {CanvasRenderingContext2D} pen @param {Record<string, string>} inks @param {number} index @param {number} top */
  paintRow(pen, inks, index, top) {
    const row = this.rows()[index];
    const height = this.rowHeight();
    pen.fillStyle = inks.text;
    pen.textBaseline = "middle";
    pen.textAlign = "start";
    pen.fillText(fitted(pen, row.name, this.left() - 10), 0, top + height / 2);
    for (const bar of bars(row.intervals, this.view, this.inner())) this.paintBar(pen, inks, bar, top, height);
    if (this.selected?.row === index) this.paintSelection(pen, inks, row.intervals[this.selected.index], top, height);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Record<string, string>} inks
   *  @param {import("./timeline-layout.js").Bar} bar @param {number} top @param {number} row */
  paintBar(pen, inks, bar, top, row) {
    const { top: inset, height } = band(bar.kind, row);
    const [x, y] = [this.left() + bar.x, top + inset];
    pen.fillStyle = inks[bar.kind];
    pen.fillRect(x, y, bar.width, height);
    if (bar.kind === "planned" || bar.kind === "offline") hatch(pen, inks.hatch, x, y, bar.width, height);
    if (OUTLINED.has(bar.kind) && bar.width > 3) {
      pen.strokeStyle = inks.outline;
      pen.lineWidth = 1;
      pen.strokeRect(x + 0.5, y + 0.5, bar.width - 1, height - 1);
    }
    if (bar.kind === "unclassified" && bar.width >= 12) {
      pen.fillStyle = "#000";
      pen.textAlign = "center";
      pen.font = `600 ${pen.font.replace(/^.*?(?=\d)/, "")}`;
      pen.fillText("?", x + bar.width / 2, y + height / 2 + 1);
      pen.font = pen.font.replace("600 ", "");
      pen.textAlign = "start";
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {Record<string, string>} inks
   *  @param {Interval | undefined} interval @param {number} top @param {number} row */
  paintSelection(pen, inks, interval, top, row) {
    if (!interval) return;
    const from = Math.max(0, (interval[0] - this.view.start) * this.scale());
    const to = Math.min(this.inner(), (interval[0] + interval[1] - this.view.start) * this.scale());
    if (to < 0 || from > this.inner()) return;
    pen.strokeStyle = inks.accent;
    pen.lineWidth = 2;
    pen.strokeRect(this.left() + from - 1, top + 1, Math.max(2, to - from) + 2, row - 2);
  }

  /** What the page is about (a stop) as a frame over all rows. @param {CanvasRenderingContext2D} pen
   *  @param {Record<string, string>} inks @param {number} height */
  paintCursor(pen, inks, height) {
    if (!this.data) return;
    if (this.moment) {
      pen.fillStyle = inks.text;
      pen.fillRect(this.left() + ((this.moment - this.data.start) / 1000 - this.view.start) * this.scale(), 0, 1, height);
    }
    if (!this.data.cursor) return;
    const [from, to] = this.data.cursor.map((at) => this.left() + (at - this.view.start) * this.scale());
    pen.strokeStyle = inks.accent;
    pen.lineWidth = 2;
    pen.strokeRect(Math.max(this.left(), from), 1, Math.min(this.left() + this.inner(), to) - Math.max(this.left(), from), height - 2);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Record<string, string>} inks @param {number} top */
  paintAxis(pen, inks, top) {
    const { start } = /** @type {Data} */ (this.data);
    const [from, to] = [start + this.view.start * 1000, start + this.view.end * 1000];
    pen.fillStyle = inks.muted;
    pen.font = "12px " + getComputedStyle(this).fontFamily;
    pen.textBaseline = "top";
    for (const { at: moment, x, day } of ticks(from, to, this.inner(), (at) => this.offset(at))) {
      const text = day ? this.date(moment) : this.time(moment);
      const half = pen.measureText(text).width / 2;
      const middle = Math.max(half, Math.min(this.inner() - half, x));
      pen.fillRect(this.left() + Math.min(x, this.inner() - 1), top, 1, 4);
      pen.textAlign = "center";
      pen.fillText(text, this.left() + middle, top + 8);
    }
    pen.textAlign = "start";
  }

  readInks() {
    return Object.fromEntries(INKS.map((name) => {
      this.probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(this.probe).color];
    }));
  }

  // Time in the plant's zone ----------------------------------------------------------------

  /** @param {string} key @param {Intl.DateTimeFormatOptions} options @returns {Intl.DateTimeFormat} */
  format(key, options) {
    const { language, zone } = /** @type {Data} */ (this.data);
    const formats = /** @type {Map<string, Intl.DateTimeFormat>} */ (this.formats);
    const locale = language === "en" ? "en-GB" : language;
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { timeZone: zone, ...options }));
    return /** @type {Intl.DateTimeFormat} */ (formats.get(key));
  }

  /** @param {number} at @param {boolean} [seconds] */
  time(at, seconds = false) {
    const options = { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) };
    return this.format(`time${seconds}`, /** @type {Intl.DateTimeFormatOptions} */ (options)).format(at);
  }

  /** @param {number} at */
  date(at) {
    return this.format("date", { weekday: "short", day: "numeric", month: "short" }).format(at);
  }

  /** Milliseconds the plant's wall clock is ahead of UTC. @param {number} at */
  offset(at) {
    const parts = this.format("parts", { year: "numeric", month: "numeric", day: "numeric", hour: "numeric",
      minute: "numeric", second: "numeric", hourCycle: "h23" }).formatToParts(at);
    const part = Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
    const wall = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
    return wall - Math.floor(at / 1000) * 1000;
  }
}

/** @param {number} seconds */
function length(seconds) {
  const whole = Math.round(seconds);
  const [minutes, rest] = [Math.floor(whole / 60), String(whole % 60).padStart(2, "0")];
  return minutes < 60 ? `${minutes}:${rest} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {CanvasRenderingContext2D} pen @param {string} text @param {number} width */
function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

/** @param {CanvasRenderingContext2D} pen @param {string} ink @param {number} x @param {number} y @param {number} width @param {number} height */
function hatch(pen, ink, x, y, width, height) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.beginPath();
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  // Lines stand on the page, not on the bar: neighbouring bars continue each other's hatch.
  for (let line = Math.floor((x - height) / 6) * 6; line < x + width; line += 6) {
    pen.moveTo(line, y + height);
    pen.lineTo(line + height, y);
  }
  pen.stroke();
  pen.restore();
}

customElements.define("state-timeline", StateTimeline);
