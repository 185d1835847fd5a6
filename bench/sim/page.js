// page.js: the page of a simulated scenario: what was asked, what came out, and the same over virtual time. Elements,
// charts, tables and tiles are those of bench/report, which stand before this in the page.

const policy_words = {
  sluice: "sluice",
  naive: "naive pool"
};
const fate_names = [
  ["good", "good"], ["refused", "refused"], ["timed_out", "timed out"], ["failed", "failed"], ["gave_up", "gave up"],
  ["late", "late"]
];
const refusal_colors = ["--o-503", "--o-429", "--l-4", "--l-6", "--l-7", "--l-8", "--o-broken", "--o-other"];
const refusal_patterns = ["rising", "dots", "falling", "level", "cross", "upright", "rings", "dense"];

const milliseconds = (ms) => (ms === 0 ? quantity("0", "") : is_number(ms) ? time_of(ms * 1000) : nothing);
const section = (title, ...content) => h("section", {class: "block"}, h("h3", {}, title), content);
const several_policies = (study) => new Set(study.runs.map((run) => run.policy)).size > 1;

/** A label of one run's line: which policy, where there are two. */
const named = (study, run, text) => (several_policies(study) ? `${policy_words[run.policy]}: ${text}` : text);

// ----------------------------------------------------------------------------------------------------------- tables

function outcome_rows(study, parts) {
  const shown = fate_names.filter(([key]) => key !== "good" && parts.some(({part}) => part[key] > 0));
  const policies = several_policies(study);
  return table_of({
    caption: "What the calls ended with",
    plain: true,
    wide: true,
    head:
        ["", ...(policies ? ["policy"] : []), "offered", "goodput", "good", ...shown.map(([, name]) => name), "tries"],
    rows: parts.map(
        ({name, run, part}) =>
            [h("b", {}, name), ...(policies ? [policy_words[run.policy]] : []), rate_of(part.offered_per_s),
             rate_of(part.good_per_s), share_of(part.good_share),
             ...shown.map(([key]) => share_of(part.offered ? part[key] / part.offered : 0)),
             quantity(figure_text(part.offered ? part.attempts / part.offered : 0), "")])
  });
}

function time_rows(study, parts) {
  const policies = several_policies(study);
  return table_of({
    caption: "Times and peaks",
    plain: true,
    wide: true,
    head:
        ["", ...(policies ? ["policy"] : []), "queue p50", "p99", "answer p50", "p99", "waiting", "running", "zombies"],
    rows: parts.map(
        ({name, run, part}) =>
            [h("b", {}, name), ...(policies ? [policy_words[run.policy]] : []), milliseconds(part.queue_ms.p50),
             milliseconds(part.queue_ms.p99), milliseconds(part.latency_ms.p50), milliseconds(part.latency_ms.p99),
             ...["waiting_peak", "running_peak", "zombies_peak"].map((key) => quantity(count_text(part[key]), ""))])
  });
}

function event_rows(study) {
  const rows = study.runs.flatMap(
      (run) =>
          list(run.events)
              .map(
                  (event) =>
                      [h("b", {}, event.what), ...(several_policies(study) ? [policy_words[run.policy]] : []),
                       `${at_text(event.from_s)} to ${at_text(event.to_s)}`, share_of(event.good_share_before),
                       share_of(event.good_share_during),
                       is_number(event.recovered_after_s) ?
                           (event.recovered_after_s === 0 ? "at once" : `after ${at_text(event.recovered_after_s)}`) :
                           event.aftermath_seen ? "not while it was seen" :
                                                  "not seen"]));
  if (rows.length === 0) return null;
  return section(
      "What went wrong, and when all was well again", table_of({
        caption: "Events",
        plain: true,
        wide: true,
        head: [
          "event", ...(several_policies(study) ? ["policy"] : []), "when", "good before", "good during", "well again"
        ],
        rows
      }),
      h("p", {class: "note"},
        "Well again: from then on the calls of every half second were answered as often as " +
            "before the event, less 5 % and what is put down to chance."));
}

// ----------------------------------------------------------------------------------------------------------- charts

