// flame.js: flame graphs of folded stacks, drawn when first seen. A click widens a frame, the search box marks frames,
// the arrow keys walk from frame to frame. Width is samples; order from left to right means nothing.

const frame_height = 19;
const frames_max = 6000;

function flame_tree(folded) {
  const root = {name: "all", total: 0, self: 0, depth: 0, children: new Map(), parent: null};
  for (const [stack, count] of list(folded)) {
    let node = root;
    root.total += count;
    for (const name of String(stack).split(";")) {
      let child = node.children.get(name);
      if (!child) {
        child = {name, total: 0, self: 0, depth: node.depth + 1, children: new Map(), parent: node};
        node.children.set(name, child);
      }
      child.total += count;
      node = child;
    }
    node.self += count;
  }
  return root;
}

/** Samples by function: those with it on top (self), and those with it anywhere (total). */
function flame_functions(folded) {
  const functions = new Map();
  let samples = 0;
  for (const [stack, count] of list(folded)) {
    const frames = String(stack).split(";");
    samples += count;
    for (const name of new Set(frames)) {
      const seen = functions.get(name) ?? {self: 0, total: 0};
      seen.total += count;
      functions.set(name, seen);
    }
    functions.get(frames[frames.length - 1]).self += count;
  }
  return {functions, samples};
}

const kernel_starts = [
  "sys_",     "do_sys",     "__x64_",     "__sys_",       "ksys_",   "entry_SYSCALL", "asm_",    "irq_",    "__irq",
  "schedule", "__schedule", "do_softirq", "__do_softirq", "do_read", "do_write",      "do_send", "do_recv", "do_epoll",
  "do_futex", "do_iter",    "tcp_",       "__tcp",        "ip_",     "__ip",          "sock_",   "inet_",   "net_",
  "napi_",    "__napi",     "skb_",       "__skb",        "nf_",     "ep_",           "vfs_",    "__dev_",  "dev_",
  "hrtimer_", "futex_",     "page_",      "clear_page",   "copy_to", "copy_from",     "_copy",
];
const runtime_starts = [
  "std::", "__gnu",         "operator new", "operator delete", "__libc", "malloc", "free",
  "mem",   "__mem",         "_int_",        "epoll_",          "write",  "read",   "send",
  "recv",  "clock_gettime", "start_thread", "clone",           "_start",
];

/** Whose frame it is, guessed from its name; only the colour depends on it. */
function frame_kind(name) {
  const begins = (starts) => starts.some((start) => name.startsWith(start));
  if (name.startsWith("[")) return "unknown";
  if (name.endsWith("_[k]") || begins(kernel_starts)) return "kernel";
  return begins(runtime_starts) ? "runtime" : "code";
}
const frame_kinds = [
  ["code", "the server\u2019s code"], ["runtime", "C and C++ runtime"], ["kernel", "kernel"], ["unknown", "unknown"]
];

class Flame {
  constructor(flame) {
    this.flame = flame;
    this.samples = list(flame.folded).reduce((sum, [, count]) => sum + count, 0);
    this.pattern = "";
    this.stage = h("div", {class: "stage flame-stage"});
    this.status = h("p", {class: "flame-status", role: "status"});
    this.reset =
        h("button", {class: "button small", type: "button", disabled: true, on: {click: () => this.zoom(this.root)}},
          "whole profile");
    this.element =
        h("figure", {class: "flame"},
          h("figcaption", {},
            h("div", {class: "chart-title"}, h("h4", {}, `At ${count_text(flame.percent)} % of capacity`),
              h("div", {class: "controls"}, h("span", {class: "muted"}, plural(this.samples, "sample")), this.reset))),
          this.stage, this.status);
    this.redraw = keep_drawn(this.stage, (width) => this.draw(width));
    this.describe(null);
  }

  layout(width) {
    const placed = [];
    const ancestors = [];
    for (let node = this.focus.parent; node; node = node.parent) ancestors.unshift(node);
    for (const node of ancestors) placed.push({node, x: 0, width, above: true});
    const work = [{node: this.focus, x: 0, width}];
    while (work.length && placed.length < frames_max) {
      const place = work.pop();
      placed.push(place);
      let x = place.x;
      const children = [...place.node.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const child of children) {
        const child_width = (child.total / this.focus.total) * width;
        if (child_width >= 0.6) work.push({node: child, x, width: child_width});
        x += child_width;
      }
    }
    return placed;
  }

  draw(width) {
    this.root ??= flame_tree(this.flame.folded);
    this.focus ??= this.root;
    const placed = this.layout(width);
    const depth = placed.reduce((most, place) => Math.max(most, place.node.depth), 0);
    const height = (depth + 1) * frame_height + 2;
    this.places = new Map();
    const svg = s("svg", {
      viewBox: `0 0 ${width} ${height}`,
      height,
      role: "img",
      tabindex: 0,
      class: "flame-graph",
      "aria-label":
          `Flame graph at ${this.flame.percent} percent of capacity. Arrow keys walk, Enter widens, Escape shows all.`
    });
    for (const place of placed) svg.append(this.draw_frame(place, height));
    svg.addEventListener("click", (event) => this.on_frame(event, (node) => this.zoom(node)));
    svg.addEventListener("pointermove", (event) => this.on_frame(event, (node) => this.describe(node)));
    svg.addEventListener("pointerleave", () => this.describe(null));
    svg.addEventListener("keydown", (event) => this.key(event));
    this.svg = svg;
    this.mark();
    return svg;
  }

