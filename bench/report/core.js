// core.js: what every part of the page is built with: elements, numbers as text, scales, the theme.
// Strings from the report become text nodes or plain attributes here; no part of the page parses them as markup.

const svg_namespace = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    } else if (key === "style") {
      for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    } else {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(svg_namespace, tag), attributes, children);

let last_id = 0;
const fresh_id = (stem) => `${stem}-${++last_id}`;

// ------------------------------------------------------------------------------------------------- numbers as text

const is_number = (value) => typeof value === "number" && Number.isFinite(value);
const list = (value) => (Array.isArray(value) ? value : []);
const grouped = (value, digits) =>
    value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});

/** Three significant digits below 1000, whole numbers above. */
function figure_text(value) {
  const size = Math.abs(value);
  if (size === 0 || size >= 99.95) return grouped(value, 0);
  return grouped(value, size >= 9.995 ? 1 : 2);
}

/** A quantity is a number and its unit, both text, so that tables can align them. */
const quantity = (number, unit) => ({number, unit});
const quantity_text = (q) => (q.unit ? `${q.number}\u202f${q.unit}` : q.number);
const nothing = quantity("\u2013", "");

function time_of(us) {
  if (!is_number(us)) return nothing;
  if (us < 999.5) return quantity(us >= 9.95 || us === 0 ? grouped(us, 0) : grouped(us, 1), "\u00b5s");
  if (us < 999500) return quantity(figure_text(us / 1000), "ms");
  return quantity(figure_text(us / 1e6), "s");
}
const time_text = (us) => quantity_text(time_of(us));
const seconds_text = (seconds) => (is_number(seconds) ? time_text(seconds * 1e6) : "\u2013");
const count_text = (value) => (is_number(value) ? grouped(value, 0) : "\u2013");

function rate_of(rps) {
  if (!is_number(rps)) return nothing;
  return quantity(rps >= 99.95 || rps === 0 ? grouped(rps, 0) : figure_text(rps), "/s");
}
const rate_text = (rps) => quantity_text(rate_of(rps));

function share_of(ratio) {
  if (!is_number(ratio)) return nothing;
  const percent = ratio * 100;
  if (percent === 0 || percent === 100) return quantity(grouped(percent, 0), "%");
  if (percent < 0.001) return quantity("< 0.001", "%");
  if (percent > 99.999 && percent < 100) return quantity("> 99.999", "%");
  let digits = 1;
  if (percent < 0.1 || percent > 99.985) digits = 3;
  else if (percent < 10 || percent > 99) digits = 2;
  return quantity(grouped(percent, digits), "%");
}
const share_text = (ratio) => quantity_text(share_of(ratio));

function bytes_of(bytes) {
  if (!is_number(bytes)) return nothing;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (bytes >= 1023.5 && power + 1 < units.length) {
    bytes /= 1024;
    ++power;
  }
  return quantity(power === 0 ? grouped(bytes, 0) : figure_text(bytes), units[power]);
}
const bytes_text = (bytes) => quantity_text(bytes_of(bytes));

/** 0.999 as "99.9 %", with no more digits than it has. */
function quantile_text(quantile) {
  if (quantile >= 1) return "max";
  const nines = Math.max(0, Math.ceil(-Math.log10(1 - quantile) - 1e-9) - 1);
  return `${Number((quantile * 100).toFixed(Math.min(7, nines + (quantile < 0.9 ? 1 : 0))))}\u202f%`;
}
const percentile_names = ["p50", "p75", "p90", "p99", "p999", "p9999", "p99999", "max"];
const percentile_labels = {
  p50: "p50",
  p75: "p75",
  p90: "p90",
  p99: "p99",
  p999: "p99.9",
  p9999: "p99.99",
  p99999: "p99.999",
  max: "max",
  mean: "mean",
};

/** A wall is given in percent; null if there is none. */
function wall_quantile(shape) {
  const wall = shape?.wall_percentile;
  if (!is_number(wall) || wall <= 0) return null;
  return Math.min(wall > 1 ? wall / 100 : wall, 1 - 1e-9);
}

