// series.js: one run over its time: what came back, how late, what was waiting, and the server's own figures beside it
// on the same axis, with the moments when nothing came and those when the generator itself was late shaded.

function time_bands(run) {
  const stretch = (from, to) => seconds_text(to - from);
  const silences =
      list(run.silences)
          .map(
              ({from_s, to_s}) =>
                  ({from: from_s, to: to_s, kind: "silence", label: `no answer for ${stretch(from_s, to_s)}`}));
  const stalls =
      list(run.generator?.stalls)
          .map(
              ({from_s, to_s}) =>
                  ({from: from_s, to: to_s, kind: "stall", label: `generator stalled ${stretch(from_s, to_s)}`}));
  return [...silences, ...stalls].sort((a, b) => a.from - b.from);
}

const at_text = (seconds) => `${Number(seconds.toFixed(2))}\u202fs`;

function compact_text(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e3) return `${Number((value / 1e3).toPrecision(3))}k`;
  return value.toLocaleString("en-US", {maximumFractionDigits: size < 10 ? 2 : 0});
}

function time_panels(run) {
  const windows = list(run.series?.windows);
  const step = run.series?.window_s ?? 1;
  const bus = cursor_bus();
  const bands = time_bands(run);
  const last = windows.length ? windows[windows.length - 1].at_s + step : 0;
  const samples = list(run.server);
  const end = Math.max(last, run.duration_s ?? 0, ...samples.map((sample) => sample.at_s));
  const x =
      {kind: "linear", domain: [0, end], format: at_text, read: (at) => `${at_text(at)} to ${at_text(at + step)}`};
  const of = (pick) => windows.map((window) => [window.at_s, pick(window)]);
  const present = outcomes.filter((outcome) => windows.some((window) => window.outcomes?.[outcome.key]));
  const common = {bus, bands, step, height: 190};
  const panels = [
    chart({
      ...common,
      title: "Requests by outcome",
      stacked: true,
      band_labels: true,
      height: 240,
      x,
      y: {
        kind: "linear",
        title: "requests per second",
        format: compact_text,
        read: (value) => `${count_text(value)}/s`
      },
      label: `${count_text(run.planned)} planned over ${seconds_text(run.duration_s)}.`,
      series: [
        ...present.map((outcome) => ({
                         id: outcome.key,
                         label: outcome.label,
                         color: outcome.color,
                         pattern: outcome.pattern,
                         points: of((window) => (window.outcomes?.[outcome.key] ?? 0) / step)
                       })),
        {
          id: "planned",
          label: "planned",
          color: "var(--ink)",
          dash: "5 3",
          line: true,
          stairs: true,
          points: of((window) => window.planned / step)
        }
      ]
    }),
    chart({
      ...common,
      title: "Latency of the 2xx",
      x,
      y: {
        kind: "log",
        switch: true,
        title: "latency, ms",
        format: milliseconds_tick,
        read: (ms) => time_text(ms * 1000)
      },
      series: [["max", "max_us", 3, "1 3"], ["p99", "p99_us", 2, "7 3"], ["p50", "p50_us", 1, ""]].map(
          ([label, key, color, dash]) => ({
            id: key,
            label,
            color: line_colors[color - 1],
            dash,
            points: of((window) => (window[key] > 0 ? window[key] / 1000 : null))
          }))
    }),
    chart({
      ...common,
      title: "Waiting",
      height: 170,
      x: {...x, title: samples.length ? "" : "time since the start of the measured part, s"},
      y: {kind: "linear", title: "requests, at the end of each window", format: compact_text, read: count_text},
      series: [
        {
          id: "outstanding",
          label: "sent, not answered",
          color: line_colors[0],
          points: of((window) => window.outstanding)
        },
        {
          id: "waiting",
          label: "due, no connection free",
          color: line_colors[4],
          dash: "7 3",
          points: of((window) => window.waiting)
        }
      ]
    }),
  ];
  if (samples.length) panels.push(server_panels(run, {...common, step: 0}, {...x, read: at_text}));
  return h("div", {class: "panels"}, panels);
}

