// capacity.js: rate against what it costs: latency, goodput and the wall, from the runs of a sweep or a search.

const pass_lines = [{us: 200e3, label: "200 ms, still good"}, {us: 1e6, label: "1 s, still acceptable"}];

/** "p99<50ms" as {label, us}; nothing for conditions that are not times. */
function slo_line(text) {
  const match = /^\s*(p[\d.]+|max|mean)\s*<=?\s*([\d.]+)\s*(us|\u00b5s|ms|s)\s*$/.exec(text);
  if (!match) return null;
  const factor = {us: 1, "\u00b5s": 1, ms: 1e3, s: 1e6}[match[3]];
  return {label: `SLO ${match[1]} < ${time_text(Number(match[2]) * factor)}`, us: Number(match[2]) * factor};
}

const rate_of_run = (run) => run.config?.rate_rps ?? run.offered_rps;

/** One entry per run, sorted by rate: those of a sweep, or the open-loop probes of a search. */
function rate_entries(result) {
  const entries = result.kind === "search" ?
      list(result.probes)
          .filter((probe) => probe.stage !== "ceiling" && probe.stage !== "recovery" && probe.run)
          .map((probe) => ({
                 run: probe.run,
                 rate: probe.rate_rps,
                 failed: !probe.passed,
                 stage: probe.stage,
                 failures: list(probe.failures)
               })) :
      list(result.runs).map((run) => ({
                              run,
                              rate: rate_of_run(run),
                              failed: run.valid === false,
                              stage: "sweep",
                              failures: list(run.invalid)
                            }));
  return entries.filter((entry) => is_number(entry.rate)).sort((a, b) => a.rate - b.rate);
}

/** The longer stages make the curve; probes on the way to the limit only count where those are missing. */
function curve_entries(entries) {
  const long = entries.filter((entry) => !["climb", "bisect"].includes(entry.stage));
  return long.length >= 3 ? long : entries;
}

function capacity_guide(result) {
  if (result.kind !== "search" || !(result.capacity_rps > 0)) return [];
  return [{
    axis: "x",
    at: result.capacity_rps,
    low: result.capacity_low_rps,
    high: result.capacity_high_rps,
    tone: "capacity",
    label: `capacity ${rate_text(result.capacity_rps)}`,
    short: rate_text(result.capacity_rps)
  }];
}

function capacity_charts(result) {
  const entries = rate_entries(result);
  if (entries.length < 2) return null;
  const top = Math.max(...entries.map((entry) => entry.rate)) * 1.04;
  const x = {
    kind: "linear",
    title: "offered, requests per second",
    domain: [0, top],
    format: compact_text,
    read: (rate) => `${count_text(rate)} requests/s offered`
  };
  const remarks = (rate) =>
      entries.filter((entry) => entry.rate === rate)
          .flatMap((entry) => [`${entry.stage}${entry.failed ? ": failed" : ""}`, ...entry.failures]);
  return h(
      "div", {class: "capacity"}, latency_by_rate(result, entries, x, remarks),
      h("div", {class: "two"}, goodput_chart(result, entries, x, remarks), wall_chart(result, entries, x)));
}

function latency_by_rate(result, entries, x, remarks) {
  const curve = curve_entries(entries);
  const value = (entry, key) => entry.run.classes?.["2xx"]?.latency_us?.[key];
  const lines = [
    ["p50", "circle", 0, ""], ["p99", "square", 1, "7 3"], ["p999", "triangle", 3, "9 3 2 3"],
    ["max", "diamond", 2, "2 3"]
  ];
  const series = lines.map(([key, shape, i, dash]) => ({
                             id: key,
                             label: percentile_labels[key],
                             color: line_colors[i],
                             dash,
                             marker: shape,
                             points: curve.filter((entry) => is_number(value(entry, key)))
                                         .map((entry) => [entry.rate, value(entry, key) / 1000, entry.failed])
                           }));
  const rest = entries.filter((entry) => !curve.includes(entry) && is_number(value(entry, "p99")));
  if (rest.length) {
    series.push({
      id: "probes",
      label: "p99 of short probes",
      color: line_colors[1],
      unjoined: true,
      marker: "square",
      end_label: false,
      dash: "0 30",
      points: rest.map((entry) => [entry.rate, value(entry, "p99") / 1000, entry.failed])
    });
  }
  const asked = list(result.slos)
                    .map(slo_line)
                    .filter(Boolean)
                    .map((slo) => ({axis: "y", at: slo.us / 1000, label: slo.label, tone: "slo"}));
  const guides = [
    ...asked,
    ...pass_lines.filter((line) => !asked.some((slo) => slo.at === line.us / 1000))
        .map((line) => ({axis: "y", at: line.us / 1000, label: line.label})),
    ...capacity_guide(result).map((guide) => ({...guide, low_label: true}))
  ];
  const highest = Math.max(...series.flatMap((line) => line.points.map((point) => point[1])));
  const include = pass_lines.map((line) => line.us / 1000).filter((ms) => ms < highest * 8);
  return chart({
    title: "Capacity curve: latency of the 2xx against rate",
    height: 380,
    x,
    series,
    guides,
    remarks,
    end_labels: true,
    near_labels: true,
    end_room: 70,
    y: {
      kind: "log",
      switch: true,
      title: "latency, ms",
      format: milliseconds_tick,
      read: (ms) => time_text(ms * 1000),
      include: [...include, ...asked.map((guide) => guide.at)]
    },
    label: is_number(result.capacity_rps) ? `Capacity ${rate_text(result.capacity_rps)}.` : "",
    note: (result.kind === "search" ? "Crossed, hollow marks: the probe failed its conditions. " :
                                      "Crossed, hollow marks: the run does not count. ") +
        "Percentiles with fewer than 100 samples above them are left out."
  });
}

