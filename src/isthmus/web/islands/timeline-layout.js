// Where every bar of a state timeline goes: pure functions, no DOM, tested in Node.
// @ts-check

/**
 * @typedef {[start: number, seconds: number, kind: string, stop: string, reason: number, order: number]} Interval
 *   start in seconds since the view's data start; `stop` is empty when it belongs to none.
 * @typedef {{machine: string, name: string, url: string, intervals: Interval[]}} Row
 * @typedef {{start: number, end: number}} View  seconds since the data's start
 * @typedef {{x: number, width: number, kind: string, index: number, count: number}} Bar
 */

/** Worst last: a pixel shows the worst state that touches it, so no stop ever vanishes. */
export const KINDS = ["running", "planned", "slow", "setup", "idle", "offline", "unclassified", "stopped"];
const SEVERITY = Object.fromEntries(KINDS.map((kind, rank) => [kind, rank]));
const THIN = new Set(["running", "planned"]);
const LONG = 24;

/**
 * For each pixel column the index of the interval it shows, or −1; and how many touch it.
 * @param {Interval[]} intervals sorted by start
 * @param {View} view
 * @param {number} width
 */
export function columns(intervals, view, width) {
  const shown = new Int32Array(width).fill(-1);
  const touching = new Uint16Array(width);
  const scale = width / (view.end - view.start);
  for (let index = firstAfter(intervals, view.start); index < intervals.length; index++) {
    const [start, seconds, kind] = intervals[index];
    if (start >= view.end) break;
    const from = Math.max(0, Math.floor((start - view.start) * scale + 1e-6));
    const to = Math.min(width, Math.max(from + 1, Math.ceil((start + seconds - view.start) * scale - 1e-6)));
    for (let x = from; x < to; x++) {
      touching[x]++;
      if (shown[x] < 0 || SEVERITY[kind] > SEVERITY[intervals[shown[x]][2]]) shown[x] = index;
    }
  }
  return { shown, touching };
}

/**
 * Runs of pixels with the same kind; neighbouring intervals of one kind become one bar.
 * @param {Interval[]} intervals
 * @param {View} view
 * @param {number} width
 * @returns {Bar[]}
 */
export function bars(intervals, view, width) {
  const { shown, touching } = columns(intervals, view, width);
  /** @type {Bar[]} */
  const found = [];
  for (let x = 0; x < width; x++) {
    if (shown[x] < 0) continue;
    const kind = intervals[shown[x]][2];
    const last = found.at(-1);
    if (last && last.kind === kind && last.x + last.width === x) {
      last.width++;
      last.count = Math.max(last.count, touching[x]);
    } else {
      found.push({ x, width: 1, kind, index: shown[x], count: touching[x] });
    }
  }
  return found;
}

/**
 * Height and top of a bar inside its row: normal is thin, abnormal is tall.
 * @param {string} kind
 * @param {number} row height of the row
 */
export function band(kind, row) {
  const height = Math.round(row * (THIN.has(kind) ? 0.54 : 0.77));
  return { top: Math.round((row - height) / 2), height };
}

/**
 * The interval under a point: the worst of its pixel.
 * @param {Interval[]} intervals
 * @param {View} view
 * @param {number} width
 * @param {number} x
 */
export function at(intervals, view, width, x) {
  const column = Math.max(0, Math.min(width - 1, Math.floor(x)));
  const { shown, touching } = columns(intervals, view, width);
  return { index: shown[column], count: touching[column] };
}

/**
 * The next interval in a direction that is worth a look (not merely running).
 * @param {Interval[]} intervals
 * @param {number} from index, or −1
 * @param {1 | -1} step
 */
export function neighbour(intervals, from, step) {
  for (let index = from + step; index >= 0 && index < intervals.length; index += step) {
    if (intervals[index][2] !== "running") return index;
  }
  return from;
}

const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/**
 * Times of the axis, at round local times of the plant, at least 64 px apart.
 * @param {number} start ms since 1970
 * @param {number} end
 * @param {number} width
 * @param {(at: number) => number} offset ms the plant's wall time is ahead of UTC
 * @returns {{at: number, x: number, day: boolean}[]}
 */
export function ticks(start, end, width, offset) {
  const most = Math.max(2, width / 64);
  const step = (STEPS.find((seconds) => (end - start) / 1000 / seconds <= most) ?? 1209600) * 1000;
  const found = [];
  let local = Math.ceil((start + offset(start)) / step) * step;
  for (;;) {
    const guess = local - offset(start);
    const moment = local - offset(guess); // again: the offset changes twice a year
    if (moment > end) return found;
    if (moment >= start) {
      found.push({ at: moment, x: ((moment - start) / (end - start)) * width, day: local % 86400000 === 0 });
    }
    local += step;
  }
}

/**
 * Zoom around a point and stay inside the data.
 * @param {View} view
 * @param {number} factor below 1 zooms in
 * @param {number} anchor seconds that stay where they are
 * @param {View} whole
 * @returns {View}
 */
export function zoom(view, factor, anchor, whole) {
  const span = Math.min(whole.end - whole.start, Math.max(LONG, (view.end - view.start) * factor));
  const share = (anchor - view.start) / (view.end - view.start);
  return inside({ start: anchor - share * span, end: anchor + (1 - share) * span }, whole);
}

/**
 * @param {View} view
 * @param {number} seconds
 * @param {View} whole
 * @returns {View}
 */
export function pan(view, seconds, whole) {
  return inside({ start: view.start + seconds, end: view.end + seconds }, whole);
}

/**
 * @param {View} view
 * @param {View} whole
 * @returns {View}
 */
function inside(view, whole) {
  const span = view.end - view.start;
  const start = Math.max(whole.start, Math.min(view.start, whole.end - span));
  return { start, end: start + span };
}

/**
 * Index of the first interval that ends after `time`.
 * @param {Interval[]} intervals
 * @param {number} time
 */
function firstAfter(intervals, time) {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (intervals[middle][0] + intervals[middle][1] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