function over_time(study) {
  const first = study.runs[0];
  const step = first.series.window_s;
  const end = study.scenario.duration_s;
  const bus = cursor_bus();
  const bands =
      list(first.events).map((event) => ({from: event.from_s, to: event.to_s, kind: "stall", label: event.what}));
  const x =
      {kind: "linear", domain: [0, end], format: at_text, read: (at) => `${at_text(at)} to ${at_text(at + step)}`};
  const of = (values) => values.map((value, i) => [i * step, value]);
  const common = {bus, bands, step, height: 200};
  const per_second = (title) => ({kind: "linear", title, format: compact_text, read: (v) => `${count_text(v)}/s`});
  const line = (id, label, color, points, dash = "") => ({id, label, color: `var(${color})`, dash, points});
  const panels = [
    chart({
      ...common,
      title: "Offered and goodput",
      band_labels: true,
      height: 260,
      x,
      y: per_second("calls per second"),
      series: [
        line("offered", "offered", "--muted", of(first.series.offered_per_s), "5 3"),
        ...study.runs.map(
            (run, i) => line(
                `good${i}`, named(study, run, "goodput"), i ? "--l-2" : "--good", of(run.series.good_per_s),
                i ? "7 3" : ""))
      ]
    }),
  ];
  // Each policy has its own scale: what is well bounded would be a flat line beside what is not.
  for (const run of study.runs) panels.push(...run_panels(study, run, {...common, x}, line, of));
  for (const run of study.runs) {
    const refused = refusal_layers(run.series, of);
    if (refused.length === 0) continue;
    panels.push(chart({
      ...common,
      title: named(study, run, "Refused, spent or left, by reason"),
      stacked: true,
      x,
      y: per_second("attempts per second"),
      series: refused
    }));
  }
  return h("div", {class: "panels"}, panels);
}

function run_panels(study, run, common, line, of) {
  const {series} = run;
  return [
    chart({
      ...common,
      title: named(study, run, "Queue delay of what started"),
      y: {kind: "linear", title: "milliseconds", format: compact_text, read: (ms) => time_text(ms * 1000)},
      series: [
        line("mean", "mean", "--l-1", of(series.queue_mean_ms)),
        line("max", "longest", "--l-5", of(series.queue_max_ms), "2 3")
      ]
    }),
    chart({
      ...common,
      title: named(study, run, "In flight"),
      y: {kind: "linear", title: "requests, at the end of each window", format: compact_text, read: count_text},
      series: [
        line("running", "running", "--l-1", of(series.running)),
        line("waiting", "waiting", "--l-3", of(series.waiting), "7 3"),
        line("zombies", "zombies", "--l-4", of(series.zombies), "2 3")
      ]
    })
  ];
}

/** One layer for each way in which an attempt brought nothing. */
function refusal_layers(series, of) {
  const layers = Object.entries(series.refused_per_s).map(([key, values], i) => ({
                                                            id: key,
                                                            label: key.replaceAll("_", " "),
                                                            color: `var(${refusal_colors[i % refusal_colors.length]})`,
                                                            pattern: refusal_patterns[i % refusal_patterns.length],
                                                            points: of(values)
                                                          }));
  const others = [
    ["timed_out_per_s", "timed out (504)", "--o-504", "falling"], ["failed_per_s", "failed", "--o-broken", "cross"],
    ["left_per_s", "client left", "--o-gave_up", "rings"]
  ];
  for (const [key, label, color, pattern] of others) {
    if (series[key].some((value) => value > 0))
      layers.push({id: key, label, color: `var(${color})`, pattern, points: of(series[key])});
  }
  return layers;
}

function route_goodput(study) {
  const run = study.runs[0];
  if (list(run.series.routes).length < 2) return null;
  const step = run.series.window_s;
  return chart({
    title: named(study, run, "Goodput of each route"),
    step,
    height: 200,
    bands: list(run.events).map((event) => ({from: event.from_s, to: event.to_s, kind: "stall", label: event.what})),
    x: {
      kind: "linear",
      domain: [0, study.scenario.duration_s],
      format: at_text,
      read: (at) => `${at_text(at)} to ${at_text(at + step)}`
    },
    y: {kind: "linear", title: "calls per second", format: compact_text, read: (v) => `${count_text(v)}/s`},
    series: run.series.routes.map((route, i) => ({
                                    id: `r${i}`,
                                    label: route.name,
                                    color: line_colors[i % line_colors.length],
                                    dash: line_dashes[i % line_dashes.length],
                                    points: route.good_per_s.map((value, at) => [at * step, value])
                                  }))
  });
}

/** Goodput and delay over what was varied: the offered load, or one value of the file. */
function sweep_charts(study) {
  const loads = study.kind === "loads";
  const policies = [...new Set(study.runs.map((run) => run.policy))];
  const at = (run) => (loads ? run.total.offered_per_s : run.value);
  const lines = (pick) => policies.map((policy, i) => ({
                                         id: policy,
                                         label: policy_words[policy],
                                         color: `var(${i ? "--l-2" : "--good"})`,
                                         dash: i ? "7 3" : "",
                                         marker: marker_shapes[i],
                                         points: study.runs.filter((run) => run.policy === policy)
                                                     .map((run) => [at(run), pick(run)])
                                                     .sort((a, b) => a[0] - b[0])
                                       }));
  const x = {
    kind: "linear",
    from: 0,
    air: 1.05,
    title: loads ? "offered, calls per second" : study.what_if,
    format: compact_text,
    read: (value) => (loads ? `${count_text(value)}/s offered` : `${study.what_if} = ${value}`)
  };
  const most = study.runs.reduce((sum, run) => Math.max(sum, run.total.good_per_s), 0);
  const all_good = loads ? [{axis: "line", from: [0, 0], to: [most, most], label: "all of it"}] : [];
  return h(
      "div", {}, chart({
        title: loads ? "Goodput against offered load" : `Goodput against ${study.what_if}`,
        height: 300,
        guides: all_good,
        x,
        y: {
          kind: "linear",
          title: "answered in time, per second",
          format: compact_text,
          read: (v) => `${count_text(v)}/s`
        },
        series: lines((run) => run.total.good_per_s)
      }),
      chart({
        title: "p99 of the answers",
        height: 220,
        x,
        y: {
          kind: "linear",
          switch: true,
          title: "milliseconds",
          format: compact_text,
          read: (ms) => time_text(ms * 1000)
        },
        series: lines((run) => run.total.latency_ms.p99)
      }));
}

