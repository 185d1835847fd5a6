// The page of the split screen: shows what /demo/state says, four times a second, and posts what is changed. It keeps a
// minute of samples and invents nothing: where a number is missing, so is the line.
"use strict";

const find = (id) => document.getElementById(id);
const sides = ["left", "right"];
const factors = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const switches = ["retrying", "hurried", "slow_readers", "stalled"];
const kept = 240;
const poll_ms = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 250;

let facts = { capacity_per_s: 800, in_time_ms: 300, patience_ms: 2000, database_connections: 16, window_ms: 250 };
let settings = { factor: 0.7 };
let ready = {};
let samples = [];
let complaint = "";  // why the last change was refused
let touched = -Infinity;  // when a control was last used: until the server has heard of it, the page is right

// ---- words and numbers

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const whole = (number) => grouped.format(number);
const time = (ms) => ms < 1000 ? whole(ms) + " ms" : tenths.format(ms / 1000) + " s";
const seconds = (s) => s < 1.5 ? "a second" : s < 90 ? whole(s) + " s" : whole(s / 60) + " minutes";
const mean = (of) => (list) => list.length ? list.reduce((sum, item) => sum + of(item), 0) / list.length : 0;

/** What a side did in the last second. */
function lately(side) {
  const last = samples.slice(-4), rate = (of) => mean((sample) => of(sample[side]))(last);
  const newest = last.at(-1), refused = (reason) => rate((one) => one.refused[reason]);
  return {
    offered: mean((sample) => sample.offered)(last), patience: newest.patience_ms,
    good: rate((one) => one.good), late: rate((one) => one.late), gave_up: rate((one) => one.gave_up),
    s503: rate((one) => one.s503), s504: rate((one) => one.s504), other: rate((one) => one.other),
    for_nobody: rate((one) => one.for_nobody), asked: last.some((sample) => sample[side].asked),
    infeasible: refused("infeasible"), queue_full: refused("queue_full"), made_room: refused("made_room"),
    expired: refused("expired"), refused_otherwise: refused("other"),
    p50: newest[side].p50_ms, p99: newest[side].p99_ms, waiting: newest[side].waiting,
    in_flight: newest[side].in_flight, zombies: newest[side].zombies,
  };
}

function left_words(now) {
  const wait_s = now.waiting / facts.capacity_per_s, spare = facts.capacity_per_s - now.offered;
  const line = `${whole(now.waiting)} requests wait in line`;
  if (settings.stalled && now.in_flight === facts.database_connections) {
    return `Every thread hangs in the database. ${line}, and nobody is told. It still says it is ready.`;
  }
  if (now.offered === 0) return "There is no load.";
  if (wait_s * 1000 < facts.in_time_ms / 2 && now.good > 0.9 * now.offered) return "Everybody is answered in time.";
  if (now.waiting > facts.database_connections && now.in_flight < facts.database_connections / 2) {
    return `${line}, while the database has little to do: the threads are busy with sending answers to clients that read slowly.`;
  }
  if (now.for_nobody > now.good) {
    const gone = `The newest comes up in ${seconds(wait_s)}, and clients leave after ${time(now.patience)}: ` +
      `${whole(now.for_nobody)} queries a second are for nobody.`;
    if (spare <= 0) return `${line}. ${gone}`;
    return `The load is normal again, this server is not. ${line}, left over from before; at this load it needs ` +
      `${seconds(now.waiting / spare)} to get through them. Nearly every query is for a client that has left.`;
  }
  if (now.good < 0.5 * Math.min(now.offered, facts.capacity_per_s)) {
    return `${line}, the newest for ${seconds(wait_s)}. It works as hard as it can, and hardly any answer comes in time.`;
  }
  return `The queue grows: ${line}. The newest will be answered in ${time(wait_s * 1000)}.`;
}

function right_words(now) {
  const refused = `${whole(now.s503)} a second are refused at once, before any work was done: 503, try again later.`;
  if (settings.stalled && now.in_flight === facts.database_connections) {
    const not_ready = ready.right && !ready.right.ready ? " It says that it is not ready, so that a balancer goes elsewhere." : "";
    return `Every permit hangs in the database. ${whole(now.s503)} a second are refused at once instead of kept waiting.${not_ready}`;
  }
  if (now.offered === 0) return "There is no load.";
  if (now.s503 + now.s504 > 0.02 * now.offered) {
    return `It does ${whole(now.good)} a second, about what the database can. ${refused}`;
  }
  return now.good > 0.9 * now.offered ? "Everybody is answered in time." : "It is catching up.";
}

