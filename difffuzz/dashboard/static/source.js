// SPDX-License-Identifier: GPL-2.0-only
// Goes to the next line of a file that was not reached, or is new.
"use strict";

(() => {
  const go = (state) => {
    const lines = [...document.querySelectorAll(`.source .line.${state}`)];
    if (!lines.length) return;
    const here = Number(location.hash.slice(2)) || 0;
    const number = (line) => Number(line.firstElementChild.id.slice(1));
    // Of lines that follow each other the first one.
    const first = lines.filter((line, at) => !at || number(line) !== number(lines[at - 1]) + 1);
    const next = first.find((line) => number(line) > here) ?? first[0];
    location.hash = next.firstElementChild.id;
    next.scrollIntoView({ block: "center" });
  };
  document.getElementById("missed").addEventListener("click", () => go("missed"));
  document.getElementById("new").addEventListener("click", () => go("new"));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") go("missed");
    if (event.key === "m") go("new");
  });
})();
