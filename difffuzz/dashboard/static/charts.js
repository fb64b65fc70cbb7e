// SPDX-License-Identifier: GPL-2.0-only
// Draws the curves of a page over time of running, with dygraphs; all charts zoom together.
"use strict";

(() => {
  const holder = document.getElementById("curves");
  if (!holder) return;
  // Its legend would write markup and styles of its own.
  Dygraph.PLUGINS = Dygraph.PLUGINS.filter((one) => one !== Dygraph.Plugins.Legend);
  const { curves, sources } = JSON.parse(holder.textContent);
  const sharesHolder = document.getElementById("shares");
  let shares = sharesHolder ? JSON.parse(sharesHolder.textContent) : null;
  const color = (number) => `--curve${number % 8}`;
  const resolved = (name) => {
    // light-dark() is worked out by the browser for a colour of an element, not for a variable.
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  const names = curves.map((one) => one.lane || one.campaign);
  const span = (seconds) => {
    const whole = Math.max(0, Math.round(seconds));
    const two = (number) => String(number).padStart(2, "0");
    return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  };
  const short = (value) => {
    for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (Math.abs(value) >= unit) {
        const least = letter === "k" ? 1e3 : unit;
        return `${+(value / least).toFixed(1)}${letter}`;
      }
    }
    return String(+value.toFixed(2));
  };

  const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400];
  const ticks = (from, to, pixels) => {
    const least = (to - from) / Math.max(2, pixels / 80);
    const step = STEPS.find((one) => one >= least) ?? Math.ceil(least / 86400) * 86400;
    const made = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      made.push({ v: at, label: step % 3600 ? span(at) : `${at / 3600} h` });
    }
    return made;
  };

  // Nothing of a name turns text around or hides in it.
  const plain = (text) => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);

  // Legend: names are text, never markup.
  const legend = document.getElementById("legend");
  const svg = (tag, values) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
    return made;
  };
  names.forEach((name, number) => {
    const item = document.createElement("span");
    const key = svg("svg", { viewBox: "0 0 14 10" });
    const line = svg("line", { x1: 0, y1: 5, x2: 14, y2: 5, "stroke-width": 3 });
    line.style.stroke = `var(${color(number)})`;
    key.append(line);
    item.append(key, plain(name.length > 60 ? `${name.slice(0, 60)}…` : name));
    legend.append(item);
  });

  // Rows of [time, a value or null for each curve]: the curves' times differ.
  const rowsOf = (each) => {
    const byTime = new Map();
    each.forEach(({ times, values }, number) => times.forEach((time, at) => {
      if (!byTime.has(time)) byTime.set(time, new Array(each.length).fill(null));
      byTime.get(time)[number] = values[at];
    }));
    return [...byTime.entries()].sort((a, b) => a[0] - b[0]).map(([time, row]) => [time, ...row]);
  };
  const dataOf = (chart) => {
    const each = chart === "share"
      ? names.map((name) => ({
        times: shares.active,
        values: (shares.lanes[name] ?? []).map((one) => (one === null ? null : one * 100)),
      }))
      : curves.map((one) => ({ times: one.active, values: one.columns[chart] }));
    const rows = rowsOf(each);
    return rows.length ? rows : [[0, ...names.map(() => null)]];
  };

  const charts = new Map();
  let zoomed = null; // seconds of running, [from, to]
  const button = document.getElementById("all");

  const starts = (context, area, graph) => {
    const drawn = new Set();
    context.save();
    context.strokeStyle = resolved("--faint");
    context.globalAlpha = 0.6;
    context.setLineDash([4, 3]);
    curves.forEach((one) => one.starts.slice(1).forEach(({ active }) => {
      const x = Math.round(graph.toDomXCoord(active)) + 0.5;
      if (drawn.has(x) || x < area.x || x > area.x + area.w) return;
      drawn.add(x);
      context.beginPath();
      context.moveTo(x, area.y);
      context.lineTo(x, area.y + area.h);
      context.stroke();
    }));
    context.restore();
  };

  const show = (chart, row) => {
    const place = document.querySelector(`[data-value="${chart}"]`);
    const own = charts.get(chart).file_;
    const time = own[row][0];
    const values = names.map((_, number) => {
      for (let at = row; at >= 0; at -= 1) {
        if (own[at][number + 1] !== null) return short(own[at][number + 1]);
      }
      return "-";
    });
    const restart = curves.flatMap((one) => one.starts.slice(1))
      .findLast((one) => Math.abs(one.active - time) < 15);
    const why = restart ? ` (session ${restart.session} begins; before: ${restart.how})` : "";
    place.textContent = `${span(time)}${plain(why)}  ${values.join(" | ")}`;
  };

  const options = () => ({
    colors: names.map((_, number) => resolved(color(number))),
    gridLineColor: resolved("--line"),
    axisLineColor: resolved("--line"),
    axisLabelColor: resolved("--faint"),
  });

  const zoomTo = (range) => {
    zoomed = range;
    button.disabled = range === null;
    charts.forEach((graph) => graph.updateOptions({ dateWindow: range }));
    clearTimeout(zoomTo.timer);
    zoomTo.timer = setTimeout(refresh, 150);
  };

  const refresh = async () => {
    const range = zoomed;
    const query = range ? `&begin=${Math.max(0, range[0] - 15)}&end=${range[1] + 15}` : "";
    const fresh = await Promise.all(curves.map(async (one, number) => {
      const lane = encodeURIComponent(one.lane);
      const answer = await fetch(`/api/c/${sources[number]}/history?lane=${lane}${query}`);
      return answer.ok ? answer.json() : one;
    })).catch(() => null);
    if (fresh === null || range !== zoomed) return;
    fresh.forEach((one, number) => { curves[number] = one; });
    if (shares) {
      const answer = await fetch(`/api/c/${sources[0]}/shares`).catch(() => null);
      if (answer?.ok) shares = await answer.json();
    }
    charts.forEach((graph, chart) => graph.updateOptions({ file: dataOf(chart) }));
  };

  const draw = () => {
    document.querySelectorAll("[data-chart]").forEach((place) => {
      const chart = place.dataset.chart;
      if (!names.length) return;
      charts.set(chart, new Dygraph(place, dataOf(chart), {
        ...options(),
        labels: ["time", ...names.map((_, number) => String(number))],
        legend: "never",
        connectSeparatedPoints: true,
        includeZero: !["coverage", "branches", "states"].includes(chart),
        strokeWidth: 1.6,
        highlightCircleSize: 3,
        axes: {
          x: { ticker: ticks, axisLabelWidth: 70 },
          y: { axisLabelFormatter: short, axisLabelWidth: 46 },
        },
        underlayCallback: starts,
        highlightCallback: (_event, _x, _points, row) => show(chart, row),
        unhighlightCallback: () => {
          document.querySelector(`[data-value="${chart}"]`).textContent = "";
        },
        zoomCallback: (from, to) => {
          const [first, last] = charts.get(chart).xAxisExtremes();
          zoomTo(from <= first && to >= last ? null : [from, to]);
        },
      }));
    });
  };

  button.addEventListener("click", () => zoomTo(null));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    charts.forEach((graph) => graph.updateOptions(options()));
  });
  document.addEventListener("difffuzz:news", () => { if (zoomed === null) refresh(); });
  // After the first paint: what the server wrote is read while this draws.
  requestAnimationFrame(() => setTimeout(draw));
})();
