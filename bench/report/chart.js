// chart.js: one chart with axes, guides, bands, a legend of buttons and a cursor that reads values. Every diagram of
// the page but the flame graphs is one of these. It redraws itself when its width changes, and only while it is shown.

/** Charts on one time axis share a bus: where one is read, the others show the same moment. */
function cursor_bus() {
  const members = [];
  return {
    join: (show) => members.push(show),
    show: (x, from) => members.forEach((show) => show(x, from)),
  };
}

const near_room = 90;  // a label beside the end of its line needs that much before the right edge
const pending_charts = new Set();

/** Draws what is shown and not drawn yet, without waiting for the browser's next frame; forgets what is gone. */
function draw_pending() {
  for (const draw of pending_charts) {
    if (!draw()) pending_charts.delete(draw);
  }
}

/** Draws `draw(width)` into `host` now or when it is first seen, and again when its width changes. */
function keep_drawn(host, draw) {
  let drawn_width = 0;
  const redraw = (force) => {
    const width = Math.floor(host.clientWidth);
    if (width < 40 || (!force && Math.abs(width - drawn_width) < 2)) return;
    drawn_width = width;
    host.replaceChildren(draw(width));
  };
  new ResizeObserver(() => requestAnimationFrame(() => redraw(false))).observe(host);
  pending_charts.add(() => {
    redraw(false);
    return drawn_width === 0 || host.isConnected;
  });
  return () => redraw(true);
}