// ------------------------------------------------------------------------------------------------------------- page

function summary_of(study) {
  const {scenario} = study;
  const facts = `${seconds_text(scenario.duration_s)} of virtual time, the first ${
      seconds_text(scenario.warmup_s)} not counted; ${plural(scenario.servers, "server")}; seed ${scenario.seed}${
      scenario.replayed ? "; arrivals from a recording" : ""}`;
  const tiles = study.kind !== "run" ? [] : study.runs.map((run) => {
    const {total} = run;
    return h(
        "dl", {class: "tiles"},
        tile(
            named(study, run, "answered in time"), share_of(total.good_share),
            `${rate_text(total.good_per_s)} of ${rate_text(total.offered_per_s)}`),
        tile(named(study, run, "answer p99"), milliseconds(total.latency_ms.p99), "of what was answered"),
        tile(named(study, run, "queue p99"), milliseconds(total.queue_ms.p99), "of what started"),
        tile(named(study, run, "waiting"), quantity(count_text(total.waiting_peak), ""), "at most"),
        tile(
            named(study, run, "zombies"), quantity(count_text(total.zombies_peak), ""),
            "at most; work nobody waits for"));
  });
  return h(
      "section", {class: "verdict"}, h("p", {class: "eyebrow"}, "Simulated scenario"), h("h2", {}, scenario.name),
      scenario.description ? h("p", {class: "sentence"}, scenario.description) : null, h("p", {class: "note"}, facts),
      tiles,
      study.runs.every((run) => run.books_balance) ?
          null :
          reasons("The lanes' books do not balance.", ["This is a fault of sluice; please report it."], "bad"));
}

function parts_of(study) {
  if (study.kind !== "run") {
    return study.runs.map((run) => ({
                            name: study.kind === "loads" ? `load \u00d7 ${run.load}` :
                                                           `${study.what_if.split(".").at(-1)} = ${run.value}`,
                            run,
                            part: run.total
                          }));
  }
  const routes = study.runs[0].routes.map((route) => route.name);
  const parts =
      routes.length < 2 ? [] : routes.flatMap((name, i) => study.runs.map((run) => ({name, run, part: run.routes[i]})));
  return [
    ...parts, ...study.runs.map((run) => ({name: routes.length < 2 ? routes[0] : "total", run, part: run.total}))
  ];
}

function show_study(study, main) {
  const parts = parts_of(study);
  const clients = list(study.runs[0].clients);
  main.append(
      h("div", {class: "panel"}, summary_of(study),
        study.kind === "run" ? null : section("The curve", sweep_charts(study)),
        section("Outcomes", outcome_rows(study, parts), time_rows(study, parts)),
        study.kind === "run" && clients.length > 1 ?
            section(
                "Clients",
                outcome_rows(
                    study,
                    clients.flatMap(({name}, i) => study.runs.map((run) => ({name, run, part: run.clients[i]}))))) :
            null,
        study.kind === "run" ? event_rows(study) : null,
        study.kind === "run" ? section("Over virtual time", over_time(study), route_goodput(study)) : null));
}

function start() {
  const main = document.getElementById("main");
  apply_theme(stored_theme());
  document.body.prepend(hatch_definitions());
  const study = JSON.parse(document.getElementById("report-data").textContent);
  document.title = `${study.scenario.name}: overload simulation`;
  document.getElementById("top").append(
      h("div", {class: "top-row"}, h("h1", {}, h("span", {class: "brand"}, "sluice-sim"), " overload simulation"),
        h("div", {class: "top-tools"}, theme_button(),
          h("button", {class: "button quiet", type: "button", on: {click: () => print()}}, "Print"))));
  document.getElementById("foot").append(
      "Drawn from the JSON inside this file. The lanes are the library's own code, in virtual time: the same file gives " +
      "the same figures on every machine. Not simulated: the network, and what refusing costs a processor.");
  show_study(study, main);
  draw_pending();
}
start();
