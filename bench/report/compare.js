// compare.js: results beside each other. Results of the same name, target and commit are replicates of one another;
// two such groups are compared by their medians, and where their intervals overlap nothing is claimed.

const replicates_min = 3;

/** The figures that are compared; `up`: more is better. */
const compared_figures = {
  run: [
    {name: "goodput", up: true, of: (r) => r.goodput_rps, show: rate_of},
    {name: "not 2xx", of: (r) => r.error_ratio, show: share_of},
    ...["p50", "p99", "p999", "max"].map((key) => ({
                                           name: `${percentile_labels[key]} of 2xx`,
                                           of: (r) => r.classes?.["2xx"]?.latency_us?.[key],
                                           show: time_of
                                         })),
    {name: "service time p99", of: (r) => r.classes?.["2xx"]?.service_us?.p99, show: time_of},
  ],
  search: [
    {name: "capacity", up: true, of: (r) => r.capacity_rps, show: rate_of},
    {name: "R_good", up: true, of: (r) => r.good_rps, show: rate_of},
    {name: "R_ok", up: true, of: (r) => r.ok_rps, show: rate_of},
    {name: "ceiling", up: true, of: (r) => r.ceiling_rps, show: rate_of},
    {name: "goodput kept at 200 %", up: true, of: (r) => r.goodput_kept_200, show: share_of},
    {name: "recovery", of: (r) => (r.recovery_s >= 0 ? r.recovery_s * 1e6 : null), show: time_of},
  ],
};

const group_key = (result) =>
    JSON.stringify([result.kind, result.name, result.target, result.environment?.commit, result.config?.rate_rps]);

function replicate_groups(results) {
  const groups = new Map();
  for (const result of results) {
    if (!(result.kind in compared_figures)) continue;
    const key = group_key(result);
    if (!groups.has(key)) groups.set(key, {kind: result.kind, results: [], skipped: 0, first: result});
    const group = groups.get(key);
    if (result.valid === false) ++group.skipped;
    else group.results.push(result);
  }
  return [...groups.values()].filter((group) => group.results.length > 0);
}

function label_groups(groups) {
  for (const group of groups) {
    const {first} = group;
    const twins = groups.filter((other) => other.first.name === first.name);
    const more = [];
    if (twins.some((other) => other.first.environment?.commit !== first.environment?.commit))
      more.push(first.environment?.commit?.slice(0, 10) || "no commit");
    if (twins.some((other) => other.first.target !== first.target)) more.push(first.target);
    if (twins.some((other) => other.first.config?.rate_rps !== first.config?.rate_rps))
      more.push(rate_text(first.config?.rate_rps));
    group.label = [result_title(first), ...more].join(", ");
  }
  return groups;
}

function spread(group, figure) {
  const values = group.results.map(figure.of).filter(is_number);
  if (values.length === 0) return null;
  return {values, median: median(values), low: Math.min(...values), high: Math.max(...values)};
}

/** "better", "same", "worse" or "unknown", of B against A, and why. */
function judgement(a, b, figure) {
  if (!a || !b) return {word: "unknown", why: "not measured in both"};
  if (Math.min(a.values.length, b.values.length) < replicates_min)
    return {word: "unknown", why: `fewer than ${replicates_min} replicates`};
  const overlap = a.low <= b.high && b.low <= a.high;
  const ratio = a.median === 0 ? (b.median === 0 ? 1 : Infinity) : b.median / a.median;
  if (overlap)
    return Math.abs(ratio - 1) < 0.02 ? {word: "same", why: "medians within 2 %"} :
                                        {word: "unknown", why: "the intervals overlap"};
  return {word: (b.median > a.median) === Boolean(figure.up) ? "better" : "worse", why: "the intervals do not overlap"};
}

const judgement_marks = {
  better: "\u25b2",
  worse: "\u25bc",
  same: "=",
  unknown: "?"
};

function spread_text(spread_of, figure) {
  if (!spread_of) return nothing;
  return figure.show(spread_of.median);
}
function interval_text(spread_of, figure) {
  if (!spread_of) return "";
  return spread_of.values.length < 2 ?
      "one run" :
      `${quantity_text(figure.show(spread_of.low))} to ${quantity_text(figure.show(spread_of.high))}`;
}

/** Two intervals with their medians and every replicate on one scale. */
function interval_picture(a, b) {
  const all = [a, b].filter(Boolean);
  if (all.length === 0) return "";
  const low = Math.min(...all.map((one) => one.low));
  const high = Math.max(...all.map((one) => one.high));
  const at = linear_scale([low, high === low ? low + 1 : high], [6, 134]).at;
  const row = (one, y, color) =>
      (one ?
           [
             s("line", {x1: at(one.low), x2: at(one.high), y1: y, y2: y, class: "interval", style: {stroke: color}}),
             one.values.map(
                 (value) => s("circle", {cx: at(value), cy: y, r: 2.4, class: "replicate", style: {stroke: color}})),
             s("rect", {x: at(one.median) - 1.5, y: y - 6, width: 3, height: 12, style: {fill: color}})
           ] :
           []);
  return s(
      "svg", {class: "intervals", width: 140, height: b ? 34 : 18, "aria-hidden": "true"}, row(a, 9, "var(--l-1)"),
      row(b, 25, "var(--l-5)"));
}

