/* Cells of NAS-Bench-201 in the browser: numbers, paths and pictures. No page, no state.
   A cell is a list of six operation ids (in the order of EDGES) or, written as a number, its row
   among all 15,625 cells. */
"use strict";

window.grafCells = (function () {
  const WORDS = ["skip", "none", "conv 3×3", "conv 1×1", "pool 3×3"]; // by operation id
  const NONE = 1;
  const EDGES = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
  const NODES = ["in", "2", "3", "out"];
  const PATHS = [[2], [0, 4], [1, 5], [0, 3, 5]]; // edges of each way from in to out
  const N_CELLS = 15625;

  // --- numbers and text ------------------------------------------------------------------------

  const rowOf = (cell) => cell.reduce((row, op) => 5 * row + op, 0);
  const cellOf = (row) => [5, 4, 3, 2, 1, 0].map((power) => Math.floor(row / 5 ** power) % 5);
  const edgeName = (edge) => `${NODES[EDGES[edge][0]]} to ${NODES[EDGES[edge][1]]}`;
  const tuple = (cell) => `(${cell.join(", ")})`;
  const describe = (cell) =>
    "Cell: " + cell.map((op, edge) => `${edgeName(edge)} ${WORDS[op]}`).join(", ") + ".";

  /* Whole numbers from base64 of little-endian 16-bit (or unsigned 8-bit) numbers. */
  function unpack(text, Numbers = Int16Array) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Numbers(bytes.buffer);
  }

  // --- paths -----------------------------------------------------------------------------------

  const livePaths = (cell) => PATHS.filter((path) => path.every((edge) => cell[edge] !== NONE));

  /* The cell with `none` on each edge that lies on no live path. */
  function prune(cell) {
    const used = new Set(livePaths(cell).flat());
    return cell.map((op, edge) => (used.has(edge) ? op : NONE));
  }

  const isValid = (cell) => rowOf(prune(cell)) === rowOf(cell);

  function pathName(path) {
    return [NODES[0], ...path.map((edge) => NODES[EDGES[edge][1]])].join(" → ");
  }

  // --- elements --------------------------------------------------------------------------------

  /* An element: attributes by name ("text" is its text; functions are listeners), then children. */
  function element(name, attributes = {}, ...children) {
    const svg = ["svg", "path", "line", "circle", "text", "polygon", "rect", "g"].includes(name);
    const made = svg
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") made.textContent = value;
      else if (typeof value === "function") made.addEventListener(key, value);
      else if (value !== false && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  // --- the picture -----------------------------------------------------------------------------

  const WIDTH = 360, HEIGHT = 270;
  const PLACES = [[32, 150], [180, 88], [180, 236], [328, 150]]; // nodes
  const MIDDLES = [[105, 112], [105, 200], [180, 24], [180, 162], [255, 112], [255, 200]]; // labels
  const ARC = "M32,134 C32,-13 328,-13 328,134"; // in to out, over everything
  const RADIUS = 17;

  /* The end of an edge: where its arrow touches the circle of the node, and its direction. */
  function arrow(edge) {
    const [[x0, y0], [x1, y1]] = EDGES[edge].map((node) => PLACES[node]);
    if (edge === 2) return "328,133 323,121 333,121";
    const length = Math.hypot(x1 - x0, y1 - y0);
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    const [x, y] = [x1 - RADIUS * dx, y1 - RADIUS * dy];
    const corner = (side) => `${x - 12 * dx - side * 5 * dy},${y - 12 * dy + side * 5 * dx}`;
    return `${x},${y} ${corner(1)} ${corner(-1)}`;
  }

  function edgeShape(edge, op, dead) {
    const [[x0, y0], [x1, y1]] = EDGES[edge].map((node) => PLACES[node]);
    const line = edge === 2 ? ARC : `M${x0},${y0} L${x1},${y1}`;
    return element("g", { class: `edge op-${op}${dead ? " dead" : ""}`, "data-edge": edge },
      element("path", { d: line }), element("polygon", { points: arrow(edge) }));
  }

  function label(edge, op) {
    const [x, y] = MIDDLES[edge];
    return element("g", { class: `label op-${op}` },
      element("rect", { x: x - 36, y: y - 11, width: 72, height: 22, rx: 4 }),
      element("text", { x, y: y + 4.5, text: WORDS[op] }));
  }

  /* A drawing of a cell. With `labels` the operations are written on the edges, and the drawing
     has a text for screen readers; without, what stands beside it must say them. */
  function draw(cell, { labels = true } = {}) {
    const pruned = prune(cell);
    const named = labels ? { role: "img", "aria-label": describe(cell) } : { "aria-hidden": "true" };
    const svg = element("svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "graf-cell", focusable: "false", ...named });
    svg.append(...cell.map((op, edge) => edgeShape(edge, op, pruned[edge] === NONE && op !== NONE)));
    PLACES.forEach(([cx, cy], node) => svg.append(
      element("circle", { cx, cy, r: RADIUS }),
      element("text", { x: cx, y: cy + 5, class: "node", text: NODES[node] })));
    if (labels) svg.append(...cell.map((op, edge) => label(edge, op)));
    return svg;
  }

  /* Where the label of an edge sits, in per cent of the picture. */
  const place = (edge) => [100 * MIDDLES[edge][0] / WIDTH, 100 * MIDDLES[edge][1] / HEIGHT];

  return {
    WORDS, NONE, EDGES, N_CELLS, rowOf, cellOf, edgeName, tuple, describe, unpack,
    livePaths, prune, isValid, pathName, element, draw, place,
  };
})();
