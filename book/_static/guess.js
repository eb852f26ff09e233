/* "Which is better?": twenty pairs of cells to guess, beside a proxy and a forest.
   window.GRAF_GUESS (guess_data.js) has the pairs. The guesses are kept in this browser, so that a
   page opened again goes on where it was left; nothing is sent anywhere. */
"use strict";

(function () {
  const cells = window.grafCells;
  const { element, cellOf } = cells;
  const data = window.GRAF_GUESS;
  const NAMES = ["A", "B"];
  const N = data.pairs.length;
  const KEY = `graf-guess-${data.pairs.flat().join("-")}`; // other pairs, other guesses

  const better = data.accuracy.map(([a, b]) => (a > b ? 0 : 1));
  const percent = (value) => `${value.toFixed(2)} %`;
  const place = document.getElementById("guess");

  // --- the guesses -----------------------------------------------------------------------------

  let guesses = load(); // 0 or 1 for each pair guessed so far

  function load() {
    try {
      const stored = localStorage.getItem(KEY) || "";
      return /^[01]*$/.test(stored) && stored.length <= N ? Array.from(stored, Number) : [];
    } catch { // a browser that keeps nothing
      return [];
    }
  }

  function keep() {
    try {
      localStorage.setItem(KEY, guesses.join(""));
    } catch { /* the guesses last as long as the page */ }
  }

  /* Pairs right, wrong and left open, and Kendall's tau over the first n pairs. */
  function score(choices, n) {
    const right = choices.slice(0, n).filter((choice, i) => choice === better[i]).length;
    const open = choices.slice(0, n).filter((choice) => choice < 0).length;
    const wrong = n - right - open;
    return { right, wrong, open, tau: (right - wrong) / n };
  }

  const tauText = (tau) => tau.toFixed(2).replace("-", "−");

  // --- one pair --------------------------------------------------------------------------------

  const page = {};

  function choiceButton(pair, side) {
    const cell = cellOf(data.pairs[pair][side]);
    const verdict = element("span", { class: "verdict" });
    const made = element("button", { type: "button", class: "choice", click: () => guess(pair, side) },
      element("strong", { text: `Cell ${NAMES[side]}` }), cells.draw(cell), verdict);
    made.verdict = verdict;
    return made;
  }

  /* A pair to guess; focus goes to its title unless the page has just been opened. */
  function showPair(pair, moveFocus) {
    page.title = element("p", { tabindex: -1, class: "pair",
      text: `Pair ${pair + 1} of ${N}: which cell has the higher accuracy?` });
    page.choices = [0, 1].map((side) => choiceButton(pair, side));
    page.answer = element("p", { role: "status" });
    page.next = button(pair + 1 < N ? "Next pair" : "See the result", () => goOn(true));
    page.next.hidden = true;
    place.replaceChildren(page.title, element("div", { class: "pair-of-cells" }, ...page.choices),
      page.answer, page.next);
    if (moveFocus) page.title.focus();
  }

  const button = (text, action) =>
    element("button", { type: "button", class: "plain", text, click: action });

  function guess(pair, side) {
    if (guesses.length !== pair) return; // this pair has been guessed
    guesses.push(side);
    keep();
    page.choices.forEach((choice, i) => {
      const best = i === better[pair];
      choice.setAttribute("aria-disabled", "true");
      choice.setAttribute("aria-pressed", String(i === side));
      choice.classList.add(best ? "best" : "worse");
      choice.verdict.textContent = `${percent(data.accuracy[pair][i])}${best ? ", the better one" : ""}`;
    });
    page.answer.textContent = answerText(pair, side);
    page.next.hidden = false;
    page.next.focus();
  }

  function answerText(pair, side) {
    const yours = side === better[pair] ? "Right." : "Wrong.";
    const said = (choice) => choice < 0 ? "cannot tell" :
      `says ${NAMES[choice]}, ${choice === better[pair] ? "right" : "wrong"}`;
    return `${yours} Cell ${NAMES[better[pair]]} is better. The proxy ${data.proxyName} ` +
      `${said(data.proxy[pair])}; the forest ${said(data.forest[pair])}. ` +
      `You have ${score(guesses, guesses.length).right} of ${guesses.length} right.`;
  }

  // --- the end ---------------------------------------------------------------------------------

  function resultRow(name, choices) {
    const { right, wrong, open, tau } = score(choices, N);
    return element("tr", {}, element("th", { scope: "row", text: name }),
      ...[right, wrong, open, tauText(tau)].map((value) => element("td", { text: value })));
  }

  function pairRow(pair) {
    const link = (side) => element("a", { text: `${NAMES[side]} ${percent(data.accuracy[pair][side])}`,
      href: `explorer.html#cell=${cellOf(data.pairs[pair][side]).join("")}` });
    const sign = (choice) => element("td",
      { text: choice < 0 ? "–" : `${NAMES[choice]} ${choice === better[pair] ? "✓" : "✗"}` });
    return element("tr", {}, element("th", { scope: "row", text: pair + 1 }),
      element("td", {}, link(0), element("br"), link(1)),
      ...[guesses, data.proxy, data.forest].map((choices) => sign(choices[pair])));
  }

  function table(heads, rows, name) {
    const cellsOf = heads.map((text) => element("th", { scope: "col", text }));
    return element("table", { class: `table ${name}` },
      element("thead", {}, element("tr", {}, ...cellsOf)), element("tbody", {}, ...rows));
  }

  function showResult(moveFocus) {
    const yours = score(guesses, N);
    page.title = element("p", { tabindex: -1, class: "pair", text: `You have ${yours.right} of ${N} ` +
      `pairs right: your Kendall τ over them is ${tauText(yours.tau)}.` });
    const results = table(["who", "right", "wrong", "open", "τ"],
      [resultRow("you", guesses), resultRow(`the proxy ${data.proxyName}`, data.proxy),
        resultRow("the forest", data.forest)], "result");
    const pairs = table(["pair", "accuracy", "you", data.proxyName, "forest"],
      data.pairs.map((_, pair) => pairRow(pair)), "all-pairs");
    const again = button("Start again", () => {
      guesses = [];
      keep();
      showPair(0, true);
    });
    place.replaceChildren(page.title, results,
      element("details", {}, element("summary", { text: "All pairs; open a cell in the explorer" }), pairs),
      again);
    if (moveFocus) page.title.focus();
  }

  // --- all together ----------------------------------------------------------------------------

  function goOn(moveFocus) {
    if (guesses.length < N) showPair(guesses.length, moveFocus);
    else showResult(moveFocus);
  }

  /* The keys a and b guess while the focus is in the game. */
  place.addEventListener("keydown", (event) => {
    const side = NAMES.indexOf(event.key.toUpperCase());
    if (side < 0 || event.ctrlKey || event.altKey || event.metaKey || guesses.length >= N) return;
    if (page.next.hidden) guess(guesses.length, side);
  });

  goOn(false);
})();