const plural = (count, one, many) => `${count_text(count)} ${count === 1 ? one : many ?? `${one}s`}`;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// ---------------------------------------------------------------------------------------------------------- scales

/** Ticks at 1, 2 or 5 times a power of ten, at most `count` of them. */
function even_ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw * 0.999) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    ticks.push(i * step + 0);  // + 0: no minus zero
  return ticks;
}

function linear_scale(domain, range) {
  const [low, high] = domain[0] === domain[1] ? [domain[0], domain[0] + 1] : domain;
  const factor = (range[1] - range[0]) / (high - low);
  return {
    domain: [low, high],
    at: (value) => range[0] + (value - low) * factor,
    back: (pixel) => low + (pixel - range[0]) / factor,
    ticks: (count) => even_ticks(low, high, count).map((value) => ({value, major: true})),
  };
}

function log_scale(domain, range) {
  const low = Math.log10(Math.max(domain[0], 1e-9));
  const high = Math.max(Math.log10(Math.max(domain[1], 1e-9)), low + 0.3);
  const factor = (range[1] - range[0]) / (high - low);
  return {
    domain: [10 ** low, 10 ** high],
    at: (value) => range[0] + (Math.log10(Math.max(value, 1e-9)) - low) * factor,
    back: (pixel) => 10 ** (low + (pixel - range[0]) / factor),
    ticks: (count) => {
      const decades = high - low;
      const steps = decades < 1.3 ? [1, 2, 3, 5] : decades * 2.2 <= count + 2 ? [1, 2, 5] : [1];
      const every = Math.max(1, Math.ceil(decades / Math.max(2, count)));
      const ticks = [];
      for (let power = Math.floor(low); power <= Math.ceil(high); ++power) {
        for (const m of [1, 2, 3, 5]) {
          const value = m * 10 ** power;
          if (Math.log10(value) < low - 1e-9 || Math.log10(value) > high + 1e-9) continue;
          const major = steps.includes(m) && (steps.length > 1 || power % every === 0);
          if (major || m === 1) ticks.push({value, major});
        }
      }
      return ticks;
    },
  };
}

/** 0 %, 90 %, 99 %, ... at even distances: each nine takes as much room as the one before. */
function nines_scale(domain, range) {
  const nines = (quantile) => -Math.log10(Math.max(1e-12, 1 - quantile));
  const low = nines(domain[0]);
  const high = Math.max(nines(domain[1]), low + 0.5);
  const factor = (range[1] - range[0]) / (high - low);
  return {
    domain,
    at: (quantile) => range[0] + (nines(quantile) - low) * factor,
    back: (pixel) => 1 - 10 ** -(low + (pixel - range[0]) / factor),
    ticks: (count) => {
      const all = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.9999999];
      const inside = all.filter((q) => nines(q) >= low - 1e-9 && nines(q) <= high + 1e-9);
      const room = inside.length <= count + 1;
      return inside.map((value) => ({value, major: room || value !== 0.5}));
    },
  };
}
const scale_kinds = {
  linear: linear_scale,
  log: log_scale,
  nines: nines_scale
};

/** The domain of positive values for a logarithmic axis, with a little air. */
function log_domain(values) {
  const positive = values.filter((value) => is_number(value) && value > 0);
  if (positive.length === 0) return [1, 10];
  return [positive.reduce((a, b) => Math.min(a, b)) / 1.25, positive.reduce((a, b) => Math.max(a, b)) * 1.35];
}

// ------------------------------------------------------------------------------------------------ outcomes, colours

const outcomes = [
  {key: "2xx", words: "answered as asked", pattern: ""},
  {key: "429", words: "limited by the server", pattern: "dots"},
  {key: "503", words: "refused by the server", pattern: "rising"},
  {key: "504", words: "timed out in the server", pattern: "falling"},
  {key: "other", words: "any other status", pattern: "level"},
  {key: "broken", words: "connection ended or no HTTP", pattern: "cross"},
  {key: "connect_error", words: "no connection could be made", pattern: "upright"},
  {key: "gave_up", words: "the client left, as asked", pattern: "rings"},
  {key: "unanswered", words: "still waiting at the end", pattern: "dense"},
].map((outcome) => ({...outcome, label: outcome.key.replace("_", " "), color: `var(--o-${outcome.key})`}));
const outcome_of = (key) => outcomes.find((outcome) => outcome.key === key) ?? {key, label: key, color: "var(--muted)"};

