// tables.js: tables, and the figures of a run in them: outcomes, clients, the generator's own, the conditions.

/** A cell's content: a quantity becomes a number and a unit that line up with the cells above and below. */
function cell(value, row_head, units) {
  const tag = row_head ? "th" : "td";
  const scope = row_head ? {scope: "row"} : {};
  if (value && typeof value === "object" && "number" in value) {
    return h(tag, {class: "n", ...scope}, value.number, units ? h("span", {class: "unit"}, value.unit) : null);
  }
  return h(tag, {class: value?.classList?.contains("few") ? "n" : "", ...scope}, value ?? "");
}

/** `head`: texts. `rows`: arrays of texts, elements and quantities. `foot`: a last row set apart. */
function table_of({caption, plain, head, rows, foot, wide}) {
  const column = (i, test) => rows.some((row) => row[i] && typeof row[i] === "object" && test(row[i]));
  const numeric = head.map((_, i) => column(i, (value) => "number" in value || value.classList?.contains("few")));
  const units = head.map((_, i) => column(i, (value) => Boolean(value.unit)));
  // The visible caption stands outside of what scrolls, so that a narrow screen does not cut it.
  return h(
      "div", {class: "table-block"}, plain ? null : h("p", {class: "caption", "aria-hidden": "true"}, caption),
      h("div", {class: `table-wrap ${wide ? "wide" : ""}`, tabindex: 0, role: "region", "aria-label": caption},
        h("table", {class: "data"}, h("caption", {class: "unseen"}, caption),
          h("thead", {},
            h("tr", {},
              head.map(
                  (text, i) =>
                      h("th", {scope: "col", class: numeric[i] ? `n ${units[i] ? "with-unit" : ""}` : ""}, text)))),
          h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value, i) => cell(value, i === 0, units[i]))))),
          foot ? h("tfoot", {}, h("tr", {}, foot.map((value, i) => cell(value, i === 0, units[i])))) : null)));
}

const too_few = () => h("span", {class: "few"}, "too few samples");

/** A percentile of a distribution with `count` samples; `bounds`: names from which on it is only a lower bound. */
function percentile_cell(values, name, count, bounds) {
  if (!count) return nothing;
  if (!is_number(values?.[name])) return too_few();
  const time = time_of(values[name]);
  const bounded = bounds && percentile_names.indexOf(name) >= percentile_names.indexOf(bounds);
  return bounded ? quantity(`\u2265 ${time.number}`, time.unit) : time;
}

const shown_percentiles = ["p50", "p90", "p99", "p999", "p9999", "max"];

function share_bar(ratio, color, pattern) {
  const width = ratio > 0 ? Math.max(1.5, ratio * 100) : 0;
  const shape = {x: 0, y: 1, height: 8, rx: 1.5, width};
  return s(
      "svg", {class: "share-bar", viewBox: "0 0 100 10", width: 100, height: 10, "aria-hidden": "true"},
      s("rect", {class: "share-rest", x: 0, y: 1, width: 100, height: 8, rx: 1.5}),
      s("rect", {...shape, style: {fill: color}}),
      pattern ? s("rect", {...shape, style: {fill: `url(#hatch-${pattern})`}}) : null);
}

