// <source-browser>: one source's address space. Search first, only visible rows are in the page; what
// is chosen is listened to and drawn for a minute. Reads only.
// @ts-check

/**
 * @typedef {{tag: string, name: string, path: string, type: string, unit: string, has_children: boolean, description: string}} Node
 * @typedef {{running: boolean, nodes: number, folders: number, waiting: number, refused: number, complete: boolean,
 *   at: string | null, trouble: string, detail: string}} Crawl
 * @typedef {{age: number, number: number | null, text: string}} Point
 * @typedef {{tag: string, quality: string, code: string, device_time: string | null, per_second: number | null, points: Point[]}} Heard
 * @typedef {{api: string, csrf: string, most: number, language: string, zone: string, words: Record<string, string>}} Data
 */

const PART = 200; // rows per request
const SPARE = 8; // rows kept above and below what is seen
const PATIENCE = 60; // ms between the last key and the question
const LOOK = 1000; // ms between two looks at a crawl, and at live values
const SECONDS = 60;

class SourceBrowser extends HTMLElement {
  connectedCallback() {
    this.data = /** @type {Data} */ (JSON.parse(this.querySelector("script")?.textContent ?? "{}"));
    this.locale = this.data.language === "en" ? "en-GB" : this.data.language;
    /** @type {Map<number, Node[] | null>} */
    this.parts = new Map();
    /** @type {Map<string, {node: Node, card: HTMLElement}>} */
    this.chosen = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    this.total = 0;
    this.at = 0;
    this.asked = 0; // number of the newest search: older answers are dropped
    const state = new URLSearchParams(location.search);
    this.under = state.get("under") ?? "";
    this.build(state.get("q") ?? "");
    for (const tag of state.getAll("tag").slice(0, this.data.most)) this.choose(bare(tag));
    this.started = false;
    this.search();
    this.timer = setInterval(() => this.tick(), LOOK);
    this.onKey = (/** @type {KeyboardEvent} */ event) => this.globalKey(event);
    document.addEventListener("keydown", this.onKey);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    document.removeEventListener("keydown", /** @type {(event: KeyboardEvent) => void} */ (this.onKey));
  }

  /** @param {string} key @param {Record<string, unknown>} [gaps] */
  say(key, gaps = {}) {
    return (this.data?.words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(gaps[name] ?? ""));
  }

  /** @param {number} value */
  number(value) {
    return value.toLocaleString(this.locale, { maximumSignificantDigits: 6 }).replace("-", "\u2212");
  }

  // The page ------------------------------------------------------------------------------------

  /** @param {string} query */
  build(query) {
    const space = panel(this.say("space"));
    const finder = make("div", { className: "finder" });
    this.input = /** @type {HTMLInputElement} */ (make("input", { className: "text", type: "search", value: query, spellcheck: false }));
    this.input.setAttribute("aria-label", this.say("search"));
    this.input.placeholder = this.say("search");
    const again = make("button", { className: "chip", type: "button", textContent: this.say("again") });
    again.addEventListener("click", () => this.crawl(true));
    finder.append(this.input, again);
    this.trail = make("div", { className: "trail" });
    this.status = make("div", { className: "crawl" });
    this.status.setAttribute("role", "status");
    this.list = make("div", { className: "nodes", tabIndex: 0 });
    set(this.list, { role: "listbox", "aria-multiselectable": "true", "aria-label": this.say("space"), "aria-describedby": "nodes-help" });
    this.all = make("div", { className: "nodes-all" });
    set(this.all, { role: "presentation" });
    this.list.append(this.all);
    const help = make("p", { className: "muted small", id: "nodes-help", textContent: this.say("help") });
    space.append(finder, this.status, this.trail, this.list, help);
    const live = panel(this.say("live"), this.say("live.note"));
    this.heard = make("div", { className: "heard" });
    this.trouble = make("p", { className: "crit small" });
    set(this.trouble, { role: "alert" });
    this.hint = make("p", { className: "muted" });
    live.append(this.trouble, this.hint, this.heard);
    this.append(space, live);
    this.listen();
    this.hinted();
  }

