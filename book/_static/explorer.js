/* The explorer: choose six operations, see what the book knows of the cell.
   The page has empty places; window.GRAF_EXPLORER (explorer_data.js) has all numbers; nothing is
   fetched. The cell stands in the address as #cell=202143, one digit per edge. */
"use strict";

(function () {
  const { WORDS, NONE, rowOf, cellOf, edgeName, tuple, element, unpack } = window.grafCells;
  const cells = window.grafCells;
  const data = window.GRAF_EXPLORER;
  const START = [4, 2, 1, 0, 3, 2];
  const SCALES = [[9000, 9500], [8000, 9500], [0, 10000]]; // hundredths of %
  const N_SHARES = 10, N_NEIGHBOURS = 5, N_TWINS = 8;

  // --- what is known of all cells --------------------------------------------------------------

  const known = {};
  for (const name of ["accuracy", "predicted", "low", "high", "rank", "predictedRank", "latency",
    "classes", "neighbours", "shares", "train", "robustRows", "robust"]) {
    known[name] = unpack(data[name]);
  }
  known.shareFeatures = unpack(data.shareFeatures, Uint8Array);
  const trained = new Set(known.train);
  const robustAt = new Map(Array.from(known.robustRows, (row, i) => [row, i]));
  const fastest = known.latency.filter((ms) => ms >= 0).sort();
  const twinsOf = new Map();
  known.classes.forEach((number, row) => {
    if (!twinsOf.has(number)) twinsOf.set(number, []);
    twinsOf.get(number).push(row);
  });
  const nValid = known.rank.filter((rank) => rank > 0).length;

  const number = (value) => value.toLocaleString("en-US");
  const points = (hundredths) => (hundredths / 100).toFixed(2).replace("-", "−");
  const signed = (hundredths) => (hundredths < 0 ? "" : "+") + points(hundredths);
  const percent = (hundredths) => `${points(hundredths)} %`;

  // --- features --------------------------------------------------------------------------------

  /* Each feature: its table of patterns, and which operations are in its set. */
  const features = data.names.map((name, i) => {
    const [family, inside = ""] = name.replace("]", "").split("[");
    const members = data.groups[inside] || inside.split("+");
    const set = data.operations.map((op) => members.includes(op));
    return { name, family, set, meaning: data.meanings[i], ofPaths: !(family in data.graf) };
  });

  /* Bit e of the number: the operation of edge e is in the set. */
  const grafPattern = (cell, set) =>
    cell.reduce((sum, op, edge) => sum + (set[op] ? 2 ** edge : 0), 0);

  /* Digit e to base 3: edge e has none (0), an operation outside the set (1) or inside (2). */
  const flowPattern = (cell, set) =>
    cell.reduce((sum, op, edge) => sum + (op === NONE ? 0 : set[op] ? 2 : 1) * 3 ** edge, 0);

  function valueOf(feature, cell) {
    return feature.ofPaths
      ? data.flow[feature.family][flowPattern(cell, feature.set)]
      : data.graf[feature.family][grafPattern(cell, feature.set)];
  }

  const written = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(2));

  // --- changes ---------------------------------------------------------------------------------

  /* The valid cell with one edge changed that is predicted best; null if there is none. */
  function bestChange(cell) {
    let best = null;
    cell.forEach((before, edge) => WORDS.forEach((_, after) => {
      if (after === before) return;
      const changed = cell.with(edge, after);
      const predicted = known.predicted[rowOf(changed)];
      if (!cells.isValid(changed)) return;
      if (best === null || predicted > best.predicted) best = { edge, after, changed, predicted };
    }));
    return best;
  }

  /* Tree SHAP: the largest shares by name, what the others add, and the sum. */
  function explain(row) {
    const places = Array.from({ length: N_SHARES }, (_, i) => N_SHARES * row + i);
    const parts = places.map((place) => (
      { feature: features[known.shareFeatures[place]], share: known.shares[place] }));
    const total = known.predicted[row];
    const rest = total - data.base - parts.reduce((sum, part) => sum + part.share, 0);
    return { base: data.base, parts, rest, total };
  }

  // --- state and address -----------------------------------------------------------------------

  let cell = START;
  let shownPath = null; // the live path that is marked in the picture
  const addressOf = (row) => `#cell=${cellOf(row).join("")}`;

  function choose(chosen) {
    cell = chosen;
    const address = addressOf(rowOf(cell));
    if (location.hash !== address) location.hash = address; // Back undoes a change
    show();
  }

  /* Take the cell from the address; says whether there was one. */
  function readAddress() {
    const found = /^#cell=([0-4]{6})$/.exec(location.hash);
    if (found) cell = Array.from(found[1], Number);
    return Boolean(found);
  }

  // --- parts of the page -----------------------------------------------------------------------

  const page = {}; // elements that stay while their content changes

  function fill(target, ...children) {
    target.replaceChildren(...children);
  }

  const button = (text, action) => element("button", { type: "button", text, click: action });

  function edgeSelect(edge) {
    const [left, top] = cells.place(edge);
    const options = WORDS.map((text, value) => element("option", { value, text }));
    const select = element("select", {
      "aria-label": `Operation on the edge from ${edgeName(edge)}`,
      style: `left:${left}%;top:${top}%`,
      change: () => choose(cell.with(edge, Number(select.value))),
    }, ...options);
    return select;
  }

  function randomCell() {
    let row;
    do row = Math.floor(Math.random() * cells.N_CELLS); while (!known.rank[row]);
    choose(cellOf(row));
  }

  function makeBoard() {
    page.drawing = element("div", { class: "drawing" });
    page.selects = cells.EDGES.map((_, edge) => edgeSelect(edge));
    page.stage = element("div",
      { class: "stage", role: "group", "aria-label": "The cell: six edges to choose", tabindex: -1 },
      page.drawing, ...page.selects);
    page.prune = button("Remove dead edges", () => choose(cells.prune(cell)));
    page.change = element("p", { id: "best-change" });
    page.apply = button("Apply the best change", () => {
      const best = bestChange(cell);
      if (best) choose(best.changed);
    });
    page.note = element("p", { class: "note" });
    page.numbers = element("dl", { class: "numbers" });
    page.scale = element("div");
    page.robust = element("div");
    page.paths = element("ul", { class: "paths" });
    page.status = element("p", { role: "status", class: "visually-hidden" });
    fill(document.getElementById("explorer"),
      element("div", { class: "board" },
        element("div", {}, page.stage,
          element("div", { class: "buttons" }, button("Random cell", randomCell), page.prune),
          page.note, element("p", { text: "Its live paths; press one to mark it:" }), page.paths),
        element("div", {}, page.scale, page.numbers, page.change, page.apply)),
      page.status);
    fill(document.getElementById("explorer-robust"), page.robust);
  }

  // --- the picture -----------------------------------------------------------------------------

  function showCell() {
    const drawing = cells.draw(cell, { labels: false });
    if (shownPath) {
      shownPath.forEach((edge) => drawing.querySelector(`[data-edge="${edge}"]`)
        .classList.add("marked"));
    }
    for (const shape of drawing.querySelectorAll("[data-edge]")) {
      shape.addEventListener("click", () => page.selects[shape.dataset.edge].focus());
    }
    fill(page.drawing, drawing);
    page.selects.forEach((select, edge) => {
      select.value = cell[edge];
      select.className = `op-${cell[edge]}`;
    });
    const valid = cells.isValid(cell);
    page.prune.hidden = valid;
    page.note.hidden = valid;
    page.note.textContent = valid ? "" : "Dead edges (pale): no signal passes over them. The " +
      "features count them all the same, and the predictor has seen no such cell. Without them " +
      `it says ${percent(known.predicted[rowOf(cells.prune(cell))])}.`;
  }

  // --- accuracy, cost ----------------------------------------------------------------------------

  /* Prediction, interval and measurement on one line. */
  function scale(row) {
    const values = [known.low[row], known.predicted[row], known.high[row], known.accuracy[row]];
    const fits = ([least, most]) => values.every((value) => value >= least && value <= most);
    const [from, to] = SCALES.find(fits) || SCALES.at(-1);
    const at = (value) => Math.min(350, Math.max(10, 10 + 340 * (value - from) / (to - from)));
    const [low, middle, high, measured] = values.map(at);
    return element("svg", {
      viewBox: "0 0 360 52", class: "scale", role: "img",
      "aria-label": `Predicted ${percent(values[1])}, measured ${percent(values[3])}, on a line ` +
        `from ${from / 100} to ${to / 100} per cent`,
    },
    element("line", { x1: 10, x2: 350, y1: 20, y2: 20, class: "axis" }),
    element("rect", { x: low, y: 13, width: Math.max(high - low, 1), height: 14, class: "interval" }),
    element("line", { x1: middle, x2: middle, y1: 8, y2: 32, class: "predicted" }),
    element("circle", { cx: measured, cy: 20, r: 5, class: "measured" }),
    element("text", { x: 10, y: 48, text: `${from / 100} %` }),
    element("text", { x: 350, y: 48, class: "end", text: `${to / 100} %` }));
  }

  function entry(name, value, remark = "") {
    return [element("dt", { text: name }),
      element("dd", {}, element("strong", { text: value }), remark && ` ${remark}`)];
  }

  const rankText = (rank) => rank > 0
    ? `rank ${number(rank)} of the ${number(nValid)} valid cells`
    : "not among the valid cells";

  function latencyText(row) {
    const ms = known.latency[row];
    if (ms < 0) return ["not measured", "(valid cells only)"];
    const faster = fastest.findIndex((other) => other >= ms);
    return [`${points(ms)} ms`, `rank ${number(faster + 1)} of ${number(fastest.length)}, ` +
      "the fastest first"];
  }

  function showNumbers(row) {
    const between = `80 % interval ${points(known.low[row])} to ${percent(known.high[row])}; `;
    const seen = trained.has(row) ? "; one of the cells the predictor learned from" : "";
    fill(page.scale, scale(row));
    fill(page.numbers,
      ...entry("Predicted accuracy", percent(known.predicted[row]),
        between + rankText(known.predictedRank[row])),
      ...entry("Measured accuracy", percent(known.accuracy[row]),
        rankText(known.rank[row]) + seen),
      ...entry("Latency", ...latencyText(row)));
  }

  function showRobust(row) {
    if (!robustAt.has(row)) {
      fill(page.robust, element("p", { text: "This cell is not among those we trained." }));
      return;
    }
    const n = data.robustNames.length, at = robustAt.get(row);
    const items = data.robustNames.map((name, j) => {
      const value = known.robust[n * at + j];
      let better = 0;
      for (let i = j; i < known.robust.length; i += n) better += known.robust[i] > value;
      return element("tr", {}, element("th", { scope: "row", text: robustName(name) }),
        element("td", { text: percent(value) }),
        element("td", { text: `${better + 1} of ${number(robustAt.size)}` }));
    });
    const head = ["test images", "accuracy", "rank"].map((text) =>
      element("th", { scope: "col", text }));
    fill(page.robust, element("table", { class: "table" },
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...items)));
  }

  function robustName(name) {
    const [attack, strength] = name.split("_");
    const plain = { accuracy: "as they are", noise: "Gaussian noise", blur: "blur", jpeg: "JPEG" };
    return plain[name] || `${attack.toUpperCase()}, ε = ${strength}/255`;
  }

  function showChange(row) {
    const best = bestChange(cell);
    const gain = best ? best.predicted - known.predicted[row] : 0;
    page.apply.setAttribute("aria-disabled", String(!best));
    if (!best) {
      page.change.textContent = "No change of a single edge gives a valid cell.";
      return;
    }
    const lead = gain > 0 ? "Best change of one edge: " :
      "No change of one edge is predicted to be better. The least bad: ";
    const measured = signed(known.accuracy[rowOf(best.changed)] - known.accuracy[row]);
    page.change.textContent = `${lead}${edgeName(best.edge)}, ${WORDS[cell[best.edge]]} → ` +
      `${WORDS[best.after]}: predicted ${signed(gain)} points, measured ${measured}.`;
  }

  // --- paths -----------------------------------------------------------------------------------

  function pathText(path) {
    const convolutions = path.filter((edge) => [2, 3].includes(cell[edge])).length;
    const noun = convolutions === 1 ? "convolution" : "convolutions";
    return `${cells.pathName(path)}: ${path.map((edge) => WORDS[cell[edge]]).join(", ")} ` +
      `(${convolutions} ${noun})`;
  }

  function pathButton(path) {
    const made = button(pathText(path), () => {
      shownPath = shownPath === path ? null : path;
      showCell();
      for (const other of page.paths.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(shownPath === path && other === made));
      }
    });
    made.setAttribute("aria-pressed", String(shownPath === path));
    return element("li", {}, made);
  }

  function showPaths() {
    const paths = cells.livePaths(cell);
    const none = element("li", { text: "No path is live: nothing arrives at the output." });
    fill(page.paths, ...(paths.length ? paths.map(pathButton) : [none]));
  }

  // --- contributions -----------------------------------------------------------------------------

  function bar(share, largest) {
    const width = 50 * Math.abs(share) / largest;
    const left = share < 0 ? 50 - width : 50;
    return element("span", { class: "bar-room", "aria-hidden": "true" }, element("span", {
      class: share < 0 ? "bar down" : "bar up", style: `left:${left}%;width:${width}%` }));
  }

  function shareRow(name, meaning, share, largest) {
    const small = meaning && element("small", { text: meaning });
    return element("tr", {}, element("th", { scope: "row" }, name, small),
      element("td", {}, largest ? bar(share, largest) : "",
        element("span", { class: "amount", text: largest ? signed(share) : points(share) })));
  }

  function showContributions(row) {
    const { base, parts, rest, total } = explain(row);
    const largest = Math.max(1, Math.abs(rest), ...parts.map((part) => Math.abs(part.share)));
    const rows = parts.map(({ feature, share }) => shareRow(
      element("code", { text: `${feature.name} = ${written(valueOf(feature, cell))}` }),
      feature.meaning, share, largest));
    const head = ["feature and its value", "percentage points"].map((text) =>
      element("th", { scope: "col", text }));
    fill(document.getElementById("explorer-contributions"),
      element("table", { class: "table shares" },
        element("thead", {}, element("tr", {}, ...head)),
        element("tbody", {},
          shareRow("what the trees say on average", "", base),
          ...rows,
          shareRow(`the other ${data.sharing - N_SHARES} features together`, "", rest, largest),
          shareRow(element("strong", { text: "the prediction, the sum" }), "", total))));
  }

  // --- relatives -------------------------------------------------------------------------------

  function cellLink(row) {
    const other = cellOf(row);
    const text = `${tuple(other)}, measured ${percent(known.accuracy[row])}, predicted ` +
      percent(known.predicted[row]);
    const link = element("a", { href: addressOf(row), class: "cell-link",
      "aria-label": `${cells.describe(other)} ${text}`, click: () => page.stage.focus() },
    cells.draw(other, { labels: false }), element("span", { text }));
    return element("li", {}, link);
  }

  function showRelatives(row) {
    const near = Array.from(known.neighbours.slice(N_NEIGHBOURS * row, N_NEIGHBOURS * (row + 1)));
    fill(document.getElementById("explorer-neighbours"),
      element("ul", { class: "relatives" }, ...near.map(cellLink)));
    const twins = twinsOf.get(known.classes[row]).filter((other) => other !== row);
    const valid = twins.filter((other) => known.rank[other] > 0);
    const shown = valid.slice(0, N_TWINS);
    const text = `This cell has ${number(twins.length)} ${twins.length === 1 ? "twin" : "twins"}, ` +
      `${number(valid.length)} without dead edges` +
      (valid.length > shown.length ? `; the first ${shown.length} of these:` : ".");
    fill(document.getElementById("explorer-twins"), element("p", { text }),
      element("ul", { class: "relatives" }, ...shown.map(cellLink)));
  }

  // --- all features ----------------------------------------------------------------------------

  function featureRow(feature) {
    feature.cell = element("td");
    feature.row = element("tr", {},
      element("th", { scope: "row" }, element("code", { text: feature.name }),
        element("small", { text: feature.meaning })),
      feature.cell);
    return feature.row;
  }

  function familyTable(family) {
    const members = features.filter((feature) => feature.family === family);
    const count = members.length === 1 ? "1 feature" : `${members.length} features`;
    return element("details", {},
      element("summary", {}, element("code", { text: family }), ` ${count}`),
      element("table", { class: "table" }, element("tbody", {}, ...members.map(featureRow))));
  }

  /* Show only features whose name or meaning has the text; open the families that have some. */
  function find(text) {
    const wanted = text.trim().toLowerCase();
    for (const feature of features) {
      const said = `${feature.name} ${feature.meaning}`.toLowerCase();
      feature.row.hidden = !said.includes(wanted);
    }
    for (const family of document.querySelectorAll("#explorer-features details")) {
      const some = family.querySelector("tr:not([hidden])") !== null;
      family.hidden = !some;
      family.open = wanted !== "" && some;
    }
  }

  function makeFeatures() {
    const search = element("input", { type: "text", id: "find-feature",
      input: () => find(search.value) });
    const families = [...new Set(features.map((feature) => feature.family))];
    fill(document.getElementById("explorer-features"),
      element("label", { for: "find-feature", text: "Find a feature " }), search,
      ...families.map(familyTable));
  }

  function showFeatures() {
    for (const feature of features) feature.cell.textContent = written(valueOf(feature, cell));
  }

  // --- all together ----------------------------------------------------------------------------

  function show() {
    const row = rowOf(cell);
    const live = cells.livePaths(cell);
    if (!live.includes(shownPath)) shownPath = null;
    showCell();
    showNumbers(row);
    showChange(row);
    showPaths();
    showRobust(row);
    showContributions(row);
    showRelatives(row);
    showFeatures();
    page.status.textContent = `Predicted ${percent(known.predicted[row])}, measured ` +
      `${percent(known.accuracy[row])}, ${rankText(known.rank[row])}.`;
  }

  makeBoard();
  makeFeatures();
  readAddress();
  show();
  window.addEventListener("hashchange", () => {
    const before = rowOf(cell);
    if (readAddress() && rowOf(cell) !== before) show();
  });

  /* For the tests and the benchmark: what the page knows of a cell. */
  window.grafExplorer = {
    choose, bestChange, explain,
    features: (asked) => features.map((feature) => valueOf(feature, asked)),
    numbers: (row) => Object.fromEntries(["predicted", "low", "high", "accuracy", "rank",
      "predictedRank"].map((name) => [name, known[name][row]])),
  };
})();
