// verdict.js: what a result says, in one box: does it count, and the figures one would quote from it.

const verdicts = {
  valid: {mark: "\u2713", word: "valid"},
  invalid: {mark: "\u2715", word: "INVALID"},
  limited: {mark: "\u25b2", word: "generator-limited"},
};

function verdict_of(result) {
  if (result.valid !== true) return "invalid";  // what does not say that it counts does not count
  if (result.kind === "search") return result.limit === "generator" ? "limited" : "valid";
  const runs = result.kind === "sweep" ? list(result.runs) : [result];
  if (runs.some((run) => run.valid !== true)) return "invalid";
  return runs.some((run) => run.generator?.limited) ? "limited" : "valid";
}

const pill = (verdict, text) =>
    h("span", {class: `pill ${verdict}`},
      h("span", {class: "pill-mark", "aria-hidden": "true"}, verdicts[verdict]?.mark ?? ""),
      text ?? verdicts[verdict].word);
const result_title = (result) => result.name || result.target || result.kind;
const kind_words = {
  run: "Run",
  sweep: "Sweep",
  search: "Capacity search"
};

/** A figure of the headline: its name, the quantity, what it is measured against. */
function tile(name, value, remark, tone) {
  const content = value?.number !== undefined ?
      [h("span", {class: "tile-number"}, value.number), h("span", {class: "tile-unit"}, value.unit)] :
      value;
  return h(
      "div", {class: `tile ${tone ?? ""}`}, h("dt", {}, name), h("dd", {}, content),
      remark ? h("p", {}, remark) : null);
}

function reasons(title, texts, tone) {
  if (list(texts).length === 0) return null;
  return h(
      "div", {class: `reasons ${tone}`}, h("strong", {}, title), h("ul", {}, texts.map((text) => h("li", {}, text))));
}

function verdict_head(result) {
  const verdict = verdict_of(result);
  return h(
      "div", {class: "verdict-head"},
      h("div", {}, h("p", {class: "eyebrow"}, kind_words[result.kind] ?? result.kind),
        h("h2", {}, result_title(result)),
        result.target && result.target !== result_title(result) ? h("p", {class: "target"}, result.target) : null),
      pill(verdict));
}

function limited_reason(result) {
  if (verdict_of(result) !== "limited") return null;
  return reasons(
      "The generator was the limit.",
      ["These figures are what the generator could send, not what the server can do. Give it more " +
       "threads or another machine."],
      "warn");
}

/** 40 ms, 200 ms and 1 s are where protocols' timers show, not servers' work. */
function plateau_warnings(run) {
  const values = run.classes?.["2xx"]?.latency_us ?? {};
  const timers =
      [[40e3, "delayed acknowledgement"], [200e3, "shortest retransmission"], [1e6, "lost SYN or a timer of a second"]];
  return ["p999", "max"].flatMap(
      (name) => timers.filter(([us]) => is_number(values[name]) && Math.abs(values[name] / us - 1) < 0.03)
                    .map(
                        ([us, cause]) => `${percentile_labels[name]} of the 2xx is within 3 % of ${
                            time_text(us)}, as a ${cause} would make it.`));
}

function run_verdict(run) {
  const ok = run.classes?.["2xx"] ?? {count: 0};
  const percentile = (name) => {
    const value = percentile_cell(ok.latency_us, name, ok.count);
    return tile(`${percentile_labels[name]} of 2xx`, value, null, value?.number === undefined ? "small" : "");
  };
  const kept = run.offered_rps ? run.goodput_rps / run.offered_rps : null;
  const shape = run.shape?.class ?? "unknown";
  const wall = wall_quantile(run.shape);
  return h(
      "section", {class: "verdict"}, verdict_head(run), reasons("This run does not count:", run.invalid, "bad"),
      limited_reason(run),
      h("dl", {class: "tiles"},
        tile(
            "offered", rate_of(run.offered_rps),
            run.config && !is_number(run.config.rate_rps) ? "closed loop" : `${count_text(run.planned)} planned`),
        tile("goodput", rate_of(run.goodput_rps), is_number(kept) ? `${share_text(kept)} of offered` : "2xx"),
        tile(
            "not 2xx", share_of(run.error_ratio),
            `${count_text(Math.max(0, (run.planned ?? 0) - (ok.count ?? 0)))} requests`),
        ["p50", "p99", "p999", "max"].map(percentile)),
      h("p", {class: "sentence"}, `Shape: ${shape}`,
        wall === null ? "" :
                        `, wall at ${quantile_text(wall)}${
                            is_number(run.shape.wall_us) ? ` (${time_text(run.shape.wall_us)} high)` : ""}`,
        `. ${
            list(run.silences).length ? `${plural(list(run.silences).length, "silence")} in ${
                                            seconds_text(run.duration_s)}: requests waited and not one answer came.` :
                                        `No silences in ${seconds_text(run.duration_s)}.`}`),
      reasons("Warnings", [...list(run.warnings), ...plateau_warnings(run)], "warn"));
}

function sweep_verdict(sweep) {
  const runs = [...list(sweep.runs)].sort((a, b) => rate_of_run(a) - rate_of_run(b));
  const bad = runs.filter((run) => run.valid === false)
                  .map((run) => `${rate_text(rate_of_run(run))}: ${list(run.invalid).join("; ") || "invalid"}`);
  return h(
      "section", {class: "verdict"}, verdict_head(sweep), reasons("Runs that do not count:", bad, "bad"),
      limited_reason(sweep),
      rate_table(
          "The rates",
          runs.map((run) => ({first: rate_of(rate_of_run(run)), verdict: verdict_of({...run, kind: "run"}), run}))));
}