  draw_frame({node, x, width, above}, height) {
    const y = height - (node.depth + 1) * frame_height;
    const letters = Math.floor((width - 8) / 6.6);
    const group = s(
        "g", {class: `frame ${frame_kind(node.name)} ${above ? "above" : ""}`},
        s("rect", {x: x + 0.4, y, width: Math.max(0.4, width - 0.8), height: frame_height - 1, rx: width > 6 ? 2 : 0}));
    if (letters >= 3) {
      const text = node.name.length > letters ? `${node.name.slice(0, letters - 1)}\u2026` : node.name;
      group.append(s("text", {x: x + 5, y: y + 13}, text));
    }
    group.frame = node;
    this.places.set(node, {group, x, width});
    return group;
  }

  on_frame(event, act) {
    const node = event.target.closest?.("g.frame")?.frame;
    if (node) act(node);
  }

  zoom(node) {
    this.focus = node;
    this.chosen = node;
    this.reset.disabled = node === this.root;
    this.redraw();
    this.describe(node);
  }

  choose(node) {
    if (!node || !this.places.has(node)) return;
    this.places.get(this.chosen)?.group.classList.remove("chosen");
    this.chosen = node;
    this.places.get(node).group.classList.add("chosen");
    this.describe(node);
  }

  key(event) {
    const node = this.chosen ?? this.focus;
    const siblings = node.parent ? [...node.parent.children.values()]
                                       .filter((other) => this.places.has(other))
                                       .sort((a, b) => this.places.get(a).x - this.places.get(b).x) :
                                   [node];
    const widest = [...node.children.values()].sort((a, b) => b.total - a.total)[0];
    const at = siblings.indexOf(node);
    const moves = {ArrowUp: widest, ArrowDown: node.parent, ArrowLeft: siblings[at - 1], ArrowRight: siblings[at + 1]};
    if (event.key === "Enter") this.zoom(node);
    else if (event.key === "Escape") this.zoom(this.root);
    else if (event.key in moves) this.choose(moves[event.key]);
    else return;
    event.preventDefault();
    this.svg.focus();
  }

  describe(node) {
    if (node) {
      this.status.replaceChildren(
          h("code", {}, node.name),
          ` ${share_text(node.total / this.samples)} of all samples (${count_text(node.total)}), ` +
              `${share_text(node.self / this.samples)} in itself (${count_text(node.self)})`);
      return;
    }
    if (!this.pattern) {
      this.status.replaceChildren("Point at a frame to read it, click to widen it.");
      return;
    }
    const hits = list(this.flame.folded)
                     .filter(([stack]) => String(stack).toLowerCase().includes(this.pattern))
                     .reduce((sum, [, count]) => sum + count, 0);
    this.status.replaceChildren(`Found in ${share_text(hits / Math.max(1, this.samples))} of all samples.`);
  }

  search(text) {
    this.pattern = text.trim().toLowerCase();
    this.mark();
    this.describe(null);
  }

  mark() {
    if (!this.places) return;
    for (const [node, place] of this.places) {
      const hit = this.pattern !== "" && node.name.toLowerCase().includes(this.pattern);
      place.group.classList.toggle("hit", hit);
      place.group.classList.toggle("miss", this.pattern !== "" && !hit);
    }
  }
}

function flame_section(flames) {
  const drawn = list(flames)
                    .filter((flame) => list(flame.folded).length)
                    .sort((a, b) => a.percent - b.percent)
                    .map((flame) => new Flame(flame));
  if (drawn.length === 0) return null;
  const box = h("input", {
    type: "search",
    class: "search",
    placeholder: "function name",
    "aria-label": "Mark functions whose name contains",
    spellcheck: "false",
    on: {input: () => drawn.forEach((flame) => flame.search(box.value))}
  });
  const legend =
      frame_kinds.map(([kind, label]) => h("span", {class: "flame-key"}, h("i", {class: `flame-dot ${kind}`}), label));
  return h(
      "div", {},
      h("div", {class: "flame-tools"}, h("label", {}, "Mark ", box), h("div", {class: "flame-legend"}, legend)),
      h("div", {class: drawn.length > 1 ? "two flames" : ""}, drawn.map((flame) => flame.element)),
      top_functions(flames));
}

/** The functions with the most samples in themselves, one column per profile. */
function top_functions(flames) {
  const profiles = list(flames)
                       .map((flame) => ({percent: flame.percent, ...flame_functions(flame.folded)}))
                       .filter((p) => p.samples);
  if (profiles.length === 0) return null;
  profiles.sort((a, b) => a.percent - b.percent);
  const share = (profile, name) => (profile.functions.get(name)?.self ?? 0) / profile.samples;
  const most = (name) => Math.max(...profiles.map((profile) => share(profile, name)));
  const names = [...new Set(profiles.flatMap((profile) => [...profile.functions.keys()]))]
                    .sort((a, b) => most(b) - most(a))
                    .slice(0, 12);
  return table_of({
    caption: "Where the samples were taken, by function (in itself)",
    head: [
      "function", ...profiles.map((profile) => `${profile.percent} %`),
      ...(profiles.length === 2 ? ["change, points"] : [])
    ],
    rows: names.map(
        (name) =>
            [h("code", {class: "function"}, name), ...profiles.map((profile) => share_of(share(profile, name))),
             ...(profiles.length === 2 ?
                     [quantity(signed_points(share(profiles[1], name) - share(profiles[0], name)), "")] :
                     [])])
  });
}

function signed_points(difference) {
  const points = difference * 100;
  if (Math.abs(points) < 0.05) return "0.0";
  return `${points > 0 ? "+" : "\u2212"}${Math.abs(points).toFixed(1)}`;
}