/** How each planned request ended, with its own distribution; in planned or in service time. */
function outcome_table(run) {
  const host = h("div", {});
  const planned = run.planned || outcomes.reduce((sum, o) => sum + (run.classes?.[o.key]?.count ?? 0), 0);
  const show = (kind) => {
    const present = outcomes.filter((o) => o.key === "2xx" || run.classes?.[o.key]?.count > 0);
    const absent = outcomes.filter((o) => !present.includes(o)).map((o) => o.label);
    const rows = present.map((o) => {
      const of = run.classes?.[o.key] ?? {count: 0};
      const bounds = o.key === "unanswered" ? "p50" : null;
      return [
        h("span", {class: "outcome"}, swatch(o.color, o.pattern), h("b", {}, o.label), h("small", {}, o.words)),
        quantity(count_text(of.count), ""), share_of(planned ? of.count / planned : 0),
        share_bar(planned ? of.count / planned : 0, o.color, o.pattern),
        ...shown_percentiles.map((name) => percentile_cell(of[kind], name, of.count, bounds))
      ];
    });
    const foot = kind === "service_us" ? null : [
      h("span", {class: "outcome"}, h("b", {}, "all planned")), quantity(count_text(planned), ""),
      share_of(planned ? 1 : null), "",
      ...shown_percentiles.map((name) => percentile_cell(run.all_us, name, planned, run.all_at_least))
    ];
    const button = (other, text) => h(
        "button",
        {class: "button small", type: "button", "aria-pressed": String(other === kind), on: {click: () => show(other)}},
        text);
    host.replaceChildren(
        h("div", {class: "section-tools", role: "group", "aria-label": "Times in the table"},
          button("latency_us", "from the planned send time"),
          button("service_us", "service time, from the actual send")),
        table_of({
          caption: "How the requests ended",
          plain: true,
          wide: true,
          head: ["outcome", "count", "share", "", ...shown_percentiles.map((name) => percentile_labels[name])],
          rows,
          foot
        }),
        h("p", {class: "note"},
          (absent.length ? `Not one of: ${absent.join(", ")}. ` : "") +
              (kind === "latency_us" && run.all_at_least ?
                   "\u2265: a lower bound, because requests were still waiting at the end. " :
                   "") +
              "Times of each outcome stand alone: a fast refusal does not improve the answers."));
  };
  show("latency_us");
  return host;
}

function clients_table(run) {
  const clients = list(run.clients);
  if (clients.length < 2) return null;
  return table_of({
    caption: "Clients",
    plain: true,
    wide: true,
    head: [
      "clients", "planned", "sent", "unsent", "retried", "connects", "failed", "out", "in", "2xx", "2xx p50", "2xx p99",
      "2xx max"
    ],
    rows: clients.map((one) => {
      const ok = one.classes?.["2xx"] ?? {count: 0};
      return [
        h("span", {class: "outcome"}, h("b", {}, one.name),
          one.background ? h("small", {}, "background, not counted") : null),
        ...["planned", "sent", "unsent", "retried", "connects", "connect_failures"].map(
            (key) => quantity(count_text(one[key]), "")),
        bytes_of(one.bytes_sent), bytes_of(one.bytes_received), quantity(count_text(ok.count), ""),
        ...["p50", "p99", "max"].map((name) => percentile_cell(ok.latency_us, name, ok.count))
      ];
    })
  });
}

/** What the generator adds by itself, which is what decides whether the run counts. */
function generator_card(run) {
  const own = run.generator ?? {};
  const stalls = list(own.stalls);
  const rows = [
    ["send lag (due and free, until written)", run.send_lag_us], ["wait for a free connection", run.connection_wait_us],
    ["TCP connect", run.connect_us]
  ].filter(([, values]) => is_number(values?.p50));
  return h(
      "section", {class: "card"}, h("h3", {}, "Generator"), facts([
        ["limit", own.limited ? "it was the limit: the server could do more" : "it was not the limit"],
        ["threads", count_text(own.threads)], ["CPU of its threads", share_text(own.cpu_ratio)],
        ["busy", share_text(own.busy_ratio)], ["CPU per request", time_text(own.cpu_us_per_request)],
        ["stolen by the hypervisor", share_text(own.steal_ratio)],
        [
          "stalls",
          stalls.length ?
              `${stalls.length}, ${seconds_text(stalls.reduce((sum, one) => sum + one.to_s - one.from_s, 0))} in all` :
              "none"
        ],
        ["connects", `${count_text(run.connects)}, ${count_text(run.connect_failures)} failed`],
        ["bytes", `${bytes_text(run.bytes_sent)} out, ${bytes_text(run.bytes_received)} in`]
      ]),
      rows.length ? table_of({
        caption: "What it added",
        head: ["", "p50", "p99", "p99.9", "max"],
        rows: rows.map(
            ([label,
              values]) => [label, ...["p50", "p99", "p999", "max"].map((name) => percentile_cell(values, name, 1))])
      }) :
                    null);
}

