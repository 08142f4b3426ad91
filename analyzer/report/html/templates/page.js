"use strict";
// The page's own script: copies, switches light and dark, and shows the connections that stand as columns
// of numbers in the element "data". Every text goes into the page as text, never as markup.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const byId = (id) => document.getElementById(id);

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  // -- copying

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // No permission, or no secure context: the old way, through a selection.
      const area = element("textarea", { class: "hidden" });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const done = await copy(button.parentElement.querySelector("code").textContent);
    button.textContent = done ? "Copied" : "Not allowed here";
    button.classList.toggle("done", done);
    setTimeout(() => { button.textContent = "Copy"; button.classList.remove("done"); }, 1600);
  });

  // -- light and dark

  const stored = () => { try { return localStorage.getItem("negdiag-theme"); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem("negdiag-theme", theme); } catch { /* a page from disk may not */ } };
  if (stored()) root.dataset.theme = stored();
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    store(root.dataset.theme);
  });

  // -- printing shows what is folded

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of folded) one.open = false; });

  // -- connections

  if (!byId("data")) return;
  const data = JSON.parse(byId("data").textContent);
  const columns = data.columns;
  const count = columns.stream.length;
  const several = data.captures.length > 1;
  const PAGE = 50;

  const table = (name) => (number) => (number < 0 ? "" : data[name][number]);
  const [client, server, names, slugs, dialect] = ["clients", "servers", "names", "slugs", "dialects"].map(table);
  const outcome = (number) => data.outcomes[number][0];

  function duration(microseconds) {
    if (microseconds === null) return "";
    if (microseconds < 1000) return `${microseconds.toFixed(0)} µs`;
    if (microseconds < 1e6) return `${Number((microseconds / 1e3).toPrecision(3))} ms`;
    return `${(microseconds / 1e6).toFixed(microseconds < 1e8 ? 2 : 0)} s`;
  }
  function moment(microseconds) {
    const milliseconds = Math.floor(microseconds / 1000);
    const rest = String(microseconds - milliseconds * 1000).padStart(3, "0");
    const [date, time] = new Date(milliseconds).toISOString().split("T");
    return [whole(time.replace("Z", rest)), " ", element("span", { class: "quiet" }, date)];
  }

  const address = (row) => {
    const host = client(columns.client[row]);
    return `${host.includes(":") ? `[${host}]` : host}:${columns.port[row]}`;
  };
  const badge = (number) => {
    const [name, symbol] = data.outcomes[number];
    return element("span", { class: `badge o-${name}` }, element("span", { "aria-hidden": "true" }, symbol), ` ${name}`);
  };
  // Short words stay in one piece; what a capture makes long may be broken anywhere.
  const whole = (text) => (text.length > 24 ? text : element("span", { class: "whole" }, text));
  function named(text, name) {
    return name < 0 ? [whole(text)] : [whole(text), " ", element("span", { class: "quiet" }, names(name))];
  }
  const slugged = (text) => text.split(" ").flatMap((slug, at) => [at ? ", " : "", element("span", { class: "whole" }, slug)]);
  function reasons(row) {
    const causes = slugs(columns.causes[row]);
    const warnings = slugs(columns.warnings[row]);
    return [...(causes ? [element("b", {}, ...slugged(causes))] : []),
      ...(causes && warnings ? [" "] : []),
      ...(warnings ? [element("span", { class: "quiet" }, ...slugged(warnings))] : [])];
  }

  // What is shown of a connection: title, its cell, the column (or pair of columns) that orders it.
  const COLUMNS = [
    ...(several ? [{ title: "Capture", cell: (row) => [data.captures[columns.capture[row]]], keys: ["capture", "stream"] }] : []),
    { title: "Stream", cell: null, keys: ["stream", "capture"], number: true },
    { title: "Client", cell: (row) => named(address(row), columns.clientName[row]), keys: ["client", "port"] },
    { title: "Server", cell: (row) => named(server(columns.server[row]), columns.serverName[row]), keys: ["server", "stream"] },
    { title: "Outcome", cell: (row) => [badge(columns.outcome[row])], keys: ["outcome", "causes"] },
    { title: "Causes, warnings", cell: reasons, keys: ["causes", "warnings"], name: "causes" },
    { title: "Dialect", cell: (row) => [whole(dialect(columns.dialect[row]))], keys: ["dialect", "stream"] },
    { title: "Answer", cell: (row) => [duration(columns.took[row])], keys: ["took", "stream"], number: true },
    { title: "Began (UTC)", cell: (row) => moment(columns.began[row]), keys: ["began", "stream"], name: "began" },
  ];

  const state = { order: Array.from({ length: count }, (_, row) => row), column: null, descending: false, words: [], exact: {}, page: 0, rows: [] };

  let haystack = null;
  function searched(row) {
    haystack ||= Array.from({ length: count }, (_, at) => [
      several ? data.captures[columns.capture[at]] : "", `stream ${columns.stream[at]}`, address(at), server(columns.server[at]),
      names(columns.clientName[at]), names(columns.serverName[at]), outcome(columns.outcome[at]),
      slugs(columns.causes[at]), slugs(columns.warnings[at]), dialect(columns.dialect[at]),
    ].join("\n").toLowerCase());
    return haystack[row];
  }

  function select() {
    const { words, exact } = state;
    const wanted = Object.entries(exact);
    state.rows = words.length || wanted.length
      ? state.order.filter((row) => wanted.every(([key, value]) => columns[key][row] === value) && words.every((word) => searched(row).includes(word)))
      : state.order;
    state.page = 0;
    show();
  }

  function sort(column) {
    state.descending = state.column === column ? !state.descending : false;
    state.column = column;
    const [first, second] = column.keys.map((key) => columns[key]);
    const sign = state.descending ? -1 : 1;
    // What is absent stands last, whichever way the rest is ordered.
    const rank = (value) => (value === null || value === -1 ? Infinity : value * sign);
    state.order.sort((a, b) => {
      const [left, right] = [rank(first[a]), rank(first[b])];
      if (left !== right) return left < right ? -1 : 1;
      return (second[a] - second[b]) || (a - b);
    });
    for (const cell of head.children) {
      const sorted = COLUMNS[cell.cellIndex] === column;
      if (sorted) cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    select();
  }

  const head = element("tr", {});
  const body = byId("table").tBodies[0];
  byId("table").tHead.append(head);
  for (const column of COLUMNS) {
    const button = element("button", { type: "button" }, column.title);
    button.addEventListener("click", () => sort(column));
    head.append(element("th", { scope: "col", class: column.number && "number" }, button));
  }

  function line(row) {
    const cells = COLUMNS.map((column) => {
      if (column.cell === null) {
        const open = element("button", { type: "button", class: "open", "aria-expanded": "false", "aria-label": `Stream ${columns.stream[row]}: show its steps` }, String(columns.stream[row]));
        return element("th", { scope: "row", class: "number", "data-label": column.title }, open);
      }
      return element("td", { "data-label": column.title, class: [column.number && "number", column.name].filter(Boolean).join(" ") || null }, ...column.cell(row));
    });
    const made = element("tr", { class: "row" }, ...cells);
    made.addEventListener("click", (event) => {
      if (getSelection().toString() && !event.target.closest("button")) return;
      toggle(made, row);
    });
    return made;
  }

  function toggle(made, row) {
    const button = made.querySelector(".open");
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) made.nextElementSibling.remove();
    else made.after(element("tr", { class: "detail" }, element("td", { colspan: COLUMNS.length }, ...detail(row))));
  }

  function show() {
    const { rows, page } = state;
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    body.replaceChildren(...rows.slice(page * PAGE, (page + 1) * PAGE).map(line));
    const all = `${count.toLocaleString("en")} connection${count === 1 ? "" : "s"}`;
    byId("found").textContent = rows.length === count ? all : `${rows.length.toLocaleString("en")} of ${all}`;
    byId("pager").hidden = pages < 2;
    byId("page").textContent = `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page + 1 >= pages;
  }
  byId("previous").addEventListener("click", () => { state.page -= 1; show(); });
  byId("next").addEventListener("click", () => { state.page += 1; show(); });

  // -- filters

  byId("filter").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    select();
  });
  byId("outcome").addEventListener("change", (event) => {
    const number = data.outcomes.findIndex(([name]) => name === event.target.value);
    if (number < 0) delete state.exact.outcome;
    else state.exact.outcome = number;
    select();
  });

  const EXACT = { client: data.clients, server: data.servers, causes: data.slugs };
  function chips() {
    byId("chips").replaceChildren(...Object.keys(EXACT).filter((key) => key in state.exact).map((key) => {
      const chip = element("button", { type: "button", class: "chip", "aria-label": `Remove the filter on ${key}` }, `${key} ${EXACT[key][state.exact[key]]} ×`);
      chip.addEventListener("click", () => { delete state.exact[key]; chips(); select(); });
      return chip;
    }));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".narrow");
    if (!link) return;
    state.exact = {};
    state.words = [];
    byId("filter").value = "";
    byId("outcome").value = link.dataset.outcome || "";
    for (const key of Object.keys(EXACT)) {
      const number = key in link.dataset ? EXACT[key].indexOf(link.dataset[key]) : -1;
      if (number >= 0) state.exact[key] = number;
    }
    if (link.dataset.outcome) state.exact.outcome = data.outcomes.findIndex(([name]) => name === link.dataset.outcome);
    chips();
    select();
  });

  // -- one connection in full

  function detail(row) {
    const found = columns.findings[row].map(([rule, summary, filter]) => {
      const [slug, code, severity, title] = data.rules[rule];
      return element("div", {}, element("span", { class: `severity s-${severity}` }, severity), " ", element("b", {}, title), ` (${code} ${slug}): `, data.texts[summary], " ", copyable(data.texts[filter]));
    });
    const said = element("div", { class: "said" }, ...found,
      element("div", {}, `Frames ${columns.first[row]} to ${columns.last[row]} `, copyable(`tcp.stream eq ${columns.stream[row]}`)));
    const exchange = element("div", { class: "exchange" });
    const drawn = ladder(row);
    if (drawn) exchange.append(element("figure", {}, drawn, element("figcaption", {}, "Left: seconds since the connection began, and frame number. ◆ and shading: the proof.")));
    else exchange.append(element("p", { class: "quiet" }, "The steps of this connection are not in this page, which would grow too large; the JSON report has them."));
    if (columns.comparison[row] >= 0) exchange.append(offer(data.comparisons[columns.comparison[row]]));
    return [said, exchange];
  }

  function copyable(text) {
    return element("span", { class: "code" }, element("code", {}, text), element("button", { type: "button", class: "copy" }, "Copy"));
  }

  function ladder(row) {
    const given = columns.ladder[row];
    if (!given) return null;
    const [shape, ...words] = given;
    const [times, frames, texts] = words.map((list) => list[Symbol.iterator]());
    const drawing = byId("shapes").content.children[shape].firstElementChild.cloneNode(true);
    const fill = {
      t: () => `+${(times.next().value / 1e6).toFixed(6)}`,
      f: () => `frame ${frames.next().value}`,
      s: () => data.texts[texts.next().value],
      d: () => data.texts[texts.next().value],
    };
    const [left, right] = drawing.querySelectorAll(".who");
    left.textContent = `Client ${address(row)}`;
    right.textContent = `Server ${server(columns.server[row])}`;
    for (const slot of drawing.querySelectorAll(".t, .f, .s, .d")) slot.textContent = fill[slot.classList[0]]();
    return drawing;
  }

  function offer(lines) {
    const values = (texts, agreed) => {
      if (texts === null) return [element("span", { class: "none" }, "–")];
      if (!texts.length) return [element("span", { class: "v" }, "none")];
      return texts.flatMap((text) => [element("span", { class: `v${agreed && agreed.includes(text) ? " yes" : ""}${text.length < 25 ? " whole" : ""}` }, text), " "]);
    };
    const settled = (agreed, differs) => {
      if (differs) return [element("strong", { class: "mismatch" }, "≠ no match")];
      if (agreed === null) return [element("span", { class: "none" }, "–")];
      return [element("span", { class: "tick", "aria-hidden": "true" }, "✓"), " ", ...(agreed.length ? agreed.flatMap((text, at) => [at ? ", " : "", whole(text)]) : ["none"])];
    };
    return element("div", { class: "scroll" }, element("table", { class: "offer" },
      element("thead", {}, element("tr", {}, element("td", {}), ...["Client offers", "Server answers", "Agreed"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...lines.map(([name, offered, answered, agreed, differs]) => element("tr", { class: differs ? "differs" : null },
        element("th", { scope: "row" }, name),
        element("td", { "data-label": "Client offers" }, ...values(offered, agreed)),
        element("td", { "data-label": "Server answers" }, ...values(answered, agreed)),
        element("td", { "data-label": "Agreed" }, ...settled(agreed, differs)))))));
  }

  select();
  if (count === 1 && !document.querySelector("details.connection")) toggle(body.firstElementChild, 0);
})();
