// SPDX-License-Identifier: GPL-2.0-only
// Keeps figures of a page up to date: the server tells what they are, every two seconds.
"use strict";

(() => {
  const places = document.querySelectorAll("[data-live]");
  if (!places.length) return;
  const span = (seconds) => {
    const whole = Math.floor(seconds);
    const two = (number) => String(number).padStart(2, "0");
    return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  };
  const text = (name, value) => {
    if (typeof value !== "number") return String(value);
    if (name.endsWith("quiet_seconds") || name === "seconds") return span(value);
    const digits = name.endsWith("_per_second") ? 1 : 0;
    return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };
  const CURVES_EVERY = 10_000;
  let before = "";
  let drawn = performance.now();
  const events = new EventSource("/live");
  events.addEventListener("pulse", ({ data }) => {
    const byNumber = new Map(JSON.parse(data).map((one) => [String(one.number), one]));
    places.forEach((place) => {
      const [number, name] = place.dataset.live.split(".");
      const one = byNumber.get(number);
      if (one && !(one.error && name !== "state")) {
        const said = text(name, one[name]);
        if (place.textContent !== said) place.textContent = said;
      }
    });
    const running = JSON.stringify([...byNumber.values()].map((one) => one.seconds));
    if (running !== before && performance.now() - drawn > CURVES_EVERY) {
      before = running;
      drawn = performance.now();
      document.dispatchEvent(new Event("difffuzz:news"));
    }
  });
  addEventListener("pagehide", () => events.close());
})();
