// SPDX-License-Identifier: GPL-2.0-only
// Steps through a recording (report/recording.py).  Step n is what is true after n events.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const recording = JSON.parse(byId("recording").textContent);
  const events = recording.events ?? [];
  const entries = recording.entries ?? [];
  const states = recording.states ?? [];
  const sides = recording.sides;
  const objections = recording.objections ?? [];
  const MOST_ROWS = 48; // of one table
  const EVERY = 128; // steps between two states that are kept
  const MOST_COLUMNS = 9; // of the timeline, where a window is wide
  const AROUND = { before: 14, after: 22 }; // rows of the timeline

  // Elements: what comes from the recording is text, never markup.
  const element = (tag, classes, ...children) => {
    const made = document.createElement(tag);
    if (classes) made.className = classes;
    made.append(...children.filter((one) => one !== null && one !== undefined));
    return made;
  };
  const hex = (number) => `0x${number.toString(16)}`;
  const threadName = (thread) => recording.threads.at(thread);
  const sideName = (side) => `${["left", "right"][side]}: ${sides[side].name}`;
  const pagesOf = (level) => 512 ** (level - 1);
  const sizeOf = (level) => ["", "4K", "2M", "1G"][level] ?? "";

  // State

  const blank = () => sides.map(() => ({
    held: new Map(), rcu: new Set(), waits: new Map(), windows: [], tlb: new Map(),
    owed: new Map(), tables: new Map(), linked: new Set(), begun: new Map(),
  }));

  const children = (number) => (states[number].rows ?? []).map((row) => row[3] ?? -1)
    .filter((child) => child >= 0);

  const apply = (all, event) => {
    const state = all[event.side];
    const held = state.held.get(event.thread) ?? [];
    state.waits.delete(event.thread);
    switch (event.what) {
      case "begins": state.begun.set(event.thread, event.op ?? -1); break;
      case "ends": state.begun.delete(event.thread); break;
      case "waits": state.waits.set(event.thread, event.text ?? ""); break;
      case "lock":
        state.held.set(event.thread, [...held, [event.lock, event.exclusive ?? false]]); break;
      case "unlock": {
        const at = held.findLastIndex(([lock]) => lock === event.lock);
        state.held.set(event.thread, held.filter((_, index) => index !== at));
        break;
      }
      case "rcu": state.rcu.add(event.thread); break;
      case "rcu ends": state.rcu.delete(event.thread); break;
      case "invalidates": state.windows.push(event.text); break;
      case "invalidated": {
        const at = state.windows.lastIndexOf(event.text);
        if (at >= 0) state.windows.splice(at, 1);
        break;
      }
      case "tlb": state.tlb.set(event.vcpu, event.tlb ?? []); break;
      case "owed": state.owed.set(event.vcpu, event.owed ?? []); break;
    }
    for (const number of event.tables ?? []) {
      state.tables.set(states[number].table, number);
      children(number).forEach((child) => state.linked.add(child));
    }
    (event.gone ?? []).forEach((table) => state.tables.delete(table));
  };

  const kept = [blank()];
  const stateAt = (step) => {
    let from = Math.min(Math.floor(step / EVERY), kept.length - 1);
    let state = structuredClone(kept[from]);
    for (let number = from * EVERY; number < step; number += 1) {
      apply(state, events[number]);
      if ((number + 1) % EVERY === 0 && kept.length === (number + 1) / EVERY) {
        kept.push(structuredClone(state));
      }
    }
    return state;
  };

  // Words

  const entryText = (number) => {
    const entry = entries[number];
    return entry.pfn ? `${entry.kind} ${entry.pfn}` : entry.kind;
  };

  const gfnText = (change) => {
    const last = change.gfn + (change.count ?? 1) * pagesOf(change.level) - 1;
    const smm = change.smm ? " of SMM" : "";
    return last === change.gfn ? `gfn ${hex(change.gfn)}${smm}` : `gfns ${hex(change.gfn)}-${hex(last)}${smm}`;
  };

  const tableText = (event) => {
    const said = [];
    for (const number of event.tables ?? []) {
      const state = states[number];
      said.push(`table of level ${state.level} for gfn ${hex(state.gfn)} ${state.note ? `is ${state.note}` : "is written"}`);
    }
    if (event.gone) said.push(`${event.gone.length === 1 ? "a table is" : `${event.gone.length} tables are`} freed`);
    return said.join(", ");
  };

  const inThread = (event) => {
    const mode = event.exclusive ? "" : " shared";
    switch (event.what) {
      case "begins": return event.text;
      case "ends": return `done: ${event.text}`;
      case "goes on": return "goes on";
      case "waits": return `waits for ${event.text}`;
      case "lock": return `takes ${event.lock}${mode}`;
      case "unlock": return `releases ${event.lock}`;
      case "rcu": return "rcu_read_lock()";
      case "rcu ends": return "rcu_read_unlock()";
      case "invalidates": return "invalidation begins";
      case "invalidated": return "invalidation ends";
      case "found": return event.text;
      default: return event.functions ? `${event.functions[0]}()` : "";
    }
  };

  const inMmu = (event) => {
    switch (event.what) {
      case "spte": {
        const change = event.changes[0];
        return `${gfnText(change)}, level ${change.level}: ${entryText(change.old)} \u2192 ${entryText(change.new)}`;
      }
      case "table": return tableText(event);
      case "tlb": {
        const cached = event.tlb ?? [];
        return `TLB of ${threadName(event.vcpu)}: ${cached.length === 0 ? "empty" : cached.length === 1 ? cached[0] : `${cached.length} entries`}`;
      }
      case "owed": return `${threadName(event.vcpu)} owes ${(event.owed ?? []).join(", ") || "nothing"}`;
      case "invalidates": return `window opens: ${event.text}`;
      case "invalidated": return `window closes: ${event.text}`;
      default: return "";
    }
  };

  // Columns of the timeline: for each side its threads and its MMU.

  const columns = sides.flatMap((side, number) => [
    ...(side.threads ?? []).map((thread) => ({ side: number, thread, mmu: false, name: threadName(thread) })),
    { side: number, thread: null, mmu: true, name: "MMU" },
  ]);
  const locks = [...new Set(events.filter((one) => one.what === "lock").map((one) => one.lock))].sort();
  const laneOf = (lock) => `lane${locks.indexOf(lock) % 8}`;

  const bars = (state, column) => {
    const made = element("span", "lanes");
    const bar = (classes, title) => {
      const one = element("span", `lane ${classes}`);
      one.title = title;
      made.append(one);
    };
    if (column.mmu) {
      state.windows.forEach((text) => bar("window", `being invalidated: ${text}`));
      for (const [vcpu, cached] of state.tlb) {
        if (cached.length) bar("tlb-full", `TLB of ${threadName(vcpu)}: ${cached.join("; ")}`);
      }
      for (const [vcpu, owed] of state.owed) {
        if (owed.length) bar("owes", `${threadName(vcpu)} owes ${owed.join(", ")}`);
      }
    } else {
      for (const [lock, exclusive] of state.held.get(column.thread) ?? []) {
        bar(`${laneOf(lock)}${exclusive ? "" : " shared"}`, `${lock}${exclusive ? "" : " shared"}`);
      }
      if (state.rcu.has(column.thread)) bar("rcu", "RCU read section");
    }
    return made;
  };

  const narrow = matchMedia("(max-width: 860px)");

  // Sides of a concurrent run have times of their own: one is shown.  Where room is scarce, threads
  // that do nothing in these rows are left out, then the other side.  The main one is shown if it acts.
  const columnsFor = (now, first, end) => {
    const acts = new Set(events.slice(first, end).map((one) => `${one.side} ${one.thread}`));
    const acting = (column) => column.mmu || acts.has(`${column.side} ${column.thread}`);
    const near = (column) => !now || column.side === now.side;
    const room = narrow.matches ? 0 : MOST_COLUMNS;
    let shown = columns.filter((column) => (!recording.concurrent || near(column))
      && (column.thread !== -1 || acting(column)));
    for (const wanted of [acting, near]) if (shown.length > room) shown = shown.filter(wanted);
    return shown;
  };

  const drawTimeline = (step) => {
    const now = events[Math.max(step - 1, 0)];
    const first = Math.max(0, Math.min(step - AROUND.before, events.length - AROUND.before));
    const end = Math.min(events.length, first + AROUND.before + AROUND.after);
    const shown = columnsFor(now, first, end);
    const head = element("tr", "", element("th", "", "step"));
    for (const column of shown) {
      const th = element("th", `side${column.side}`, column.name);
      th.title = sideName(column.side);
      head.append(th);
    }
    if (narrow.matches) head.append(element("th", "", now ? sideName(now.side) : "event"));
    byId("timeline").classList.toggle("slim", narrow.matches);
    byId("timeline").style.setProperty("--columns", shown.length);
    const body = element("tbody");
    const state = stateAt(first);
    for (let number = first; number < end; number += 1) {
      const event = events[number];
      apply(state, event);
      const row = element("tr", `${number >= step ? "later" : ""} ${event.what === "begins" ? "op" : ""}`);
      if (number === step - 1) row.setAttribute("aria-current", "step");
      row.append(element("td", "mono", `${number + 1}`));
      if (event.what === "found") row.append(element("td", "all bad-text", event.text));
      for (const column of event.what === "found" ? [] : shown) {
        const own = column.side === event.side;
        let text = "";
        if (own && column.mmu) text = inMmu(event);
        else if (own && column.thread === event.thread) text = inThread(event);
        const strong = ["begins", "waits", "goes on"].includes(event.what) ? " strong" : "";
        const what = element("span", `what${strong}`, text);
        const cell = element("div", "cell", bars(state[column.side], column), narrow.matches ? null : what);
        row.append(element("td", "", cell));
      }
      if (narrow.matches && event.what !== "found") {
        const whose = event.side === now.side ? "" : `${["left", "right"][event.side]}, `;
        const did = inThread(event);
        const said = [did && `${whose}${threadName(event.thread)}: ${did}`, inMmu(event)];
        row.append(element("td", "", ...said.filter(Boolean).map((text) => element("div", "what", text))));
      }
      row.addEventListener("click", () => go(number + 1));
      body.append(row);
    }
    byId("timeline").replaceChildren(element("thead", "", head), body);
  };

  const drawLegend = () => {
    const legend = byId("legend");
    const add = (classes, text) => legend.append(element("span", "", element("span", `lane ${classes}`), text), " ");
    locks.forEach((lock) => add(laneOf(lock), lock));
    if (locks.length) add("lane7 shared", "paler: shared");
    add("rcu", "RCU section");
    add("window", "invalidation");
    add("tlb-full", "TLB holds something");
    add("owes", "request not served");
  };

  // What happens now

  const bitsOf = (number, other) => {
    const bits = entries[number].bits ?? [];
    const others = other === undefined ? bits : entries[other].bits ?? [];
    return bits.map((bit) => element("span", others.includes(bit) ? "bit" : "bit only", bit));
  };

  const drawNow = (step, state) => {
    const made = [];
    const event = step > 0 ? events[step - 1] : null;
    if (!event) {
      made.push(element("p", "event", events.length ? "Before the first operation." : "Nothing was recorded."));
    } else {
      const mmu = inMmu(event);
      const where = event.what === "found" ? "" : `${sideName(event.side)}, ${threadName(event.thread)}: `;
      const text = event.what === "spte" || event.what === "table" || event.what === "tlb" || event.what === "owed" ? mmu : inThread(event);
      made.push(element("p", event.what === "found" ? "event bad-text" : "event", where, text));
      const list = element("dl");
      const tell = (key, ...value) => list.append(element("dt", "", key), element("dd", "", ...value));
      if (event.op !== undefined && event.what !== "begins") tell("operation", element("code", "", `${event.op}  ${recording.operations[event.op]}`));
      if (event.what === "goes on" && event.text) tell("switch", event.text);
      if (event.what.startsWith("invalidate")) tell("range", element("code", "", event.text));
      if (event.functions) tell(event.what === "goes on" ? "other one in" : "in", element("code", "", event.functions.map((name) => `${name}()`).join(" \u2190 ")));
      for (const change of (event.changes ?? []).slice(0, 8)) {
        tell(gfnText(change), element("div", "", element("code", "", entries[change.old].value), " ", entryText(change.old), " ", ...bitsOf(change.old, change.new)),
          element("div", "", "\u2192 ", element("code", "", entries[change.new].value), " ", entryText(change.new), " ", ...bitsOf(change.new, change.old)));
      }
      for (const text_ of event.tlb ?? []) tell("cached", element("code", "", text_));
      const own = state[event.side];
      for (const thread of sides[event.side].threads ?? []) {
        const parts = (own.held.get(thread) ?? []).map(([lock, exclusive]) => `${lock}${exclusive ? "" : " shared"}`);
        if (own.rcu.has(thread)) parts.push("RCU");
        const waits = own.waits.get(thread);
        if (parts.length || waits !== undefined) {
          tell(threadName(thread), parts.length ? `holds ${parts.join(", ")}` : "", waits === undefined ? "" : ` waits for ${waits}`);
        }
      }
      own.windows.forEach((text_) => tell("window", element("code", "", text_)));
      for (const [vcpu, cached] of own.tlb) {
        if (cached.length && event.what !== "tlb") tell(`TLB of ${threadName(vcpu)}`, element("code", "", cached.slice(0, 4).join("; ")), cached.length > 4 ? ` and ${cached.length - 4} more` : "");
      }
      const passed = passedIn(step);
      if (passed.length) tell("so far", element("code", "", passed.map((name) => `${name}()`).join(", ")));
      made.push(list);
    }
    byId("now").replaceChildren(...made);
  };

  // Functions that the operation of the current thread has been in, in the order of their entry.
  const passedIn = (step) => {
    const { side, thread, op } = events[step - 1];
    const found = new Set();
    for (let number = step - 1; number >= 0; number -= 1) {
      const event = events[number];
      if (event.side !== side || event.thread !== thread) continue;
      if (event.op !== op || event.what === "begins") break;
      if (event.what === "goes on") continue; // where the other thread stands
      (event.functions ?? []).forEach((name) => { found.delete(name); found.add(name); });
    }
    return [...found].reverse();
  };

  // Page tables

  const keyOf = (state, row) => `${state.smm ?? false} ${state.level} ${row[0] * pagesOf(state.level) + state.gfn} ${row[1] - row[0]}`;

  const leavesOf = (state) => {
    const found = new Map();
    for (const number of state.tables.values()) {
      for (const row of states[number].rows ?? []) {
        const key = keyOf(states[number], row);
        found.set(key, [...(found.get(key) ?? []), row[2]]);
      }
    }
    return found;
  };

  const alike = (one, other) => {
    const [a, b] = [entries[one], entries[other]];
    const leaf = a.kind === "leaf" || a.kind === "MMIO";
    return a.kind === b.kind && (!leaf || a.pfn === b.pfn) && (a.bits ?? []).join() === (b.bits ?? []).join();
  };

  const drawTable = (number, state, others, changed, seen) => {
    const table = states[number];
    const size = pagesOf(table.level);
    const list = element("ul", "tree");
    const note = table.note ? `, ${table.note}` : "";
    const smm = table.smm ? ", SMM" : "";
    list.append(element("li", "head", `level ${table.level} from gfn ${hex(table.gfn)}${smm}${note}`));
    const rows = table.rows ?? [];
    if (!rows.length) list.append(element("li", "empty", "empty"));
    for (const row of rows.slice(0, MOST_ROWS)) {
      const [first, last, entry, child = -1] = row;
      const from = table.gfn + first * size;
      const to = table.gfn + (last + 1) * size - 1;
      const other = others?.get(keyOf(table, row));
      const same = !others || (other?.some((one) => alike(entry, one)) ?? false);
      const moved = changed.some((one) => one.level === table.level && (one.smm ?? false) === (table.smm ?? false)
        && one.gfn <= to && one.gfn + (one.count ?? 1) * size > from);
      const line = element("div", `row${same ? "" : " differs"}${moved ? " changed" : ""}`);
      if (!same) line.append(element("span", "mark", "\u2260"));
      if (moved) line.append(element("span", "mark", "\u2022"));
      const range = to === from ? hex(from) : `${hex(from)}-${hex(to)}`;
      const { kind, pfn, value } = entries[entry];
      const what = kind === "leaf" ? `${sizeOf(table.level)} page` : kind;
      const count = last > first ? `, ${last - first + 1} alike` : "";
      line.append(element("code", "", `gfn ${range}`), ` ${what}${pfn ? ` pfn ${pfn}` : ""}${count} `, ...bitsOf(entry, same ? undefined : other?.[0]));
      line.title = value;
      const item = element("li", "", line);
      const below = state.tables.get(child);
      if (below !== undefined && !seen.has(child)) {
        seen.add(child);
        item.append(drawTable(below, state, others, changed, seen));
      }
      list.append(item);
    }
    if (rows.length > MOST_ROWS) list.append(element("li", "empty", `and ${rows.length - MOST_ROWS} rows more`));
    return list;
  };

  const drawTables = (step, state) => {
    const event = step > 0 ? events[step - 1] : null;
    const side = event?.side ?? 0;
    const compared = [...state];
    let told = "";
    if (recording.concurrent && sides.length > 1) {
      // Each side runs under its own schedule: the other one stands where its run ended.
      const other = 1 - side;
      const ended = events.findLastIndex((one) => one.side === other && one.what === "ends");
      const ran = ended >= 0;
      compared[other] = ran ? stateAt(ended + 1)[other] : null;
      told = ran ? `Compared with ${sideName(other)} after its last operation.` : `${sideName(other)} did not run: nothing to compare with.`;
    }
    if (!recording.concurrent && side === 0 && event && event.what !== "found" && sides.length > 1) {
      told = `${sideName(1)} has this operation still before it.`;
    }
    byId("compared").textContent = told;
    const parts = sides.map((one, number) => {
      const box = element("div", "", element("h3", `side${number}`, sideName(number)));
      const own = compared[number];
      if (!own || !own.tables.size) {
        box.append(element("p", "empty", one.code === "specification" ? "It has no page tables." : "No tables."));
        return box;
      }
      const other = compared[1 - number];
      const others = other && sides[1 - number].code !== "specification" ? leavesOf(other) : null;
      const changed = event && event.side === number ? event.changes ?? [] : [];
      const seen = new Set();
      const below = new Set([...own.tables.values()].flatMap(children));
      const tops = [...own.tables].filter(([table]) => !below.has(table))
        .sort((a, b) => states[b[1]].level - states[a[1]].level);
      for (const [table, at] of tops) {
        if (own.linked.has(table)) box.append(element("p", "empty", "no longer linked:"));
        box.append(drawTable(at, own, others, changed, seen));
      }
      return box;
    });
    byId("tables").replaceChildren(...parts);
  };

  // The program

  const begins = new Map();
  events.forEach((event, number) => {
    if (event.what === "begins" && !begins.has(event.op ?? -1)) begins.set(event.op ?? -1, number + 1);
  });
  const stops = [...new Set([0, ...events.flatMap((event, number) => (event.what === "begins" ? [number + 1] : [])), events.length])];
  const operations = recording.operations.map((text, number) => {
    const button = element("button", "mono", text);
    button.type = "button";
    button.disabled = !begins.has(number);
    button.addEventListener("click", () => go(begins.get(number)));
    const item = element("li", objections.some((one) => one.op === number) ? "bad" : "", button);
    byId("operations").append(item);
    return item;
  });

  const drawProgram = (step) => {
    const current = step > 0 ? events[step - 1].op ?? -1 : -1;
    operations.forEach((item, number) => {
      if (number === current) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
    const item = operations[current];
    if (item) {
      const list = byId("operations");
      const [top, bottom] = [item.offsetTop - list.offsetTop, item.offsetTop - list.offsetTop + item.offsetHeight];
      if (top < list.scrollTop) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
    }
  };

  // Steps

  let current = 0;
  const show = () => {
    const state = stateAt(current);
    byId("place").textContent = `Step ${current} of ${events.length}`;
    byId("slider").value = current;
    for (const id of ["first", "op-back", "back"]) byId(id).disabled = current === 0;
    for (const id of ["forward", "op-forward", "last"]) byId(id).disabled = current === events.length;
    drawNow(current, state);
    drawProgram(current);
    drawTimeline(current);
    drawTables(current, state);
  };
  const clamp = (step) => Math.min(Math.max(step, 0), events.length);
  const go = (step) => {
    current = clamp(step);
    history.replaceState(null, "", `#${current}`);
    show();
  };
  const fromHash = () => {
    const found = /^#(\d{1,9})$/.exec(location.hash);
    return found ? clamp(Number(found[1])) : null;
  };
  const moves = {
    first: () => go(0),
    "op-back": () => go(stops.findLast((one) => one < current) ?? 0),
    back: () => go(current - 1),
    forward: () => go(current + 1),
    "op-forward": () => go(stops.find((one) => one > current) ?? events.length),
    last: () => go(events.length),
  };
  for (const [id, move] of Object.entries(moves)) byId(id).addEventListener("click", move);
  byId("slider").max = events.length;
  byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
  addEventListener("hashchange", () => { current = fromHash() ?? current; show(); });
  narrow.addEventListener("change", show);
  document.addEventListener("keydown", (pressed) => {
    if (pressed.ctrlKey || pressed.altKey || pressed.metaKey || pressed.target === byId("slider")) return;
    const keys = {
      ArrowLeft: pressed.shiftKey ? "op-back" : "back",
      ArrowRight: pressed.shiftKey ? "op-forward" : "forward",
      Home: "first",
      End: "last",
    };
    const move = moves[keys[pressed.key]];
    if (move) {
      pressed.preventDefault();
      move();
    }
  });

  // Light and dark

  const themes = ["auto", "light", "dark"];
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
    root.dataset.theme = next;
    byId("theme").textContent = `Theme: ${next}`;
  });

  drawLegend();
  current = fromHash() ?? events.length;
  show();
})();
