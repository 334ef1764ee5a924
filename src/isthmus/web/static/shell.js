// What every page does in the browser: load islands when they appear, menus, keys, undo bar.
// @ts-check
import * as live from "./live.js";

/** @type {Record<string, () => Promise<unknown>>} */
const ISLANDS = {
  "state-timeline": () => import("./islands/state-timeline.js"),
  "trend-chart": () => import("./islands/trend-chart.js"),
  "source-browser": () => import("./islands/source-browser.js"),
};

const GO = { o: "overview", l: "live", e: "oee", c: "complete" };
let going = false;

function arrived() {
  for (const [tag, load] of Object.entries(ISLANDS)) {
    if (!customElements.get(tag) && document.querySelector(tag)) void load();
  }
  for (const bar of document.querySelectorAll("[data-expires]:not([data-armed])")) {
    bar.setAttribute("data-armed", "");
    setTimeout(() => bar.remove(), Number(/** @type {HTMLElement} */ (bar).dataset.expires) * 1000);
  }
  live.refresh();
  noticeOrder();
}

/** Rows never move by themselves: say how many would, and let the person decide. */
function noticeOrder() {
  const notice = document.getElementById("order-changed");
  if (!notice) return;
  const moved = [...document.querySelectorAll("[data-normal]")].filter((row) => {
    const kind = /** @type {HTMLElement} */ (row).dataset.kind ?? "";
    const normal = ["running", "slow", "planned", "setup"].includes(kind);
    return normal !== (/** @type {HTMLElement} */ (row).dataset.normal === "1");
  });
  notice.hidden = moved.length === 0;
  const number = notice.querySelector("[data-number]");
  if (number) number.textContent = String(moved.length);
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
  }
});

document.addEventListener("input", (event) => {
  const input = /** @type {HTMLInputElement} */ (event.target);
  const list = input.dataset?.filter && document.querySelector(input.dataset.filter);
  if (!list) return;
  const wanted = input.value.trim().toLowerCase();
  for (const entry of list.children) {
    const text = `${entry.textContent} ${entry.firstElementChild?.getAttribute("title")}`.toLowerCase();
    /** @type {HTMLElement} */ (entry).hidden = Boolean(wanted) && !text.includes(wanted);
  }
});

document.addEventListener("submit", (event) => {
  const { submitter } = /** @type {SubmitEvent} */ (event);
  submitter?.setAttribute("aria-busy", "true");
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("details.menu[open]");
    menu?.removeAttribute("open");
    /** @type {HTMLElement | null | undefined} */ (menu?.querySelector("summary"))?.focus();
    return;
  }
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
  if (document.querySelector("main")?.dataset.shortcuts === "off") return;
  shortcut(event.key);
});

/** @param {string} key */
function shortcut(key) {
  if (going) {
    going = false;
    const page = GO[/** @type {keyof typeof GO} */ (key)];
    if (page) /** @type {HTMLElement | null} */ (document.querySelector(`[data-go="${page}"]`))?.click();
    return;
  }
  if (key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
    return;
  }
  /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`))?.click();
}

document.addEventListener("htmx:after:swap", arrived);
live.onFrame(noticeOrder);
live.start();
arrived();