const numbers = [
  ["good", "answered in time a second", (now) => whole(now.good), (now) => `of ${whole(now.offered)}`,
    (now) => now.good < 0.5 * Math.min(now.offered, facts.capacity_per_s)],
  ["p99", "99 % of answers came within", (now) => latency(now, now.p99), () => "", (now) => now.asked && (now.p99 === null || now.p99 > facts.in_time_ms)],
  ["waiting", "waiting in its queue", (now) => whole(now.waiting), () => "", (now) => now.waiting > facts.capacity_per_s],
  ["zombies", "zombies, of 16 queries", (now) => whole(now.zombies), () => "", (now) => now.zombies > 0],
];
function latency(now, ms) {
  if (ms !== null) return time(ms);
  return now.asked ? "> " + time(now.patience) : "–";
}

const figures = [
  ["Asked for", (now) => whole(now.offered)], ["Answered in time", (now) => whole(now.good)],
  ["Answered too late", (now) => whole(now.late)], ["Gave up waiting", (now) => whole(now.gave_up)],
  ["Refused, 503", (now) => whole(now.s503)], ["– could not have started in time", (now) => whole(now.infeasible)],
  ["– the queue was full", (now) => whole(now.queue_full)], ["– made room for a newer one", (now) => whole(now.made_room)],
  ["– waited too long in the queue", (now) => whole(now.expired)], ["– other reasons", (now) => whole(now.refused_otherwise)],
  ["Out of time, 504", (now) => whole(now.s504)], ["Other failures", (now) => whole(now.other)],
  ["Half are answered within", (now) => latency(now, now.p50)], ["99 % are answered within", (now) => latency(now, now.p99)],
  ["Waiting in the queue", (now) => whole(now.waiting)], ["Queries under way", (now) => whole(now.in_flight)],
  ["Zombies among them", (now) => whole(now.zombies)], ["Queries that ended for nobody", (now) => whole(now.for_nobody)],
];

// ---- charts: both sides' have the same axes

