// <trend-chart>: signals over time, one uPlot pane each, one shared cursor. A series with `src` is
// fetched, thinned to minimum and maximum per step; a closer look asks for that stretch again.
// @ts-check

/**
 * @typedef {{label: string, unit: string, times: number[], values: (number | null)[],
 *   src?: string, from?: string, to?: string}} Series
 * @typedef {{zone: string, language: string, series: Series[], cursor?: [number, number],
 *   range?: [number, number]}} Data
 */

const HEIGHT = 140;
const PATIENCE = 200; // ms between a zoom and the question for it
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2], [10, 4]];

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  .u-title, .u-legend { font: var(--caption) var(--font) !important; text-align: start !important; padding-inline-start: 64px; }
  .u-title { font-weight: 600 !important; }
  .u-legend th { font-weight: 400 !important; }
  .u-legend tr:first-child { display: none !important; }`);
document.adoptedStyleSheets.push(SHEET);

class TrendChart extends HTMLElement {
  connectedCallback() {
    // Light DOM, because uPlot's own style sheet must reach it; morphs leave the panes alone.
    this.panes ??= this.appendChild(Object.assign(document.createElement("div"), { className: "panes" }));
    this.panes.setAttribute("hx-morph-skip", "");
    this.watchers = [new ResizeObserver(() => this.resize()), new MutationObserver(() => this.read())];
    /** @type {ResizeObserver} */ (this.watchers[0]).observe(this);
    const script = this.querySelector("script");
    if (script) /** @type {MutationObserver} */ (this.watchers[1]).observe(script, { childList: true, characterData: true, subtree: true });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => { this.text = undefined; this.read(); };
    this.scheme.addEventListener("change", this.onScheme);
    this.read();
  }

  disconnectedCallback() {
    this.watchers?.forEach((watcher) => watcher.disconnect());
    this.scheme?.removeEventListener("change", /** @type {() => void} */ (this.onScheme));
    this.plots?.forEach((plot) => plot.destroy());
  }

  async read() {
    const text = this.querySelector("script")?.textContent;
    if (!text || text === this.text) return;
    this.text = text;
    const data = /** @type {Data} */ (JSON.parse(text));
    const series = await Promise.all(data.series.map((one) => (one.src ? fetched(one) : one)));
    if (text !== this.text || !this.isConnected) return; // the page has moved on
    this.plots?.forEach((plot) => plot.destroy());
    this.plots = series.map((one, index) => this.plot(data, one, index));
  }

  /** Somebody looks closer: the same pixels, more of the data. @param {any} plot @param {Series} series */
  zoomed(plot, series) {
    const { min, max } = plot.scales.x;
    clearTimeout(plot.waiting);
    if (!series.src || min === null || min <= Date.parse(series.from ?? "") / 1000) return;
    plot.waiting = setTimeout(async () => {
      const closer = await fetched({ ...series, from: iso(min), to: iso(max) });
      if (plot.scales.x.min === min && plot.scales.x.max === max && closer.times.length) {
        plot.setData([closer.times, closer.values], false);
        plot.redraw();
      }
    }, PATIENCE);
  }

  resize() {
    this.plots?.forEach((plot) => plot.setSize({ width: this.clientWidth, height: HEIGHT }));
  }

  /** @param {Data} data @param {Series} series @param {number} index */
  plot(data, series, index) {
    const uPlot = /** @type {any} */ (window).uPlot;
    const ink = getComputedStyle(this);
    const axis = { stroke: this.ink("--muted"), grid: { stroke: this.ink("--line"), width: 1 }, ticks: { show: false }, font: `12px ${ink.fontFamily}` };
    const label = series.unit ? `${series.label} (${series.unit})` : series.label;
    const locale = data.language === "en" ? "en-GB" : data.language;
    return new uPlot({
      title: label,
      width: this.clientWidth || 600,
      height: HEIGHT,
      cursor: {
        sync: { key: this.id }, drag: { x: true, y: false },
        bind: { dblclick: (/** @type {any} */ plot) => () => plot.setData([series.times, series.values]) },
      },
      scales: { x: data.range ? { range: (/** @type {any} */ _, /** @type {number} */ min, /** @type {number} */ max) => wide(series, data, min, max) } : {} },
      tzDate: (/** @type {number} */ at) => uPlot.tzDate(new Date(at * 1000), data.zone),
      legend: { live: true },
      axes: [
        { ...axis, size: 30, values: (/** @type {any} */ _, /** @type {number[]} */ times) => times.map((at) => clock(at, locale, data.zone)) },
        { ...axis, size: 64, values: (/** @type {any} */ _, /** @type {number[]} */ values) => values.map((value) => value.toLocaleString(locale)) },
      ],
      series: [
        { label: "", value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? "–" : clock(at, locale, data.zone, true)) },
        { label, stroke: this.ink("--accent"), width: 1.5, dash: DASHES[index % DASHES.length], points: { show: series.times.length < 60 },
          value: (/** @type {any} */ _, /** @type {number | null} */ value) => (value === null ? "–" : `${value.toLocaleString(locale)} ${series.unit}`) },
      ],
      hooks: {
        drawClear: [(/** @type {any} */ plot) => this.shade(plot, data.cursor)],
        setCursor: [(/** @type {any} */ plot) => index === 0 && this.tell(plot)],
        setSelect: [(/** @type {any} */ plot) => setTimeout(() => this.zoomed(plot, series))],
      },
    }, [series.times, series.values], this.panes);
  }

  /** The stop the page is about, behind the line. @param {any} plot @param {[number, number] | undefined} span */
  shade(plot, span) {
    if (!span) return;
    const [from, to] = span.map((at) => plot.valToPos(at, "x", true));
    plot.ctx.fillStyle = this.ink("--selected");
    plot.ctx.fillRect(from, plot.bbox.top, to - from, plot.bbox.height);
  }

  /** The state strip above shows the same moment. @param {any} plot */
  tell(plot) {
    const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") * 1000 : null;
    document.dispatchEvent(new CustomEvent("isthmus:moment", { detail: at }));
  }

  /** A colour of the tokens as this theme resolves it. @param {string} name */
  ink(name) {
    const probe = this.panes ?? this;
    probe.style.color = `var(${name})`;
    const colour = getComputedStyle(probe).color;
    probe.style.color = "";
    return colour;
  }
}

/** A series with its values; one that cannot be had is empty, the others still show. @param {Series} series @returns {Promise<Series>} */
async function fetched(series) {
  const empty = { ...series, times: [], values: [] };
  try {
    const answer = await fetch(`${series.src}&from=${encodeURIComponent(series.from ?? "")}&to=${encodeURIComponent(series.to ?? "")}`);
    if (!answer.ok) return empty;
    const found = await answer.json();
    return { ...series, times: found.time.map((/** @type {string} */ at) => Date.parse(at) / 1000), values: found.value };
  } catch {
    return empty; // offline: the chip in the header says so
  }
}

/** The whole range of the page while nobody zooms, also where the signal is silent. @param {Series} series @param {Data} data @param {number} min @param {number} max @returns {[number, number]} */
function wide(series, data, min, max) {
  const all = min === series.times[0] && max === series.times[series.times.length - 1];
  return (all || min === null) && data.range ? data.range : [min, max];
}

/** @param {number} seconds */
function iso(seconds) {
  return new Date(seconds * 1000).toISOString();
}

/** @param {number} at seconds @param {string} locale @param {string} zone @param {boolean} [seconds] */
function clock(at, locale, zone, seconds = false) {
  const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) };
  return new Date(at * 1000).toLocaleTimeString(locale, /** @type {Intl.DateTimeFormatOptions} */ (options));
}

customElements.define("trend-chart", TrendChart);