/** Which lane was first at its limit, and which first had a queue, in words. */
function first_full_text(samples) {
  const first = new Map();
  for (const sample of samples) {
    for (const lane of list(sample.lanes)) {
      const seen = first.get(lane.name) ?? {full: null, queued: null, deepest: 0};
      if (seen.full === null && lane.limit > 0 && lane.in_flight >= lane.limit)
        seen.full = {at: sample.at_s, limit: lane.limit};
      if (seen.queued === null && lane.depth > 0) seen.queued = sample.at_s;
      seen.deepest = Math.max(seen.deepest, lane.depth);
      first.set(lane.name, seen);
    }
  }
  const full = [...first].filter(([, seen]) => seen.full).sort((a, b) => a[1].full.at - b[1].full.at);
  if (full.length === 0) return "No lane of the server was seen at its limit.";
  const [name, seen] = full[0];
  const others = full.slice(1).map(([other, s2]) => `\u201c${other}\u201d at ${at_text(s2.full.at)}`);
  return `Lane \u201c${name}\u201d was the first at its limit (${plural(seen.full.limit, "request")} in flight) at ${
             at_text(seen.full.at)}` +
      (seen.deepest ? `; its queue grew to ${count_text(seen.deepest)}.` : "; it never queued.") +
      (others.length ? ` Then: ${others.join(", ")}.` : " No other lane was full.");
}

function server_panels(run, common, x) {
  const samples = list(run.server);
  const of = (pick) =>
      samples.map((sample) => [sample.at_s, pick(sample) ?? null]).filter((point) => point[1] !== null);
  // A lane that never held anything says nothing, and a server has one per route.
  const used = (lane) => lane.depth > 0 || lane.in_flight > 0 || lane.zombies > 0;
  const names = [...new Set(samples.flatMap((sample) => list(sample.lanes).filter(used).map((lane) => lane.name)))];
  const lane = (name, key) => of((sample) => list(sample.lanes).find((other) => other.name === name)?.[key]);
  const panels = [];
  const line = (id, label, color, points, dash = "") =>
      ({id, label, color: line_colors[color % line_colors.length], dash, points});
  if (samples.some((sample) => list(sample.lanes).length)) {
    panels.push(h("p", {class: "finding"}, h("strong", {}, "Which queue filled first: "), first_full_text(samples)));
  }
  if (names.length) {
    panels.push(chart({
      ...common,
      title: "Server: queued in each lane",
      x,
      y: {kind: "linear", title: "requests queued", format: compact_text, read: count_text},
      series: names.map((name, i) => line(name, name, i, lane(name, "depth"), line_dashes[i % line_dashes.length]))
    }));
    panels.push(chart({
      ...common,
      title: "Server: in flight against the limit of each lane",
      x,
      y: {kind: "linear", title: "requests in flight", format: compact_text, read: count_text},
      series:
          names
              .flatMap(
                  (name, i) =>
                      [line(`f${name}`, `${name}, in flight`, i, lane(name, "in_flight")),
                       line(`l${name}`, `${name}, limit`, i, lane(name, "limit"), "2 4"),
                       {...line(`z${name}`, `${name}, zombies`, i, lane(name, "zombies"), "8 3 2 3"), hidden: true}])
              .filter((series) => !series.id.startsWith("z") || series.points.some((point) => point[1] > 0))
    }));
  }
  const small = [
    {
      title: "Server: CPU",
      y: {title: "cores in use", format: (v) => String(Number(v.toFixed(2))), include: [1]},
      series: [
        line("cpu", "whole process", 0, of((p) => p.cpu_cores)),
        line("hot", "hottest thread", 4, of((p) => p.hottest_thread), "7 3")
      ]
    },
    {
      title: "Server: memory",
      y: {title: "resident, MiB", format: compact_text},
      series: [line("rss", "resident", 1, of((p) => (is_number(p.rss_bytes) ? p.rss_bytes / 1048576 : null)))]
    },
    {
      title: "Server: context switches",
      y: {title: "switches per second", format: compact_text},
      series: [
        line("vol", "voluntary", 0, of((p) => p.voluntary_switches_per_s)),
        line("inv", "involuntary", 4, of((p) => p.involuntary_switches_per_s), "7 3")
      ]
    },
  ];
  const shown = small.filter((panel) => panel.series.some((series) => series.points.length));
  shown.forEach((panel, i) => panels.push(chart({
    ...common,
    height: 170 + (i + 1 === shown.length ? 20 : 0),
    ...panel,
    x: i + 1 === shown.length ? {...x, title: "time since the start of the measured part, s"} : x,
    y: {kind: "linear", ...panel.y}
  })));
  return panels;
}