function rate_table(caption, entries, extra) {
  return table_of({
    caption,
    wide: true,
    head: [
      "rate", ...(extra ? [extra] : []), "verdict", "goodput", "not 2xx", "p50", "p99", "p99.9", "max", "wall", "shape"
    ],
    rows: entries.map(({first, second, verdict, run}) => {
      const ok = run.classes?.["2xx"] ?? {count: 0};
      const wall = wall_quantile(run.shape);
      return [
        first, ...(extra ? [second] : []), verdict instanceof Node ? verdict : pill(verdict), rate_of(run.goodput_rps),
        share_of(run.error_ratio),
        ...["p50", "p99", "p999", "max"].map((name) => percentile_cell(ok.latency_us, name, ok.count)),
        wall === null ? quantity("none", "") : quantity(quantile_text(wall), ""), run.shape?.class ?? "unknown"
      ];
    })
  });
}

/** The four rates of a search on one scale. */
function ladder(search) {
  const rows = [
    ["R_slo", list(search.slos).join(", ") || "the conditions", search.capacity_rps, "main"],
    ["R_good", "max below 200 ms", search.good_rps],
    ["R_ok", "max below 1 s", search.ok_rps],
    ["ceiling", "closed loop, 2xx only", search.ceiling_rps],
  ];
  const top = Math.max(1, ...rows.map((row) => row[2] || 0));
  return h(
      "div", {class: "ladder"},
      rows.map(
          ([name, words, rate, tone]) =>
              h("div", {class: `rung ${tone ?? ""}`},
                h("span", {class: "rung-name"}, h("b", {}, name), h("small", {}, words)),
                h("span", {class: "rung-bar", "aria-hidden": "true"},
                  h("i", {style: {width: `${(100 * (rate || 0)) / top}%`}})),
                h("span", {class: "rung-value"}, rate > 0 ? rate_text(rate) : "none passed"))));
}

function search_verdict(search) {
  const found = search.capacity_rps > 0;
  const confirm = list(search.probes).findLast((probe) => probe.stage === "confirm")?.run;
  const shape = search.shape?.class ?? "unknown";
  const wall = wall_quantile(search.shape);
  const kept = search.goodput_kept_200;
  const overload = list(search.probes).some((probe) => probe.stage === "overload");
  return h(
      "section", {class: "verdict"}, verdict_head(search),
      reasons("This search does not count:", search.invalid, "bad"), limited_reason(search),
      h("div", {class: "headline"},
        h("div", {class: "hero"}, h("p", {class: "hero-label"}, "capacity"),
          h("p", {class: "hero-number"}, found ? count_text(search.capacity_rps) : "none"),
          found ? h("p", {class: "hero-unit"}, "requests per second") : null,
          found ? h("p", {class: "hero-interval"},
                    `between ${count_text(search.capacity_low_rps)} (last pass) and ${
                        count_text(search.capacity_high_rps)} (first failure)`) :
                  h("p", {class: "hero-interval"}, "no rate met the conditions"),
          h("p", {class: "hero-slo"}, `with ${list(search.slos).join(" and ")}`)),
        ladder(search)),
      h("dl", {class: "tiles"},
        tile(
            "what ends it", h("span", {class: "tile-word"}, search.limit || "unknown"), search.limit_evidence,
            "wide-tile"),
        overload && is_number(kept) ? tile("goodput kept at 200 %", share_of(kept), "of the capacity") : null,
        overload && is_number(search.recovery_s) ?
            (search.recovery_s < 0 ?
                 tile("recovery", h("span", {class: "tile-word"}, "not seen"), "p99 did not come back") :
                 tile("recovery", time_of(search.recovery_s * 1e6), "until p99 was back")) :
            null,
        tile(
            "class at the limit", h("span", {class: "tile-word"}, shape),
            wall === null ? "no wall seen" :
                            `wall at ${quantile_text(wall)}${
                                is_number(search.shape.wall_us) ? `, ${time_text(search.shape.wall_us)}` : ""}`),
        confirm ? ["p50", "p99", "max"].map((name) => {
          const value = percentile_cell(confirm.classes?.["2xx"]?.latency_us, name, confirm.classes?.["2xx"]?.count);
          return tile(`${name} at the limit`, value, null, value?.number === undefined ? "small" : "");
        }) :
                  null),
      search.first_full ? h("p", {class: "sentence"}, "First full: ", search.first_full) : null);
}

function self_check_card(search) {
  const check = search.self_check;
  if (!check)
    return h(
        "section", {class: "card"}, h("h3", {}, "Self check"),
        h("p", {}, "The generator was not measured by itself before this search."));
  return h(
      "section", {class: "card"}, h("h3", {}, "Self check"),
      h("p", {class: "note"}, "The generator against a server that only answers, before the search."), facts([
        ["ceiling", rate_text(check.ceiling_rps)], ["p50 at half of it", time_text(check.floor_p50_us)],
        ["send lag, p99.9", time_text(check.send_lag_p999_us)],
        [
          "capacity found, of that ceiling",
          check.ceiling_rps > 0 && search.capacity_rps > 0 ? share_text(search.capacity_rps / check.ceiling_rps) : ""
        ]
      ]),
      list(check.problems).length ? reasons("Problems", check.problems, "warn") : h("p", {}, "No problems."));
}