const svg = (name, attributes = {}, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

/** The least of 1, 2, 3, 5 times a power of ten that is not below `value`. */
function round_up(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((digit) => digit * power).find((step) => step >= value);
}
const short = (value) => value >= 1000 ? value / 1000 + "k" : String(value);
const highest = (list) => samples.reduce((most, sample) => Math.max(most, ...sides.flatMap((side) => list(sample[side]))), 0);
const linear = (top) => ({ top, at: (value) => Math.min(1, value / top), grid: [0, top / 2, top], label: short });
const shown_latency = (sample, ms, one) => ms !== null ? ms : one.asked ? sample.patience_ms : null;

const charts = [
  { id: "good", title: "Answered in time, per second",
    scale: () => linear(1000), marks: () => [[facts.capacity_per_s, "capacity"]],
    lines: [["offered", "asked for", (one, sample) => sample.offered], ["own", "answered in time", (one) => one.good]] },
  { id: "latency", title: "Latency",
    scale: () => ({ at: (ms) => Math.min(1, Math.max(0, Math.log10(Math.max(ms, 1) / 10) / 3)), grid: [10, 100, 1000, 10000], label: time }),
    marks: () => [[facts.in_time_ms, "in time"]],
    lines: [["own-soft", "half within", (one, sample) => shown_latency(sample, one.p50_ms, one)],
      ["own", "99 % within", (one, sample) => shown_latency(sample, one.p99_ms, one)]] },
  { id: "waiting", title: "Waiting in the queue",
    scale: () => linear(round_up(Math.max(100, highest((one) => [one.waiting])))), marks: () => [],
    lines: [["own", "requests", (one) => one.waiting]] },
  { id: "lost", title: "Refused and lost, per second",
    scale: () => linear(round_up(Math.max(500, highest((one) => [gate(one), queue(one), one.gave_up, one.for_nobody])))),
    marks: () => [],
    lines: [["s1", "refused at the gate", (one) => gate(one)], ["s2", "refused in the queue", (one) => queue(one)],
      ["s3", "gave up", (one) => one.gave_up], ["s4", "queries for nobody", (one) => one.for_nobody]] },
];
const gate = (one) => one.refused.infeasible + one.refused.queue_full + one.refused.other;
const queue = (one) => one.refused.made_room + one.refused.expired;

function path(line, scale, side, box) {
  let text = "", down = false;
  const from = samples.length ? samples.at(-1).number - kept + 1 : 0;
  for (const sample of samples) {
    const value = line(sample[side], sample);
    if (value === null) { down = false; continue; }
    const x = box.x + (sample.number - from) / (kept - 1) * box.width, y = box.y + (1 - scale.at(value)) * box.height;
    text += `${down ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    down = true;
  }
  return text;
}

function draw(chart, side, scale) {
  const paper = find(`${side}-chart-${chart.id}`), width = paper.clientWidth, height = paper.clientHeight;
  if (!width) return;
  const box = { x: 46, y: 8, width: width - 54, height: height - 26 };
  const level = (value) => box.y + (1 - scale.at(value)) * box.height;
  const rule = (value, kind) => svg("line", { class: kind, x1: box.x, x2: box.x + box.width, y1: level(value), y2: level(value) });
  const parts = [];
  for (const value of scale.grid) {
    parts.push(rule(value, "grid"));
    parts.push(svg("text", { x: box.x - 6, y: level(value) + 4, "text-anchor": "end" }, scale.label(value)));
  }
  for (const [value, name] of chart.marks()) {
    parts.push(rule(value, "mark"), svg("text", { x: box.x + 4, y: level(value) - 4 }, name));
  }
  const minute = (kept * facts.window_ms) / 1000;
  parts.push(svg("text", { x: box.x, y: height - 2 }, `${minute} s ago`));
  parts.push(svg("text", { x: box.x + box.width, y: height - 2, "text-anchor": "end" }, "now"));
  for (const [kind, , line] of chart.lines) parts.push(svg("path", { class: "line " + kind, d: path(line, scale, side, box) }));
  paper.replaceChildren(...parts);
}

// ---- the page

function build() {
  for (const [index, factor] of factors.entries()) {
    find("marks").append(Object.assign(document.createElement("option"), { value: index }));
    if (![0.5, 1, 2, 3, 5, 10].includes(factor)) continue;
    const tick = document.createElement("span");
    tick.textContent = factor + "×";
    tick.style.left = (100 * index) / (factors.length - 1) + "%";
    find("ticks").append(tick);
  }
  for (const side of sides) {
    for (const [id, name] of numbers) {
      const group = document.createElement("div"), value = document.createElement("dd"), term = document.createElement("dt");
      value.id = `${side}-${id}`;
      value.textContent = "–";
      term.textContent = name;
      group.append(term, value);
      find(side + "-numbers").append(group);
    }
    const name = find(side + "-name").textContent;
    for (const [place, chart] of charts.entries()) {
      const figure = document.createElement("figure"), title = document.createElement("figcaption");
      const heading = document.createElement("b"), whose = document.createElement("span");
      figure.className = "place" + place;
      whose.className = "whose";
      whose.textContent = name + ": ";
      heading.append(whose, chart.title);
      title.append(heading);
      for (const [kind, label] of chart.lines) {
        const key = document.createElement("span"), sample = svg("svg", { "aria-hidden": "true" });
        key.className = "key";
        sample.append(svg("line", { class: "line " + kind, x1: 1, x2: 20, y1: 4, y2: 4 }));
        key.append(sample, label);
        title.append(key);
      }
      const paper = svg("svg", { class: "chart", id: `${side}-chart-${chart.id}`, role: "img",
        "aria-label": `${chart.title}, ${name}, the last minute; its newest figures are in the table below` });
      figure.append(title, paper);
      find(side + "-charts").append(figure);
    }
  }
  for (const [name] of figures) {
    const row = find("figures").insertRow(), head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    row.insertCell();
    row.insertCell();
  }
}

function show_settings() {
  const nearest = factors.reduce((best, factor, index) =>
    Math.abs(factor - settings.factor) < Math.abs(factors[best] - settings.factor) ? index : best, 0);
  find("factor").value = nearest;
  for (const name of switches) find(name).checked = settings[name];
  show_factor(settings.factor);
}

function show_factor(factor) {
  const text = `${factor} × capacity: ${whole(factor * facts.capacity_per_s)} requests a second`;
  write("factor-text", text);
  find("factor").setAttribute("aria-valuetext", text);
}

// For ears: when the words change, not with every figure in them, and never more often than every five seconds.
let spoken = "", spoken_at = -Infinity;
function speak(text) {
  const words = text.replace(/[\d.,]+/g, "");
  if (words === spoken || performance.now() - spoken_at < 5000) return;
  spoken = words;
  spoken_at = performance.now();
  find("summary").textContent = text;
}

function show() {
  if (!samples.length) return;
  const words = { left: left_words, right: right_words };
  const said = sides.map((side) => {
    const now = lately(side), text = words[side](now);
    find(side + "-words").textContent = text;
    for (const [id, , value, beside, bad] of numbers) {
      const place = find(`${side}-${id}`), more = document.createElement("small");
      more.textContent = beside(now) ? " " + beside(now) : "";
      place.replaceChildren(value(now), more);
      place.classList.toggle("bad", bad(now));
      place.dataset.value = now[id] === null ? "" : now[id];
    }
    find(side).dataset.refused = now.s503;
    find(side).dataset.offered = now.offered;
    const is_ready = !ready[side] || ready[side].ready;
    find(side + "-ready").textContent = is_ready ? "says: ready" : "says: not ready";
    find(side + "-ready").title = is_ready ? "" : ready[side].reason;
    find(side + "-ready").classList.toggle("not", !is_ready);
    figures.forEach(([, figure], row) => { find("figures").rows[row].cells[side === "left" ? 1 : 2].textContent = figure(now); });
    return find(side + "-name").textContent + ": " + text;
  });
  speak(said.join(" "));
  for (const chart of charts) {
    const scale = chart.scale();
    for (const side of sides) draw(chart, side, scale);
  }
}

/** Only what is new: what is written again may be read out again. */
function write(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

const tell = (text) => write("note", text);

async function look() {
  const after = samples.length ? samples.at(-1).number : -1;
  const asked_at = performance.now();
  const answer = await fetch("/demo/state?after=" + after, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(answer.statusText);
  const state = await answer.json();
  facts = state.facts;
  ready = state.ready;
  if (state.samples.length && state.samples[0].number <= after) samples = [];  // the server is another one
  samples = samples.concat(state.samples).slice(-kept);
  if (asked_at > touched + 300) {
    settings = state.settings;
    show_settings();
  }
  tell(state.load_ended ? "The load has ended; start the demo again." : complaint || state.note);
  show();
}

async function watch() {
  try {
    if (!document.hidden) await look();
  } catch { tell("The server does not answer."); }
  setTimeout(watch, poll_ms);
}

// One after the other, so that the last word is the last one the server hears.
let posts = Promise.resolve();
function post(address, body) {
  touched = performance.now();
  posts = posts.then(async () => {
    const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    touched = performance.now();
    complaint = answer.ok ? "" : (await answer.json()).detail || answer.statusText;
    if (complaint) tell(complaint);
  }).catch(() => tell("The server does not answer."));
  return posts;
}

let due;
find("factor").addEventListener("input", () => {
  settings.factor = factors[find("factor").value];
  touched = performance.now();
  show_factor(settings.factor);
  clearTimeout(due);
  due = setTimeout(() => post("/demo/set", { factor: settings.factor }), 100);
});
for (const name of switches) {
  find(name).addEventListener("change", () => {
    settings[name] = find(name).checked;
    post("/demo/set", { [name]: settings[name] });
  });
}
find("normal").addEventListener("click", () => {
  clearTimeout(due);
  settings = { factor: facts.factor_usual || 0.7, retrying: false, hurried: false, slow_readers: false, stalled: false };
  show_settings();
  post("/demo/set", settings);
});
find("restart").addEventListener("click", () => post("/demo/restart", {}));
find("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("resize", show);

build();
watch();
