// latency.js: how long requests took: the percentile plot on an axis of nines, for one run by outcome or for several
// runs by rate. Beyond the last percentile that has 100 samples above it, lines are thin: another run differs there.

/** The spectrum as [quantile, milliseconds], up to the maximum at 1 - 1/count. */
function percentile_points(run, key) {
  const rows = list(run.spectrum?.[key]);
  const count = rows.length ? rows[rows.length - 1][2] : 0;
  if (!count) return {points: [], faint_after: null};
  const end = 1 - 1 / Math.max(2, count);
  const points = [];
  for (const [us, quantile, ] of rows) {
    const at = Math.min(quantile, end);
    if (points.length && at <= points[points.length - 1][0]) points[points.length - 1][1] = us / 1000;
    else points.push([at, us / 1000]);
  }
  if (points[0][0] > 0) points.unshift([0, points[0][1]]);
  return {points, faint_after: Math.max(0, 1 - 100 / count)};
}

function value_on_spectrum(series, quantile) {
  const {points} = series;
  if (points.length === 0 || quantile > points[points.length - 1][0] + 1e-12) return undefined;
  return points.find((point) => point[0] >= quantile - 1e-12)?.[1];
}

/** Positions the cursor stops at: evenly on the axis, and exactly where the axis has names. */
function percentile_stops(largest) {
  const stops = new Set([0, 0.25, 0.5, 0.75, 0.95, 0.995]);
  const nines = -Math.log10(1 - largest);
  for (let i = 0; i <= 120; ++i) {
    const at = (nines * i) / 120;
    const near = Math.round(at);
    stops.add(Math.abs(at - near) < nines / 200 ? Number((1 - 10 ** -near).toFixed(near + 1)) : 1 - 10 ** -at);
  }
  return [...stops].filter((q) => q <= largest).sort((a, b) => a - b);
}

const stop_text = (quantile) => {
  const nines = Math.max(1, Math.ceil(-Math.log10(Math.max(1e-9, 1 - quantile))));
  return `percentile ${Number((quantile * 100).toFixed(nines))}\u202f%`;
};

function percentile_chart(spec) {
  const ends = spec.series.map((series) => series.points[series.points.length - 1]?.[0] ?? 0.9);
  const largest = Math.max(0.9, ...ends);
  return chart({
    height: 360,
    x: {
      kind: "nines",
      title: "percentile of requests, each nine as wide as the one before",
      short: "percentile of requests",
      domain: [0, largest],
      format: quantile_text,
      read: stop_text
    },
    y: {
      kind: "log",
      switch: true,
      title: "latency, ms",
      format: (value) => milliseconds_tick(value),
      read: (ms) => time_text(ms * 1000)
    },
    stops: percentile_stops(largest),
    value_at: value_on_spectrum,
    end_labels: true,
    near_labels: true,
    end_room: 118,
    ...spec,
  });
}

function milliseconds_tick(value) {
  if (value === 0) return "0";
  if (value >= 1) return value.toLocaleString("en-US", {maximumFractionDigits: 1});
  return String(Number(value.toPrecision(2)));
}

/** One run: a line per outcome, service time dashed beside it. */
function run_percentiles(run) {
  const present = [...outcomes.map((outcome) => outcome.key), "all"].filter((key) => list(run.spectrum?.[key]).length);
  const series = [];
  for (const key of present) {
    const outcome = key === "all" ? {label: "all planned", color: "var(--muted)"} : outcome_of(key);
    const from = series.length % marker_shapes.length;
    series.push({
      id: key,
      label: outcome.label,
      color: outcome.color,
      dash: key === "all" ? "2 3" : "",
      last_marker: true,
      marker: marker_shapes[from],
      hidden: key === "all" || key === "unanswered",
      ...percentile_points(run, key)
    });
    if (list(run.spectrum?.[`service_${key}`]).length) {
      series.push({
        id: `service_${key}`,
        label: `${outcome.label}, service time`,
        short: "service time",
        color: outcome.color,
        dash: "7 4",
        class: "service",
        ...percentile_points(run, `service_${key}`)
      });
    }
  }
  const wall = wall_quantile(run.shape);
  const guides = wall === null ? [] : [{
    axis: "x",
    at: wall,
    tone: "wall",
    low_label: true,
    label: `wall at ${quantile_text(wall)}${is_number(run.shape.wall_us) ? `, ${time_text(run.shape.wall_us)}` : ""}`
  }];
  const best = run.classes?.["2xx"]?.latency_us ?? {};
  return percentile_chart({
    title: "Latency by percentile",
    series,
    guides,
    label: `2xx: p50 ${time_text(best.p50)}, p99 ${time_text(best.p99)}, max ${time_text(best.max)}.`,
    note: "Solid: from the planned send time. Dashed: service time, from the actual send; the gap between them is " +
        "waiting that the client sees and the server does not. Thin: fewer than 100 samples above, not repeatable."
  });
}

/** Several runs over each other: one outcome at a time, a line per run. `entries`: [{label, short, run, shown}]. */
function overlaid_percentiles(entries) {
  const host = h("div", {class: "overlay"});
  const keys =
      outcomes.map((outcome) => outcome.key).filter((key) => entries.some((e) => list(e.run.spectrum?.[key]).length));
  // Those shown at first take the colours first, so that no two of them share one.
  const order = [...entries.filter((entry) => entry.shown), ...entries.filter((entry) => !entry.shown)];
  let service = false;
  const hidden = new Set(entries.filter((entry) => !entry.shown).map((entry) => `r${entries.indexOf(entry)}`));
  const show = (key) => {
    const series = entries.flatMap((entry, i) => {
      const base = {color: line_colors[order.indexOf(entry) % line_colors.length], hidden: hidden.has(`r${i}`)};
      const main = {
        ...base,
        id: `r${i}`,
        label: entry.label,
        short: entry.short,
        marker: marker_shapes[i % 4],
        last_marker: true,
        ...percentile_points(entry.run, key)
      };
      if (main.points.length === 0) return [];
      if (!service || !list(entry.run.spectrum?.[`service_${key}`]).length) return [main];
      return [
        main, {
          ...base,
          id: `s${i}`,
          label: `${entry.short}, service`,
          short: `${entry.short} service`,
          dash: "7 4",
          class: "service",
          end_label: false,
          key: false,
          follows: `r${i}`,
          ...percentile_points(entry.run, `service_${key}`)
        }
      ];
    });
    const buttons = keys.length < 2 ? [] :
                                      keys.map(
                                          (other) =>
                                              h("button", {
                                                class: "button small",
                                                type: "button",
                                                "aria-pressed": String(other === key),
                                                on: {click: () => show(other)}
                                              },
                                                other.replace("_", " ")));
    buttons.push(
        h("button", {
          class: "button small",
          type: "button",
          "aria-pressed": String(service),
          on: {
            click: () => {
              service = !service;
              show(key);
            }
          }
        },
          "service time"));
    host.replaceChildren(percentile_chart({
      title: `Latency by percentile, ${key.replace("_", " ")}`,
      series,
      guides: [],
      controls: buttons,
      hidden,
      note: "From the planned send time. \u201cservice time\u201d adds, dashed, the time from the actual send. " +
          "Thin: fewer than 100 samples above, " +
          "not repeatable."
    }));
  };
  show(keys[0] ?? "2xx");
  return host;
}