function marker(shape, x, y, size, attributes) {
  const r = size;
  const paths = {
    circle: `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${- 2 * r} 0`,
    square: `M${x - r} ${y - r}h${2 * r}v${2 * r}h${- 2 * r}z`,
    triangle: `M${x} ${y - r * 1.2}L${x + r * 1.15} ${y + r * 0.9}H${x - r * 1.15}z`,
    diamond: `M${x} ${y - r * 1.3}L${x + r * 1.3} ${y}L${x} ${y + r * 1.3}L${x - r * 1.3} ${y}z`,
    cross: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`,
  };
  return s("path", {d: paths[shape] ?? paths.circle, ...attributes});
}

function line_sample(series) {
  const y = 7;
  return s(
      "svg", {class: "sample", width: 30, height: 14, "aria-hidden": "true"},
      s("path",
        {d: `M1 ${y}H29`, class: "line", style: {stroke: series.color, "stroke-dasharray": series.dash || "none"}}),
      series.marker ? marker(series.marker, 15, y, 3.5, {style: {fill: series.color}}) : null);
}

class Chart {
  /** `spec`: title, note, label (for those who cannot see it), height, x and y: {kind, title, domain, format, ticks},
      series: [{id, label, color, dash, marker, points: [[x, y]], faint_after, marks}], guides, bands, bus, stops. */
  constructor(spec) {
    this.spec = {height: 280, guides: [], bands: [], legend: true, ...spec};
    this.hidden =
        this.spec.hidden ?? new Set(this.spec.series.filter((series) => series.hidden).map((series) => series.id));
    this.y_kind = this.spec.y.kind;
    this.stage = h("div", {class: "stage"});
    this.tip = h("div", {class: "tip", hidden: true, role: "status"});
    this.body = h("div", {class: "chart-body"}, this.stage, this.tip);
    this.element =
        h("figure", {class: `chart ${this.spec.class ?? ""}`}, this.head(), this.body,
          this.spec.note ? h("p", {class: "note"}, this.spec.note) : null);
    this.redraw = keep_drawn(this.stage, (width) => this.draw(width));
    this.spec.bus?.join((x, from) => {
      if (from !== this) this.move_line(x);
    });
  }

  /** A line that follows another is shown when that one is. */
  visible() { return this.spec.series.filter((series) => !this.hidden.has(series.follows ?? series.id)); }

  head() {
    const controls = h("div", {class: "controls"}, list(this.spec.controls));
    if (this.spec.y.switch) controls.append(this.scale_switch());
    const legend = this.spec.legend && this.spec.series.length > 0 ?
        h("div", {class: "legend", role: "group", "aria-label": `Lines of: ${this.spec.title}`},
          this.spec.series.filter((series) => series.key !== false).map((series) => this.legend_button(series))) :
        null;
    return h("figcaption", {}, h("div", {class: "chart-title"}, h("h4", {}, this.spec.title), controls), legend);
  }

  legend_button(series) {
    const button =
        h("button", {
          class: "key",
          type: "button",
          "aria-pressed": String(!this.hidden.has(series.id)),
          on: {
            click: () => {
              if (this.hidden.has(series.id)) this.hidden.delete(series.id);
              else this.hidden.add(series.id);
              button.setAttribute("aria-pressed", String(!this.hidden.has(series.id)));
              this.redraw();
            }
          }
        },
          this.spec.stacked && !series.line ? swatch(series.color, series.pattern) : line_sample(series),
          h("span", {}, series.label));
    return button;
  }

  scale_switch() {
    const button =
        h("button", {
          class: "button small",
          type: "button",
          "aria-pressed": String(this.y_kind === "log"),
          on: {
            click: () => {
              this.y_kind = this.y_kind === "log" ? "linear" : "log";
              button.setAttribute("aria-pressed", String(this.y_kind === "log"));
              this.redraw();
            }
          }
        },
          "log scale");
    return button;
  }

  // ------------------------------------------------------------------------------------------------------ drawing

  draw(width) {
    const {spec} = this;
    const narrow = width < 520;
    const named = spec.end_labels && !narrow;
    const margin = {
      left: narrow && spec.y.kind !== "nines" ? 50 : 62,
      right: named ? spec.end_room ?? 96 : 16,
      top: 26,
      bottom: spec.x.title ? 44 : 24
    };
    this.box = {x0: margin.left, x1: width - margin.right, y0: margin.top, y1: spec.height - margin.bottom};
    const visible = this.visible();
    this.stack = spec.stacked ? this.stacked(visible) : null;
    this.x = scale_kinds[spec.x.kind](spec.x.domain ?? this.x_domain(visible), [this.box.x0, this.box.x1]);
    this.y = scale_kinds[this.y_kind](this.y_domain(visible), [this.box.y1, this.box.y0]);
    const clip = fresh_id("clip");
    const {x0, x1, y0, y1} = this.box;
    const svg = s(
        "svg", {
          viewBox: `0 0 ${width} ${spec.height}`,
          height: spec.height,
          role: "img",
          tabindex: 0,
          "aria-label": `${spec.title}. ${spec.label ?? ""} Arrow keys read values.`
        },
        s("defs", {},
          s("clipPath", {id: clip}, s("rect", {x: x0, y: y0 - 1, width: Math.max(0, x1 - x0), height: y1 - y0 + 2}))));
    svg.append(this.draw_axes(narrow));
    const marks = s("g", {"clip-path": `url(#${clip})`});
    if (this.stack) marks.append(this.draw_stack());
    for (const series of visible)
      if (!this.stack || series.line) marks.append(this.draw_line(series));
    svg.append(marks, this.draw_bands(), this.draw_guides(narrow));
    for (const series of visible) svg.append(this.draw_marks(series));
    if (named) svg.append(this.draw_end_labels(visible));
    this.cursor = s("g", {class: "cursor", visibility: "hidden"});
    svg.append(this.cursor);
    this.listen(svg, width);
    return svg;
  }

  x_domain(visible) {
    const all = (visible.length ? visible : this.spec.series).flatMap((series) => series.points.map((p) => p[0]));
    if (all.length === 0) return [0, 1];
    const low = this.spec.x.from ?? all.reduce((a, b) => Math.min(a, b));
    return [low, all.reduce((a, b) => Math.max(a, b)) * (this.spec.x.air ?? 1)];
  }

  y_domain(visible) {
    const {y} = this.spec;
    if (y.domain) return y.domain;
    const lines = visible.filter((series) => !this.stack || series.line);
    const all = lines.flatMap((series) => series.points.map((point) => point[1])).filter(is_number);
    if (this.stack) all.push(...this.stack.flatMap((layer) => layer.rows.map((row) => row[2])));
    all.push(...list(y.include));
    const top = all.length ? all.reduce((a, b) => Math.max(a, b)) : 0;
    if (this.y_kind === "log") return log_domain(all);
    return [y.from ?? 0, (top || 1) * 1.08];
  }

  stacked(visible) {
    const sums = new Map();
    return visible.filter((series) => !series.line).map((series) => ({
                                                          series,
                                                          rows: series.points.map(([x, y]) => {
                                                            const below = sums.get(x) ?? 0;
                                                            sums.set(x, below + y);
                                                            return [x, below, below + y];
                                                          })
                                                        }));
  }

  draw_axes(narrow) {
    const {spec} = this;
    const {x0, x1, y0, y1} = this.box;
    const group = s("g", {class: "axes"});
    for (const {value, major} of this.y.ticks(Math.max(2, Math.round((y1 - y0) / 36)))) {
      const y = this.y.at(value);
      group.append(s("line", {class: major ? "grid" : "grid minor", x1: x0, x2: x1, y1: y, y2: y}));
      if (major)
        group.append(s("text", {class: "tick", x: x0 - 8, y: y + 4, "text-anchor": "end"}, spec.y.format(value)));
    }
    const room = spec.x.kind === "nines" ? 62 : narrow ? 70 : 90;
    let free_from = -Infinity;
    for (const {value, major} of this.x.ticks(Math.max(2, Math.floor((x1 - x0) / room)))) {
      const x = this.x.at(value);
      group.append(s("line", {class: "tick-mark", x1: x, x2: x, y1, y2: y1 + 4}));
      if (spec.x.kind !== "linear") group.append(s("line", {class: "grid minor", x1: x, x2: x, y1: y0, y2: y1}));
      const text = spec.x.format(value);
      const half = text.length * 3.6;
      if (!major || x - half < free_from || x + half > x1 + 60) continue;
      free_from = x + half + 8;
      const anchor = x + half > x1 + 14 ? "end" : "middle";
      group.append(
          s("text", {class: "tick", x: anchor === "end" ? x1 + 14 : x, y: y1 + 18, "text-anchor": anchor}, text));
    }
    group.append(s("line", {class: "axis", x1: x0, x2: x1, y1, y2: y1}));
    group.append(s("text", {class: "axis-title", x: 2, y: 13}, spec.y.title));
    if (spec.x.title) {
      group.append(
          s("text", {class: "axis-title", x: x1, y: y1 + 38, "text-anchor": "end"},
            narrow ? spec.x.short ?? spec.x.title : spec.x.title));
    }
    return group;
  }

  draw_guides(narrow) {
    const group = s("g", {class: "guides"});
    const {x0, x1, y0, y1} = this.box;
    const taken = [];
    for (const guide of this.spec.guides) {
      const tone = `guide ${guide.tone ?? ""}`;
      if (guide.axis === "line") {
        group.append(s("line", {
          class: tone,
          x1: this.x.at(guide.from[0]),
          y1: this.y.at(guide.from[1]),
          x2: this.x.at(guide.to[0]),
          y2: this.y.at(guide.to[1])
        }));
        continue;
      }
      if (guide.axis === "y") {
        const y = this.y.at(guide.at);
        if (y < y0 - 1 || y > y1 + 1) continue;
        group.append(s("line", {class: tone, x1: x0, x2: x1, y1: y, y2: y}));
        const above = taken.every((other) => Math.abs(other - (y - 5)) > 13) && y > y0 + 10;
        taken.push(above ? y - 5 : y + 13);
        group.append(s("text", {class: "guide-label", x: x0 + 6, y: above ? y - 5 : y + 13}, guide.label));
        continue;
      }
      const x = this.x.at(guide.at);
      if (x < x0 - 1 || x > x1 + 1) continue;
      if (guide.low < guide.high) {
        const left = Math.max(x0, this.x.at(guide.low));
        group.append(s(
            "rect",
            {class: "guide-band", x: left, y: y0, width: Math.max(1, this.x.at(guide.high) - left), height: y1 - y0}));
      }
      group.append(s("line", {class: tone, x1: x, x2: x, y1: y0, y2: y1}));
      const text = narrow && guide.short ? guide.short : guide.label;
      const fits = x + 8 + text.length * 6.6 < x1;
      group.append(
          s("text", {
            class: "guide-label strong",
            x: fits ? x + 6 : x - 6,
            y: guide.low_label ? y1 - 8 : y0 + 12,
            "text-anchor": fits ? "start" : "end"
          },
            text));
    }
    return group;
  }

  draw_bands() {
    const group = s("g", {class: "bands"});
    const {x0, x1, y0, y1} = this.box;
    let free_from = x0;
    for (const band of this.spec.bands) {
      const left = Math.min(x1, Math.max(x0, this.x.at(band.from)));
      const right = Math.min(x1, Math.max(left + 3, this.x.at(band.to)));
      const place = {x: left, y: y0, width: right - left, height: y1 - y0};
      group.append(
          s("rect", {class: `band ${band.kind}`, ...place}),
          s("rect", {...place, style: {fill: `url(#hatch-${band.kind})`}}),
          s("rect", {class: `band-cap ${band.kind}`, ...place, height: 4}));
      if (!this.spec.band_labels || !band.label) continue;
      const half = band.label.length * 3.4;
      const center = Math.max(free_from + half, Math.min(x1 - half, (left + right) / 2));
      if (center - (left + right) / 2 > 60 || center + half > x1 + 8) continue;
      group.append(s("text", {class: "band-label", x: center, y: y0 - 6, "text-anchor": "middle"}, band.label));
      free_from = center + half + 10;
    }
    return group;
  }

  /** [x, below, above] rows as a closed outline; in steps if the points are windows. */
  outline(rows) {
    const step = this.spec.step ?? 0;
    const upper = [];
    const lower = [];
    for (const [x, below, above] of rows) {
      const left = this.x.at(x);
      const right = this.x.at(x + step);
      upper.push(`${left} ${this.y.at(above)}`, `${right} ${this.y.at(above)}`);
      lower.push(`${left} ${this.y.at(below)}`, `${right} ${this.y.at(below)}`);
    }
    return upper.length ? `M${upper.join("L")}L${lower.reverse().join("L")}Z` : "";
  }

  draw_stack() {
    const group = s("g", {class: "stack"});
    for (const {series, rows} of this.stack) {
      const d = this.outline(rows);
      group.append(s("path", {d, class: "area", style: {fill: series.color}}));
      if (series.pattern) group.append(s("path", {d, style: {fill: `url(#hatch-${series.pattern})`}}));
    }
    return group;
  }

  /** Windows are points at their middle; with `stairs` they are levels from their start to their end. */
  path(points, stairs) {
    const step = this.spec.step ?? 0;
    const parts = [];
    let pen = "M";
    for (const [x, y] of points) {
      if (!is_number(y) || (this.y_kind === "log" && y <= 0)) {
        pen = "M";
        continue;
      }
      const [px, py] = [this.x.at(x + (stairs ? 0 : step / 2)), this.y.at(y)];
      parts.push(`${pen}${px.toFixed(1)} ${py.toFixed(1)}`);
      if (stairs) parts.push(`H${this.x.at(x + step).toFixed(1)}`);
      pen = "L";
    }
    return parts.join("");
  }

  draw_line(series) {
    const style = {stroke: series.color, "stroke-dasharray": series.dash || "none"};
    const split = series.faint_after;
    if (!is_number(split)) {
      return s("path", {
        class: `line ${series.class ?? ""}`,
        d: series.unjoined ? "" : this.path(series.points, series.stairs),
        style
      });
    }
    const solid = series.points.filter((point) => point[0] <= split);
    const faint = series.points.filter((point) => point[0] >= (solid.at(-1)?.[0] ?? -1));
    return s(
        "g", {}, s("path", {class: `line ${series.class ?? ""}`, d: this.path(solid), style}),
        s("path", {class: "line faint", d: this.path(faint), style}));
  }

  draw_marks(series) {
    const group = s("g", {class: "marks"});
    const few = series.points.length <= (series.marker ? 60 : 1);
    if (!few && !series.last_marker) return group;
    for (const point of few ? series.points : series.points.slice(-1)) {
      const [x, y, failed] = point;
      if (!is_number(y) || (this.y_kind === "log" && y <= 0)) continue;
      const [px, py] = [this.x.at(x), this.y.at(y)];
      if (px < this.box.x0 - 1 || px > this.box.x1 + 1 || py < this.box.y0 - 6 || py > this.box.y1 + 6) continue;
      group.append(marker(
          series.marker ?? "circle", px, py, failed ? 5 : 3.6,
          failed ? {class: "mark failed", style: {stroke: series.color}} :
                   {class: "mark", style: {fill: series.color}}));
      if (failed) group.append(marker("cross", px, py, 2.4, {class: "mark-cross", style: {stroke: series.color}}));
    }
    return group;
  }

  draw_end_labels(visible) {
    const labels =
        visible.filter((series) => series.end_label !== false && (!this.stack || series.line))
            .map((series) => {
              const end = series.points.findLast((point) => is_number(point[1]));
              return end &&
                  {text: series.short ?? series.label, color: series.color, x: this.x.at(end[0]), y: this.y.at(end[1])};
            })
            .filter(Boolean)
            .sort((a, b) => a.y - b.y);
    const far = labels.filter((label) => !this.spec.near_labels || label.x >= this.box.x1 - near_room);
    let free_from = this.box.y0;
    far.forEach((label, i) => {
      const below = (far.length - 1 - i) * 14;
      label.text_y = Math.max(free_from, Math.min(label.y, this.box.y1 - below));
      free_from = label.text_y + 14;
    });
    this.part_near_labels(labels.filter((label) => !far.includes(label)));
    return s("g", {class: "end-labels"}, labels.map((label) => {
      const reach = Math.min(label.x, this.box.x1);
      if (this.spec.near_labels && reach < this.box.x1 - near_room) {
        return s("text", {x: reach + 8, y: label.text_y + 4, style: {fill: label.color}}, label.text);
      }
      return [
        s("path", {class: "leader", d: `M${reach + 4} ${label.y}L${this.box.x1 + 6} ${label.text_y}`}),
        s("text", {x: this.box.x1 + 10, y: label.text_y + 4, style: {fill: label.color}}, label.text)
      ];
    }));
  }

  /** Labels beside the ends of their lines, moved down until none lies on another. */
  part_near_labels(labels) {
    const placed = [];
    for (const label of labels) {
      label.text_y = Math.max(label.y, this.box.y0 + 6);
      const hit = () =>
          placed.some((other) => Math.abs(other.x - label.x) < 80 && Math.abs(other.text_y - label.text_y) < 13);
      while (hit()) label.text_y += 3;
      placed.push(label);
    }
  }

  // ------------------------------------------------------------------------------------------------------ reading

  stops() {
    if (this.spec.stops) return this.spec.stops;
    const all = new Set(this.visible().flatMap((series) => series.points.map((point) => point[0])));
    return [...all].sort((a, b) => a - b);
  }

  nearest_stop(pixel) {
    const half = this.spec.step ? this.spec.step / 2 : 0;
    let best = null;
    let distance = Infinity;
    for (const stop of this.stops()) {
      const d = Math.abs(this.x.at(stop + half) - pixel);
      if (d < distance) [best, distance] = [stop, d];
    }
    return best;
  }

  listen(svg, width) {
    const leave = () => {
      this.tip.hidden = true;
      this.move_line(null);
      this.spec.bus?.show(null, this);
    };
    const read = (stop) => {
      if (stop === null) return;
      this.stop = stop;
      this.move_line(stop);
      this.show_tip(stop, width);
      this.spec.bus?.show(stop, this);
    };
    svg.addEventListener("pointermove", (event) => {
      const rect = svg.getBoundingClientRect();
      read(this.nearest_stop((event.clientX - rect.left) * (width / rect.width)));
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", (event) => {
      const stops = this.stops();
      const moves = {ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity};
      if (event.key === "Escape") return leave();
      if (!(event.key in moves) || stops.length === 0) return;
      event.preventDefault();
      const index = stops.indexOf(this.stop);
      read(stops[Math.max(0, Math.min(stops.length - 1, index + moves[event.key]))]);
    });
  }

  value_at(series, x) {
    if (this.spec.value_at) return this.spec.value_at(series, x);
    return series.points.find((point) => point[0] === x)?.[1];
  }

  move_line(stop) {
    if (!this.cursor || !this.x) return;
    this.cursor.replaceChildren();
    if (stop === null) return this.cursor.setAttribute("visibility", "hidden");
    const x = this.x.at(stop + (this.spec.step ?? 0) / 2);
    if (x < this.box.x0 - 1 || x > this.box.x1 + 1) return;
    this.cursor.setAttribute("visibility", "visible");
    this.cursor.append(s("line", {x1: x, x2: x, y1: this.box.y0, y2: this.box.y1}));
    if (this.stack) return;
    for (const series of this.visible()) {
      const value = this.value_at(series, stop);
      if (!is_number(value) || (this.y_kind === "log" && value <= 0)) continue;
      this.cursor.append(s("circle", {cx: x, cy: this.y.at(value), r: 3.5, style: {fill: series.color}}));
    }
  }

  show_tip(stop, width) {
    const rows = this.visible().map((series) => {
      const value = this.value_at(series, stop);
      if (!is_number(value) || (this.stack && value === 0 && !series.line)) return null;
      return h(
          "tr", {},
          h("td", {}, this.stack && !series.line ? swatch(series.color, series.pattern) : line_sample(series)),
          h("td", {}, series.label),
          h("td", {class: "n"}, (series.format ?? this.spec.y.read ?? this.spec.y.format)(value)));
    });
    const remarks = list(this.spec.remarks?.(stop)).map((text) => h("p", {}, text));
    this.tip.replaceChildren(
        h("p", {class: "tip-title"}, (this.spec.x.read ?? this.spec.x.format)(stop)),
        h("table", {}, h("tbody", {}, rows.filter(Boolean))), ...remarks);
    this.tip.hidden = false;
    const x = this.x.at(stop);
    const right = x > width / 2;
    this.tip.style.left = right ? "auto" : `${x + 14}px`;
    this.tip.style.right = right ? `${width - x + 14}px` : "auto";
    this.tip.style.top = `${this.box.y0}px`;
  }
}
const chart = (spec) => new Chart(spec).element;