const line_colors = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `var(--l-${n})`);
const line_dashes = ["", "7 3", "2 3", "9 3 2 3", "4 4", "12 4", "1 4", "8 3 2 3 2 3"];
const marker_shapes = ["circle", "square", "triangle", "diamond"];

/** The hatches that tell areas apart without colour; drawn once, used by every chart. */
function hatch_definitions() {
  const pattern = (name, size, ...shapes) =>
      s("pattern", {id: `hatch-${name}`, width: size, height: size, patternUnits: "userSpaceOnUse", class: "hatch"},
        shapes);
  const path = (d) => s("path", {d});
  return s(
      "svg", {class: "definitions", width: 0, height: 0, "aria-hidden": "true"},
      s(
          "defs",
          {},
          pattern("rising", 6, path("M-1 7L7 -1M-1 1L1 -1M5 7L7 5")),
          pattern("falling", 6, path("M-1 -1L7 7M5 -1L7 1M-1 5L1 7")),
          pattern("cross", 6, path("M-1 7L7 -1M-1 -1L7 7")),
          pattern("level", 5, path("M0 2.5H5")),
          pattern("upright", 5, path("M2.5 0V5")),
          pattern("dense", 3, path("M0 1.5H3M1.5 0V3")),
          pattern("dots", 6, s("circle", {cx: 3, cy: 3, r: 1.3, class: "hatch-dot"})),
          pattern("rings", 8, s("circle", {cx: 4, cy: 4, r: 2.2})),
          s("pattern",
            {id: "hatch-silence", width: 8, height: 8, patternUnits: "userSpaceOnUse", class: "hatch-silence"},
            path("M-1 9L9 -1M-1 1L1 -1M7 9L9 7")),
          s("pattern", {id: "hatch-stall", width: 8, height: 8, patternUnits: "userSpaceOnUse", class: "hatch-stall"},
            path("M-1 -1L9 9M7 -1L9 1M-1 7L1 9")),
          ));
}

/** A square of an outcome's colour and hatch. */
function swatch(color, pattern) {
  return s(
      "svg", {class: "swatch", width: 14, height: 14, "aria-hidden": "true"},
      s("rect", {x: 1, y: 1, width: 12, height: 12, rx: 2.5, style: {fill: color}}),
      pattern ? s("rect", {x: 1, y: 1, width: 12, height: 12, rx: 2.5, style: {fill: `url(#hatch-${pattern})`}}) :
                null);
}

// ------------------------------------------------------------------------------------------------------------ theme

const themes = ["auto", "light", "dark"];
let theme = "auto";

const prefers_dark = matchMedia("(prefers-color-scheme: dark)");

function show_theme() {
  const dark = theme === "dark" || (theme === "auto" && prefers_dark.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
function apply_theme(next) {
  theme = themes.includes(next) ? next : "auto";
  show_theme();
}
prefers_dark.addEventListener("change", show_theme);

function stored_theme() {
  const asked = /[?&]theme=(light|dark)/.exec(location.search);
  if (asked) return asked[1];
  try {
    return localStorage.getItem("sluice-load-theme") ?? "auto";
  } catch {
    return "auto";  // some browsers keep nothing for pages opened from a file
  }
}

function theme_button() {
  const label = () => `Theme: ${theme}`;
  const button =
      h("button", {
        class: "button quiet",
        type: "button",
        on: {
          click: () => {
            apply_theme(themes[(themes.indexOf(theme) + 1) % themes.length]);
            button.textContent = label();
            try {
              localStorage.setItem("sluice-load-theme", theme);
            } catch {
              // see stored_theme()
            }
          }
        }
      },
        label());
  return button;
}
