// page.js: puts the page together: the header, one tab per result, an overview when there are several, a comparison
// when there is something to compare. Panels are built when they are first opened, all of them before printing.

function block(title, ...content) {
  if (content.flat().every((part) => !part)) return null;
  return h("section", {class: "block"}, h("h3", {}, title), content);
}

function run_panel(run) {
  return [
    run_verdict(run), block("Outcomes", outcome_table(run)),
    clients_table(run) && block("Who sent", clients_table(run)), block("Latency", run_percentiles(run)),
    list(run.series?.windows).length ? block("Over time", time_panels(run)) : null,
    h("div", {class: "cards"}, generator_card(run), load_card(run), environment_card(run))
  ];
}

/** One run out of many, chosen from a list, with everything that a run of its own would show. */
function inspector(title, entries, start) {
  if (entries.length === 0) return null;
  const host = h("div", {class: "spaced"});
  const show = (i) => host.replaceChildren(
      ...[outcome_table(entries[i].run), clients_table(entries[i].run), run_percentiles(entries[i].run),
          list(entries[i].run.series?.windows).length ? time_panels(entries[i].run) : null,
          h("div", {class: "cards"}, generator_card(entries[i].run), load_card(entries[i].run))]
          .filter(Boolean));
  const box =
      h("select", {on: {change: () => show(Number(box.value))}},
        entries.map((entry, i) => h("option", {value: i, selected: i === start}, entry.label)));
  show(start);
  return block(title, h("div", {class: "section-tools selects"}, h("label", {}, "Show ", box)), host);
}

function sweep_panel(sweep) {
  const runs = rate_entries(sweep);
  return [
    sweep_verdict(sweep), block("Rate against latency", capacity_charts(sweep)),
    block("Percentiles of all rates", overlaid_percentiles(overlay_entries(sweep))),
    inspector(
        "One rate in detail",
        runs.map((entry) => ({label: `${rate_text(entry.rate)}${entry.failed ? ", invalid" : ""}`, run: entry.run})),
        runs.length - 1),
    h("div", {class: "cards"}, environment_card(sweep))
  ];
}

function probe_label(probe) {
  return `${probe.stage}, ${probe.stage === "ceiling" ? "closed loop" : rate_text(probe.rate_rps)}${
      probe.percent ? ` (${count_text(probe.percent)} %)` : ""}`;
}

function probes_table(search) {
  const rows = list(search.probes)
                   .filter((probe) => probe.run)
                   .map((probe) => ({
                          first: h("b", {}, probe.stage),
                          second: rate_of(probe.stage === "ceiling" ? probe.run.offered_rps : probe.rate_rps),
                          verdict:
                              h("span", {class: "probe-verdict"},
                                pill(probe.passed ? "valid" : "invalid", probe.passed ? "passed" : "failed"),
                                list(probe.failures).length ? h("small", {}, list(probe.failures).join("; ")) : null),
                          run: probe.run
                        }));
  const table = rate_table("All probes, in the order they were made", rows, "rate");
  table.querySelector("thead th").textContent = "stage";
  return table;
}

function search_panel(search) {
  const probes = list(search.probes).filter((probe) => probe.run);
  const limit = Math.max(0, probes.findLastIndex((probe) => probe.stage === "confirm"));
  const overlay = overlay_entries(search);
  return [
    search_verdict(search), block("Capacity", capacity_charts(search)),
    overlay.length ? block("Percentiles", overlaid_percentiles(overlay)) : null,
    list(search.flames).length ? block("Where the time went", flame_section(search.flames)) : null,
    inspector(
        "One probe in detail",
        probes.map((probe) => ({label: `${probe_label(probe)}${probe.passed ? "" : ", failed"}`, run: probe.run})),
        limit),
    probes.length ? block("Probes", probes_table(search)) : null,
    h("div", {class: "cards"}, self_check_card(search), environment_card(search))
  ];
}

const panel_kinds = {
  run: run_panel,
  sweep: sweep_panel,
  search: search_panel
};

