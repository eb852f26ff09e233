/* Filters for the table of compared figures on the scoreboard: by table, by verdict, by words.
   Without this script the table can be opened and read as it is. */
(() => {
  "use strict";

  const labelled = (text, control) => {
    const label = document.createElement("label");
    label.append(text, " ", control);
    return label;
  };

  const choices = (values) => {
    const select = document.createElement("select");
    for (const value of ["all", ...new Set(values)]) {
      select.add(new Option(value, value === "all" ? "" : value));
    }
    return select;
  };

  const start = () => {
    const board = document.querySelector("details.dot-board");
    if (!board) {
      return;
    }
    const rows = [...board.querySelectorAll("tbody tr")];
    const table = choices(rows.map((row) => row.dataset.table));
    const verdict = choices(rows.map((row) => row.dataset.verdict));
    const words = Object.assign(document.createElement("input"), { type: "search" });
    const found = document.createElement("output");
    const form = document.createElement("form");
    form.className = "dot-filter";
    form.append(
      labelled("table", table), labelled("verdict", verdict), labelled("words", words), found
    );

    const filter = () => {
      const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.cells[0].textContent.toLowerCase();
        row.hidden = !(
          (!table.value || row.dataset.table === table.value) &&
          (!verdict.value || row.dataset.verdict === verdict.value) &&
          asked.every((word) => text.includes(word))
        );
        shown += !row.hidden;
      }
      found.textContent = `${shown} of ${rows.length} figures`;
    };
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    board.querySelector("summary").after(form);
    filter();
  };

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