/** Names and values; values are texts or elements, empty ones are left out. */
function facts(pairs) {
  return h(
      "dl", {class: "facts"},
      pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== "\u2013")
          .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function copy_block(text) {
  const code = h("code", {}, text);
  const button =
      h("button", {
        class: "button small copy",
        type: "button",
        on: {
          click: async () => {
            try {
              await navigator.clipboard.writeText(text);
              button.textContent = "copied";
            } catch {
              getSelection().selectAllChildren(code);
              button.textContent = "selected";
            }
            setTimeout(() => {
              button.textContent = "copy";
            }, 1500);
          }
        }
      },
        "copy");
  return h("div", {class: "copy-block"}, h("pre", {tabindex: 0}, code), button);
}

function requests_text(client) {
  const requests = list(client.requests);
  const total = requests.reduce((sum, one) => sum + (one.weight ?? 1), 0) || 1;
  const words = requests.slice(0, 5).map(
      (one) => `${one.method} ${one.target}${one.body_bytes ? `, ${bytes_text(one.body_bytes)} body` : ""}` +
          (requests.length > 1 ? ` (${share_text((one.weight ?? 1) / total)})` : ""));
  return words.join("; ") + (requests.length > 5 ? `; and ${requests.length - 5} more` : "");
}

function manner_text(client) {
  const words = [];
  const say = (value, text) => {
    if (value) words.push(text(value));
  };
  say(client.pipeline > 1 && client.pipeline, (n) => `${n} requests under way per connection`);
  say(client.requests_per_connection, (n) => `${plural(n, "request")} per connection`);
  say(client.read_bytes_per_s, (n) => `reads ${bytes_text(n)}/s`);
  say(client.write_bytes_per_s, (n) => `writes ${bytes_text(n)}/s`);
  say(client.give_up_after_ms, (n) => `gives up after ${time_text(n * 1000)}`);
  say(client.retries, (n) => `retries up to ${n}\u00d7`);
  say(client.deadline_ms, (n) => `deadline ${time_text(n * 1000)}`);
  return words.join(", ");
}

function load_card(run) {
  const config = run.config;
  if (!config) return null;
  const loop = (one) =>
      (is_number(one.rate_rps) && one.rate_rps > 0 ? `${rate_text(one.rate_rps)}, ${one.arrival ?? ""} arrivals` :
                                                     "closed loop");
  return h(
      "section", {class: "card"}, h("h3", {}, "Load"), facts([
        ["rate", loop(config)], ["pattern", config.pattern], ["connections", count_text(config.connections)],
        ["generator threads", count_text(config.threads)], ["measured", seconds_text(config.duration_s)],
        ["warm-up before", seconds_text(config.warmup_s)], ["seed", is_number(config.seed) ? String(config.seed) : ""],
        ["target", run.target ?? ""]
      ]),
      list(config.clients)
          .map(
              (one) => h("div", {class: "client"}, h("h4", {}, one.name, one.background ? " (background)" : ""), facts([
                           ["connections", count_text(one.connections)], ["rate", loop(one)],
                           ["requests", requests_text(one)], ["manner", manner_text(one)]
                         ]))));
}

function environment_card(result) {
  const e = result.environment ?? {};
  return h(
      "section", {class: "card"}, h("h3", {}, "Conditions"), facts([
        ["sluice-load", [e.version, e.build].filter(Boolean).join(", ")],
        ["commit", e.commit ? h("code", {}, e.commit) : ""], ["compiler", e.compiler], ["host", e.host],
        ["kernel", e.kernel],
        ["CPU", [e.cpu, is_number(e.cpus) ? plural(e.cpus, "CPU") : ""].filter(Boolean).join(", ")],
        ["generator on CPU", e.generator_cpus], ["memory", bytes_text(e.memory_bytes)],
        ["descriptors at most", count_text(e.descriptors_max)], ["mitigations", e.mitigations],
        ["started", result.started_at], ["covers", list(result.covers).join(", ")]
      ]),
      result.command ? h("div", {}, h("h4", {}, "Command"), copy_block(result.command)) : null);
}