// --------------------------------------------------------------------------------------------------------- overview

function overview_row(result, title, open) {
  const link = h("button", {class: "link", type: "button", on: {click: open}}, title);
  const runs = result.kind === "sweep" ? list(result.runs) : [];
  const confirm =
      result.kind === "search" ? list(result.probes).findLast((probe) => probe.stage === "confirm")?.run : null;
  const run = result.kind === "run" ? result :
      runs.length                   ? runs.reduce((a, b) => (rate_of_run(a) > rate_of_run(b) ? a : b)) :
                                      confirm;
  const ok = run?.classes?.["2xx"] ?? {count: 0};
  const what = {
    run: "run",
    sweep: `sweep, ${plural(runs.length, "rate")}; highest shown`,
    search: "search; at its capacity"
  }[result.kind] ??
      result.kind;
  const offered = result.kind === "search" ? result.capacity_rps : run?.offered_rps;
  return [
    h("span", {class: "outcome"}, link, h("small", {}, what)), pill(verdict_of(result)), rate_of(offered),
    rate_of(run?.goodput_rps), share_of(run?.error_ratio),
    ...["p50", "p99", "p999", "max"].map((name) => percentile_cell(ok.latency_us, name, ok.count)),
    list(result.covers).join(", ")
  ];
}

/** Replicates have one name; here each gets its number. */
function distinct_titles(results) {
  const seen = new Map();
  const titles = results.map(result_title);
  return titles.map((title) => {
    seen.set(title, (seen.get(title) ?? 0) + 1);
    return titles.indexOf(title) === titles.lastIndexOf(title) ? title : `${title} (${seen.get(title)})`;
  });
}

function overview_panel(results, titles, open) {
  const bad = results.filter((result) => verdict_of(result) === "invalid").length;
  return [h(
      "section", {class: "block"}, h("h2", {}, "Results at a glance"),
      h("p", {class: "sentence"},
        `${plural(results.length, "result")}, ${
            bad ? `${bad} of them invalid: listed, but without weight.` : "all of them valid."}`),
      table_of({
        caption: "Every result of this report",
        plain: true,
        wide: true,
        head: ["result", "verdict", "rate", "goodput", "not 2xx", "p50", "p99", "p99.9", "max", "covers"],
        rows: results.map((result, i) => overview_row(result, titles[i], () => open(i)))
      }))];
}

// ------------------------------------------------------------------------------------------------------------- tabs

class Tabs {
  /** `tabs`: [{id, label, mark, build}]; build() gives the panel's content. */
  constructor(tabs, main) {
    this.tabs = tabs;
    this.bar = h("div", {class: "tabs", role: "tablist", "aria-label": "Results"});
    for (const tab of tabs) {
      tab.panel = h("div", {
        class: "panel",
        role: "tabpanel",
        id: `panel-${tab.id}`,
        "aria-labelledby": `tab-${tab.id}`,
        hidden: true,
        tabindex: -1
      });
      tab.button =
          h("button", {
            class: "tab",
            type: "button",
            role: "tab",
            id: `tab-${tab.id}`,
            "aria-controls": `panel-${tab.id}`,
            "aria-selected": "false",
            tabindex: -1,
            title: tab.label,
            on: {click: () => this.open(tab), keydown: (event) => this.key(event, tab)}
          },
            tab.mark ? h("span", {class: `tab-mark ${tab.mark}`, "aria-label": verdicts[tab.mark].word},
                         verdicts[tab.mark].mark) :
                       null,
            h("span", {class: "tab-label"}, tab.label));
      this.bar.append(tab.button);
      main.append(tab.panel);
    }
    addEventListener("hashchange", () => this.follow());
  }

  fill(tab) {
    if (tab.filled) return;
    tab.filled = true;
    try {
      tab.panel.append(...tab.build().flat().filter(Boolean));
    } catch (error) {
      tab.panel.append(
          h("section", {class: "verdict"}, reasons("This result could not be drawn.", [String(error)], "bad")));
      console.error(error);
    }
  }