function goodput_chart(result, entries, x, remarks) {
  const curve = curve_entries(entries);
  const per_second = (entry, keys) =>
      keys.reduce((sum, key) => sum + (entry.run.classes?.[key]?.count ?? 0), 0) / (entry.run.duration_s || 1);
  const rows = [
    {
      id: "good",
      label: "2xx (goodput)",
      short: "2xx",
      color: "var(--o-2xx)",
      marker: "circle",
      dash: "",
      of: (e) => e.run.goodput_rps
    },
    {
      id: "refused",
      label: "refused (429, 503)",
      short: "refused",
      color: "var(--o-503)",
      marker: "triangle",
      dash: "7 3",
      of: (e) => per_second(e, ["429", "503"])
    },
    {
      id: "failed",
      label: "failed (all others)",
      short: "failed",
      color: "var(--o-broken)",
      marker: "diamond",
      dash: "2 3",
      of: (e) => per_second(e, ["504", "other", "broken", "connect_error", "gave_up", "unanswered"])
    },
  ];
  const series =
      rows.map(({of, ...row}) => ({...row, points: curve.map((entry) => [entry.rate, of(entry), entry.failed])}))
          .filter((row) => row.id === "good" || row.points.some((point) => point[1] > 0));
  const top = x.domain[1];
  const guides = [{axis: "line", from: [0, 0], to: [top, top], tone: "diagonal"}, ...capacity_guide(result)];
  return chart({
    title: "Goodput against offered rate",
    height: 300,
    series,
    guides,
    remarks,
    x,
    end_labels: true,
    end_room: 66,
    y: {
      kind: "linear",
      title: "per second",
      format: compact_text,
      read: (value) => `${count_text(value)}/s`,
      include: [top * 0.96]
    },
    note: "Dotted diagonal: everything offered is answered with a 2xx."
  });
}

function wall_chart(result, entries, x) {
  const ceiling = 0.999999;
  const curve = curve_entries(entries);
  const point = (entry) => [entry.rate, wall_quantile(entry.run.shape) ?? ceiling, false];
  const seen = curve.filter((entry) => wall_quantile(entry.run.shape) !== null);
  const none = curve.filter((entry) => wall_quantile(entry.run.shape) === null);
  return chart({
    title: "Where the wall stands",
    height: 300,
    x,
    guides: capacity_guide(result),
    series: [
      {
        id: "wall",
        label: "latency turns exponential here",
        color: line_colors[4],
        marker: "square",
        dash: "",
        points: seen.map(point)
      },
      {
        id: "none",
        label: "no wall seen",
        color: line_colors[0],
        marker: "circle",
        dash: "0 30",
        unjoined: true,
        points: none.map(point)
      }
    ],
    y: {
      kind: "nines",
      title: "percentile, each nine as high as the one before",
      domain: [0, ceiling],
      format: (q) => (q > 0.999995 ? "none" : quantile_text(q)),
      read: (q) => (q === ceiling ? "none" : quantile_text(q))
    },
    remarks: (rate) =>
        curve.filter((entry) => entry.rate === rate)
            .map(
                (entry) => `${entry.run.shape?.class ?? "unknown"}${
                    is_number(entry.run.shape?.wall_us) ? `, ${time_text(entry.run.shape.wall_us)} high` : ""}`),
    note: "Higher is better: a wall at 99.9 % is met by one request in a thousand."
  });
}

/** The lines of the percentile plot: of a search the long stages, of a sweep all runs. */
function overlay_entries(result) {
  const name = (entry) =>
      (entry.stage === "sweep" || entry.stage === "curve" ? rate_text(entry.rate) :
                                                            `${rate_text(entry.rate)} ${entry.stage}`);
  const curve = curve_entries(rate_entries(result)).filter((entry) => list(entry.run.spectrum?.["2xx"]).length);
  const step = Math.max(1, Math.ceil(curve.length / 6));
  return curve.map((entry, i) => ({
                     label: name(entry),
                     short: rate_text(entry.rate),
                     run: entry.run,
                     shown: (curve.length - 1 - i) % step === 0 || entry.stage === "confirm"
                   }));
}