  listen() {
    let waiting = 0;
    this.input?.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.search(), PATIENCE);
    });
    this.input?.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") { event.preventDefault(); this.list?.focus(); }
    });
    this.list?.addEventListener("scroll", () => this.draw());
    this.list?.addEventListener("keydown", (event) => this.key(event));
    this.all?.addEventListener("click", (event) => this.clicked(/** @type {HTMLElement} */ (event.target)));
    new ResizeObserver(() => this.draw()).observe(/** @type {HTMLElement} */ (this.list));
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this).getPropertyValue("--row")) || 36;
  }

  // Searching -----------------------------------------------------------------------------------

  search() {
    this.parts.clear();
    this.at = 0;
    if (this.list) this.list.scrollTop = 0;
    this.asked++;
    this.remember();
    this.pathShown();
    return this.fetchPart(0);
  }

  /** @param {number} part @returns {Promise<void>} */
  async fetchPart(part) {
    if (this.parts.has(part)) return;
    this.parts.set(part, null);
    const asked = this.asked;
    const state = new URLSearchParams({ search: this.input?.value.trim() ?? "", under: this.under ?? "", offset: String(part * PART), limit: String(PART), language: this.data?.language ?? "en" });
    const found = await this.get(`nodes?${state}`);
    if (asked !== this.asked || !this.isConnected) return;
    if (!found) { this.parts.delete(part); return; }
    this.parts.set(part, found.nodes);
    this.total = found.total;
    this.crawled(found.crawl);
    this.named(found.nodes);
    this.draw();
  }

  /** While the crawl runs, what matches grows: the parts that are seen are asked for again. */
  async grow() {
    const asked = this.asked;
    const [first, last] = this.seen();
    for (let part = Math.floor(first / PART); part <= Math.floor(last / PART); part++) {
      const old = this.parts.get(part);
      this.parts.delete(part);
      await this.fetchPart(part);
      if (asked !== this.asked) return;
      if (!this.parts.get(part) && old) this.parts.set(part, old);
    }
  }

  /** Nobody has looked yet: whoever opens this page wants to. @param {Crawl} crawl */
  crawled(crawl) {
    const before = this.state;
    this.state = crawl;
    const fresh = !crawl.running && !crawl.complete && !crawl.trouble;
    if (fresh && !this.started) void this.crawl(false);
    if (before?.running && !crawl.running) { this.parts.clear(); this.asked++; void this.fetchPart(0); }
    this.statusShown(crawl);
  }

  /** @param {boolean} again */
  async crawl(again) {
    this.started = true;
    const crawl = await this.post(`crawl?language=${this.data?.language ?? "en"}`, { again });
    if (crawl) this.crawled(crawl);
    if (again) void this.search();
  }

  /** @param {Crawl} crawl */
  statusShown(crawl) {
    const said = [];
    if (crawl.trouble) said.push(make("strong", { className: "crit", textContent: this.say(crawl.trouble) }), make("span", { textContent: crawl.trouble === "unsupported" ? this.say("unsupported.text") : crawl.detail }));
    else if (crawl.running && !crawl.nodes) said.push(make("span", { textContent: this.say("connecting") }), make("progress"));
    else if (crawl.running) {
      const bar = /** @type {HTMLProgressElement} */ (make("progress", { max: crawl.folders + crawl.waiting, value: crawl.folders }));
      said.push(make("span", { textContent: this.say("running", this.counts(crawl)) }), bar);
    } else {
      const parts = [this.say("count", this.counts(crawl))];
      if (crawl.at) parts.push(this.say("found", { at: this.moment(crawl.at) }));
      if (crawl.refused) parts.push(this.say("refused_folders", { n: crawl.refused }));
      said.push(make("span", { textContent: parts.join(" · ") }));
    }
    for (const bar of said) if (bar.tagName === "PROGRESS") bar.setAttribute("aria-label", this.say("space"));
    this.status?.replaceChildren(...said);
  }

  /** @param {Crawl} crawl */
  counts(crawl) {
    const shown = (/** @type {number} */ n) => n.toLocaleString(this.locale);
    return { total: shown(this.total), nodes: shown(crawl.nodes), waiting: shown(crawl.waiting) };
  }

  /** @param {string} iso */
  moment(iso) {
    return new Date(iso).toLocaleString(this.locale, { timeZone: this.data?.zone, dateStyle: "medium", timeStyle: "short" });
  }

  // Rows ----------------------------------------------------------------------------------------

  /** First and last row that can be seen. @returns {[number, number]} */
  seen() {
    const list = /** @type {HTMLElement} */ (this.list);
    const first = Math.floor(list.scrollTop / this.rowHeight);
    const last = Math.ceil((list.scrollTop + list.clientHeight) / this.rowHeight);
    return [Math.max(0, first), Math.max(0, Math.min(this.total - 1, last))];
  }

  draw() {
    if (!this.all || !this.list || !this.rows) return;
    const height = this.rowHeight;
    this.all.style.height = `${this.total * height}px`;
    const [first, last] = this.seen();
    /** @type {Map<string, () => HTMLElement>} */
    const wanted = new Map();
    for (let at = Math.max(0, first - SPARE); at <= Math.min(this.total - 1, last + SPARE); at++) {
      const node = this.nodeAt(at);
      // A row that stays as it is stays in the page: a click must not lose its target.
      if (node) wanted.set([at, node.tag, this.chosen.has(node.tag), at === this.at, this.total, height].join("\n"), () => this.row(node, at, height));
      else void this.fetchPart(Math.floor(at / PART));
    }
    if (!this.total && this.state && !this.state.running && !this.state.trouble) {
      const said = this.say(this.state.nodes ? "nothing" : "empty");
      wanted.set(said, () => make("p", { className: "muted nothing", textContent: said }));
    }
    for (const [key, row] of this.rows) if (!wanted.has(key)) { row.remove(); this.rows.delete(key); }
    for (const [key, made] of wanted) {
      if (this.rows.has(key)) continue;
      const row = made();
      this.rows.set(key, row);
      this.all.append(row);
    }
    if (this.nodeAt(this.at)) this.list.setAttribute("aria-activedescendant", `node-${this.at}`);
    else this.list.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  nodeAt(at) {
    return this.parts?.get(Math.floor(at / PART))?.[at % PART];
  }

  /** @param {Node} node @param {number} at @param {number} height */
  row(node, at, height) {
    const folder = !node.type;
    const row = make("div", { className: `node${folder ? " folder" : ""}${at === this.at ? " at" : ""}`, id: `node-${at}` });
    set(row, { role: "option", "aria-selected": String(this.chosen.has(node.tag)), "aria-setsize": String(this.total), "aria-posinset": String(at + 1) });
    row.dataset.at = String(at);
    row.style.top = `${at * height}px`;
    const type = [node.type, node.unit].filter(Boolean).join(" · ");
    const box = make("span", { className: "box", textContent: folder ? "▸" : this.chosen.has(node.tag) ? "✓" : "" });
    box.ariaHidden = "true";
    row.append(box, make("span", { textContent: node.name, title: node.description || node.tag }), make("span", { className: "muted small", textContent: type }), make("span", { className: "muted small path", textContent: above(node), title: node.path }));
    return row;
  }

  /** @param {HTMLElement} target */
  clicked(target) {
    const row = /** @type {HTMLElement | null} */ (target.closest(".node"));
    if (!row) return;
    this.at = Number(row.dataset.at);
    const node = this.nodeAt(this.at);
    if (node) node.type ? this.toggle(node) : this.enter(node.path);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const page = Math.max(1, Math.floor((this.list?.clientHeight ?? 0) / this.rowHeight) - 1);
    const node = this.nodeAt(this.at);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowDown: () => this.go(this.at + 1), ArrowUp: () => this.go(this.at - 1),
      PageDown: () => this.go(this.at + page), PageUp: () => this.go(this.at - page),
      Home: () => this.go(0), End: () => this.go(this.total - 1),
      " ": () => node?.type && this.toggle(node),
      Enter: () => node && (node.type ? this.toggle(node) : this.enter(node.path)),
      ArrowRight: () => node?.has_children && this.enter(node.path),
      ArrowLeft: () => this.enter(parent(this.under ?? "")),
    };
    const doing = does[event.key];
    if (!doing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    doing();
  }

  /** @param {KeyboardEvent} event */
  globalKey(event) {
    const typing = /** @type {HTMLElement} */ (event.target).closest("input, textarea, select");
    const off = document.querySelector("main")?.dataset.shortcuts === "off";
    if (event.key !== "/" || typing || off || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.input?.focus();
  }

  /** @param {number} at */
  go(at) {
    const list = /** @type {HTMLElement} */ (this.list);
    this.at = Math.max(0, Math.min(this.total - 1, at));
    const top = this.at * this.rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + this.rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + this.rowHeight - list.clientHeight;
    this.draw();
  }

  /** Show only what is below a folder; all where it is empty. @param {string} path */
  enter(path) {
    this.under = path;
    if (this.input) this.input.value = "";
    void this.search();
  }

  pathShown() {
    const steps = (this.under ?? "").split("/").filter(Boolean);
    const buttons = [["", this.say("all")], ...steps.map((step, n) => [`/${steps.slice(0, n + 1).join("/")}`, step])].map(([path, name]) => {
      const button = make("button", { type: "button", textContent: name });
      button.addEventListener("click", () => this.enter(path ?? ""));
      return button;
    });
    const parts = buttons.flatMap((button, n) => (n ? ["›", button] : [button]));
    this.trail?.replaceChildren(...(steps.length ? parts : []));
  }

  // Live values ---------------------------------------------------------------------------------

  /** @param {Node} node */
  toggle(node) {
    if (this.chosen.has(node.tag)) this.drop(node.tag);
    else this.choose(node);
    this.remember();
    this.draw();
    void this.hear();
  }

  /** @param {Node} node */
  choose(node) {
    if (this.chosen.size >= (this.data?.most ?? 0)) { this.hinted("most"); return; }
    const card = make("article", { className: "tag" });
    const remove = make("button", { className: "chip", type: "button", textContent: "×" });
    remove.addEventListener("click", () => { this.drop(node.tag); this.remember(); this.draw(); this.list?.focus(); });
    const name = make("h3", { textContent: node.name });
    const value = make("span", { className: "value", textContent: "–" });
    const facts = make("span", { className: "muted small n facts", textContent: this.say("waiting") });
    const spark = make("div", { className: "wide spark-place" });
    card.append(name, remove, value, facts, spark, make("span", { className: "mono muted wide", textContent: node.tag }));
    this.chosen.set(node.tag, { node, card });
    remove.setAttribute("aria-label", this.say("remove", { name: node.name }));
    this.heard?.append(card);
    this.hinted();
  }

  /** A tag of the address bar gets its name when it is found. @param {Node[]} nodes */
  named(nodes) {
    for (const node of nodes) {
      const there = this.chosen.get(node.tag);
      if (!there || there.node.path) continue;
      there.node = node;
      const head = there.card.querySelector("h3");
      if (head) head.textContent = node.name;
    }
  }

  /** @param {string} tag */
  drop(tag) {
    this.chosen.get(tag)?.card.remove();
    this.chosen.delete(tag);
    this.hinted();
  }

  /** @param {string} [key] */
  hinted(key = "choose") {
    if (!this.hint) return;
    this.hint.hidden = this.chosen.size > 0 && key !== "most";
    this.hint.textContent = this.say(key, { most: this.data?.most });
  }

  tick() {
    if (document.hidden) return;
    if (this.state?.running) void this.grow();
    void this.hear();
  }

  async hear() {
    if (!this.chosen.size || this.hearing) return;
    this.hearing = true;
    const tags = new URLSearchParams([...this.chosen.keys()].map((tag) => ["tag", tag]).concat([["language", this.data?.language ?? "en"]]));
    const found = await this.get(`live?${tags}`);
    this.hearing = false;
    if (!found || !this.trouble) return;
    this.trouble.textContent = found.trouble;
    for (const one of /** @type {Heard[]} */ (found.tags)) this.show(one, found.open);
  }

  /** @param {Heard} one @param {boolean} open */
  show(one, open) {
    const there = this.chosen.get(one.tag);
    const last = one.points[one.points.length - 1];
    const facts = there?.card.querySelector(".facts");
    if (!there || !facts) return;
    if (!last) { facts.textContent = this.say(open ? "waiting" : "opening"); return; }
    const value = /** @type {HTMLElement} */ (there.card.querySelector(".value"));
    const shown = last.number === null ? last.text || "–" : this.number(last.number);
    value.textContent = there.node.unit && last.number !== null ? `${shown} ${there.node.unit}` : shown;
    value.dataset.quality = one.quality;
    const quality = this.say(`quality.${one.quality}`) + (one.code === "0x00000000" ? "" : ` ${one.code}`);
    const rate = this.say("rate", { rate: (one.per_second ?? 0).toLocaleString(this.locale, { maximumFractionDigits: 1 }) });
    const age = this.say("ago", { age: `${last.age.toLocaleString(this.locale, { maximumFractionDigits: last.age < 10 ? 1 : 0 })}\u202fs` });
    facts.textContent = [quality, rate, age].join(" · ");
    facts.classList.toggle("warn", one.quality !== "good");
    this.spark(/** @type {HTMLElement} */ (there.card.querySelector(".spark-place")), one.points);
  }

  /** A minute as a line of steps: a value holds until the next. @param {HTMLElement} place @param {Point[]} points */
  spark(place, points) {
    const numbers = points.filter((point) => point.number !== null);
    if (!numbers.length) { place.replaceChildren(); return; }
    const values = numbers.map((point) => /** @type {number} */ (point.number));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = (/** @type {number} */ age) => (300 * (SECONDS - Math.min(SECONDS, age))) / SECONDS;
    const y = (/** @type {number} */ value) => (high > low ? 34 - (32 * (value - low)) / (high - low) : 18);
    const steps = numbers.map((point, n) => `${n ? "H" : "M"}${x(point.age).toFixed(1)}${n ? "V" : ","}${y(values[n] ?? 0).toFixed(1)}`);
    const label = this.say("spark", { low: this.number(low), high: this.number(high) });
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    set(svg, { viewBox: "0 0 300 36", preserveAspectRatio: "none", role: "img", "aria-label": label });
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `${steps.join("")}H300`);
    svg.append(path);
    const bounds = make("div", { className: "bounds muted small" });
    bounds.append(make("span", { textContent: `−${SECONDS} s` }), make("span", { textContent: high > low ? `${this.number(low)} … ${this.number(high)}` : "" }));
    place.replaceChildren(svg, bounds);
  }

  // Talking -------------------------------------------------------------------------------------

  /** The address bar says what is seen. */
  remember() {
    const state = new URLSearchParams(location.search);
    for (const key of ["q", "under", "tag"]) state.delete(key);
    if (this.input?.value.trim()) state.set("q", this.input.value.trim());
    if (this.under) state.set("under", this.under);
    for (const tag of this.chosen.keys()) state.append("tag", tag);
    history.replaceState(history.state, "", `${location.pathname}?${state}`);
  }

  /** @param {string} path */
  async get(path) {
    return this.answer(fetch(`${this.data?.api}/${path}`));
  }

  /** @param {string} path @param {unknown} body */
  async post(path, body) {
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": this.data?.csrf ?? "" };
    return this.answer(fetch(`${this.data?.api}/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
  }

  /** @param {Promise<Response>} asked @returns {Promise<any>} */
  async answer(asked) {
    try {
      const answer = await asked;
      const found = await answer.json();
      if (answer.ok) return found;
      if (this.trouble) this.trouble.textContent = found.error?.message ?? String(answer.status);
    } catch {
      if (this.trouble && this.isConnected) this.trouble.textContent = this.say("offline");
    }
    return null;
  }
}

/** @param {string} tag @returns {Node} */
function bare(tag) {
  return { tag, name: tag, path: "", type: "?", unit: "", has_children: false, description: "" };
}

/** @param {Node} node */
function above(node) {
  return node.path.endsWith(`/${node.name}`) ? node.path.slice(0, -node.name.length - 1) : node.path;
}

/** @param {string} path */
function parent(path) {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** @param {string} tag @param {Record<string, unknown>} [properties] @returns {HTMLElement} */
function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

/** @param {Element} element @param {Record<string, string>} attributes */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** @param {string} title @param {string} [note] */
function panel(title, note = "") {
  const section = make("section", { className: "panel" });
  const head = make("header");
  head.append(make("h2", { textContent: title }), make("span", { className: "muted small", textContent: note }));
  section.setAttribute("aria-label", title);
  section.append(head);
  return section;
}

customElements.define("source-browser", SourceBrowser);