  open(tab, quiet) {
    for (const other of this.tabs) {
      const chosen = other === tab;
      other.button.setAttribute("aria-selected", String(chosen));
      other.button.tabIndex = chosen ? 0 : -1;
      other.panel.hidden = !chosen;
    }
    this.fill(tab);
    draw_pending();
    tab.button.scrollIntoView({block: "nearest", inline: "nearest"});
    if (quiet) return;
    history.replaceState(null, "", `#${tab.id}`);
    scrollTo(0, 0);
  }

  follow() {
    const asked = this.tabs.find((tab) => `#${tab.id}` === location.hash);
    this.open(asked ?? this.tabs[0], true);
  }

  key(event, tab) {
    const at = this.tabs.indexOf(tab);
    const target = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1}[event.key];
    const next = this.tabs[target];
    if (!next) return;
    event.preventDefault();
    this.open(next);
    next.button.focus();
  }
}

function incomplete_banner(report) {
  if (report.complete !== false) return null;
  return h(
      "div", {class: "banner", role: "note"}, h("strong", {}, "INCOMPLETE"),
      h("p", {}, "This report does not show how the server behaves in every kind of scenario. Missing: ",
        list(report.missing).join(", ") || "not said", "."));
}

/** Paper shows every tab, in the light theme. */
function prepare_print(tabs, bar) {
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.theme = "light";
    for (const tab of tabs) {
      bar.fill(tab);
      tab.was_hidden = tab.panel.hidden;
      tab.panel.hidden = false;
    }
    draw_pending();
  });
  addEventListener("afterprint", () => {
    show_theme();
    for (const tab of tabs) tab.panel.hidden = tab.was_hidden;
  });
}

function read_report() {
  try {
    return JSON.parse(document.getElementById("report-data").textContent);
  } catch (error) {
    document.getElementById("main").append(reasons("The data in this page is not a report.", [String(error)], "bad"));
    return {};
  }
}

function start() {
  const report = read_report();
  const results = list(report.results);
  const main = document.getElementById("main");
  apply_theme(stored_theme());
  document.body.prepend(hatch_definitions());
  const titles = distinct_titles(results);
  const tabs = results.map(
      (result, i) => ({
        id: `r${i + 1}`,
        label: titles[i],
        mark: verdict_of(result),
        build: () =>
            (panel_kinds[result.kind] ??
             (() => [h("p", {}, `A result of the kind \u201c${result.kind}\u201d, which this page does not know.`)]))(
                result)
      }));
  const compare = compare_section(results);
  const shown = [...tabs];
  let bar = null;
  if (results.length > 1)
    shown.unshift(
        {id: "overview", label: "Overview", build: () => overview_panel(results, titles, (i) => bar.open(tabs[i]))});
  if (compare)
    shown.splice(results.length > 1 ? 1 : shown.length, 0, {id: "compare", label: "Compare", build: () => [compare]});
  bar = new Tabs(shown, main);
  document.title = results.length === 1 ? `${result_title(results[0])}: load test report` : "Load test report";
  document.getElementById("top").append(
      h("div", {class: "top-row"}, h("h1", {}, h("span", {class: "brand"}, "sluice-load"), " load test report"),
        h("div", {class: "top-tools"}, h("span", {class: "muted made"}, report.generated_at ?? ""), theme_button(),
          h("button", {class: "button quiet", type: "button", on: {click: () => print()}}, "Print"))),
      shown.length > 1 ? bar.bar : "");
  const banner = incomplete_banner(report);
  if (banner) main.prepend(banner);
  document.getElementById("foot").append(
      "Drawn from the JSON inside this file. Latency is measured from the " +
      "planned send time; each outcome has a distribution of its own.");
  prepare_print(shown, bar);
  if (results.length === 0) main.append(h("p", {class: "sentence"}, "This report holds no results."));
  else bar.follow();
}
start();