function replicate_table(groups) {
  return groups.map((group) => table_of({
                      caption: `${group.label}: ${plural(group.results.length, "replicate")}` +
                          (group.skipped ? `, ${plural(group.skipped, "invalid one")} left out` : ""),
                      head: ["figure", "median", "smallest to largest", ""],
                      rows: compared_figures[group.kind]
                                .map((figure) => {
                                  const one = spread(group, figure);
                                  return one && [
                                    figure.name, spread_text(one, figure), interval_text(one, figure),
                                    interval_picture(one, null)
                                  ];
                                })
                                .filter(Boolean)
                    }));
}

function differing_conditions(a, b) {
  const names = {
    kernel: "kernel",
    cpu: "CPU",
    cpus: "number of CPUs",
    compiler: "compiler",
    build: "build",
    host: "host",
    mitigations: "mitigations",
    generator_cpus: "generator\u2019s CPUs"
  };
  return Object.keys(names)
      .filter((key) => a.first.environment?.[key] !== b.first.environment?.[key])
      .map((key) => names[key]);
}

function comparison(a, b) {
  const figures = compared_figures[a.kind];
  const differ = differing_conditions(a, b);
  const rows =
      figures
          .map((figure) => {
            const [of_a, of_b] = [spread(a, figure), spread(b, figure)];
            if (!of_a && !of_b) return null;
            const {word, why} = judgement(of_a, of_b, figure);
            const change = of_a && of_b && of_a.median !== 0 ? (of_b.median / of_a.median - 1) * 100 : null;
            const sign = change > 0 ? "+" : "\u2212";
            return [
              figure.name,
              h("span", {class: `judgement ${word}`}, h("b", {}, `${judgement_marks[word]} ${word}`),
                h("small", {}, why)),
              spread_text(of_a, figure), h("span", {class: "interval-text"}, interval_text(of_a, figure)),
              spread_text(of_b, figure), h("span", {class: "interval-text"}, interval_text(of_b, figure)),
              interval_picture(of_a, of_b),
              change === null ? nothing :
                                quantity(Math.abs(change) < 0.05 ? "0.0" : `${sign}${Math.abs(change).toFixed(1)}`, "%")
            ];
          })
          .filter(Boolean);
  const n = Math.min(a.results.length, b.results.length);
  return h(
      "div", {},
      differ.length ?
          reasons("The conditions differ:", [`${differ.join(", ")}. What differs below may come from that.`], "warn") :
          null,
      table_of({
        caption:
            `A: ${a.label} (${plural(a.results.length, "run")}).  B: ${b.label} (${plural(b.results.length, "run")}).`,
        wide: true,
        head: [
          "figure", "B is", "A, median", "A, interval", "B, median", "B, interval", "A above, B below", "B against A"
        ],
        rows
      }),
      h("p", {class: "note"},
        "Intervals: smallest to largest replicate. Where they overlap nothing is claimed. " +
            (n >= replicates_min ?
                 `With ${n} replicates a side, two equal systems look different in one figure once in ${
                     count_text(Math.round(chance_of_split(n)))} comparisons.` :
                 `At least ${replicates_min} replicates on each side are needed for a claim.`)));
}

/** How many comparisons of equal systems it takes, on average, until n values all lie on one side of n others. */
function chance_of_split(n) {
  let ways = 1;
  for (let i = 1; i <= n; ++i) ways = (ways * (n + i)) / i;
  return ways / 2;
}

function compare_section(results) {
  const groups = label_groups(replicate_groups(results));
  const kinds =
      Object.keys(compared_figures).filter((kind) => groups.filter((group) => group.kind === kind).length >= 2);
  const repeated = groups.filter((group) => group.results.length >= 2);
  if (kinds.length === 0 && repeated.length === 0) return null;
  const parts = kinds.map((kind) => {
    const mine = groups.filter((group) => group.kind === kind);
    const order = [...mine.keys()].sort((x, y) => mine[y].results.length - mine[x].results.length || x - y);
    const host = h("div", {});
    const select = (label, chosen) =>
        h("label", {}, label,
          h("select", {on: {change: () => show()}},
            mine.map(
                (group, i) =>
                    h("option", {value: i, selected: i === chosen}, `${group.label} (${group.results.length})`))));
    const pair = [order[0], order[1]].sort((x, y) => x - y);
    const [left, right] = [select("A ", pair[0]), select("B ", pair[1])];
    const chosen = (label) => mine[Number(label.querySelector("select").value)];
    const show = () => host.replaceChildren(
        chosen(left) === chosen(right) ? h("p", {class: "note"}, "Choose two different groups.") :
                                         comparison(chosen(left), chosen(right)));
    show();
    return h(
        "section", {class: "block"},
        h("h3", {}, kinds.length > 1 ? `A against B: ${kind === "run" ? "runs" : "searches"}` : "A against B"),
        h("div", {class: "section-tools selects"}, left, right), host);
  });
  if (repeated.length)
    parts.push(
        h("section", {class: "block"}, h("h3", {}, "Replicates"), h("div", {class: "two"}, replicate_table(repeated))));
  return h("div", {}, parts);
}
