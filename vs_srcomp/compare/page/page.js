"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const parse = (id) => JSON.parse(byId(id).textContent);
  const report = parse("report");
  const pictures = parse("pictures");
  const names = report.candidates.map((one) => one.name);
  if (report.reference) names.push(report.reference.name + " (reference)");
  const ZOOMS = [1, 2, 3, 4, 5, 6, 7, 8];
  const MODES = ["slider", "flip", "side", "difference"];

  /** The largest zoom at which the first crop fits on the stage. */
  function fit() {
    const [, , width, height] = report.shown[0].crop;
    const { clientWidth, clientHeight } = byId("stage");
    return Math.min(8, Math.max(1, Math.floor(Math.min(clientWidth / width, clientHeight / height))));
  }

  // ---- What is shown: all of it is in the address after the #, so that a link opens the same view.

  const state = {
    frame: 0, mode: "slider", a: 0, b: Math.min(1, names.length - 1), zoom: fit(), x: null, y: null, split: 50, gain: 4,
  };

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    const whole = (key, low, high, otherwise) => {
      const value = given.has(key) ? Number(given.get(key)) : NaN;
      return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
    };
    const number = given.has("frame") ? Number(given.get("frame")) : NaN;
    if (Number.isFinite(number)) state.frame = nearest(number);
    if (MODES.includes(given.get("mode"))) state.mode = given.get("mode");
    state.a = Math.round(whole("a", 1, names.length, state.a + 1)) - 1;
    state.b = Math.round(whole("b", 1, names.length, state.b + 1)) - 1;
    state.zoom = Math.round(whole("zoom", 1, 8, state.zoom));
    state.split = whole("split", 0, 100, state.split);
    const gain = whole("gain", 1, 16, state.gain);
    if ([1, 2, 4, 8, 16].includes(gain)) state.gain = gain;
    const [, , width, height] = report.shown[state.frame].crop;
    state.x = given.has("x") ? whole("x", 0, width, null) : null;
    state.y = given.has("y") ? whole("y", 0, height, null) : null;
  }

  function hash() {
    const parts = {
      frame: report.shown[state.frame].number, mode: state.mode, a: state.a + 1, b: state.b + 1, zoom: state.zoom,
      x: +state.x.toFixed(3), y: +state.y.toFixed(3), split: +state.split.toFixed(1), gain: state.gain,
    };
    return "#" + new URLSearchParams(parts).toString();
  }

  let written = "";
  let writing = 0;
  function writeHash() {
    clearTimeout(writing);
    writing = setTimeout(() => {
      // The middle of a frame is known when its pictures are decoded.
      if (state.x === null || state.y === null) return writeHash();
      written = hash();
      history.replaceState(null, "", written);
    }, 150);
  }

  const nearest = (number) => {
    let best = 0;
    report.shown.forEach((shown, index) => {
      if (Math.abs(shown.number - number) < Math.abs(report.shown[best].number - number)) best = index;
    });
    return best;
  };

  // ---- Pictures, decoded when they are first shown

  const decoded = new Map();
  function frameImages(index) {
    if (!decoded.has(index)) {
      decoded.set(index, Promise.all(pictures[index].crops.map(async (uri) => {
        const image = new Image();
        image.src = uri;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        return { canvas, data: context.getImageData(0, 0, canvas.width, canvas.height).data };
      })));
    }
    return decoded.get(index);
  }

  let images = null;
  let difference = { key: "", canvas: null };
  function differenceOf(a, b) {
    const key = [state.frame, a, b, state.gain].join();
    if (difference.key !== key) {
      const canvas = document.createElement("canvas");
      canvas.width = images[a].canvas.width;
      canvas.height = images[a].canvas.height;
      const context = canvas.getContext("2d");
      const made = context.createImageData(canvas.width, canvas.height);
      const [left, right, out] = [images[a].data, images[b].data, made.data];
      for (let i = 0; i < out.length; i += 4) {
        for (let c = 0; c < 3; c++) out[i + c] = Math.abs(left[i + c] - right[i + c]) * state.gain;
        out[i + 3] = 255;
      }
      context.putImageData(made, 0, 0);
      difference = { key, canvas };
    }
    return difference.canvas;
  }

  // ---- The stage

  const stage = byId("stage");
  const handle = byId("handle");
  let views = [];  // what each canvas shows: a number of a picture, or null for that of the mode

  function arrange() {
    const wanted = state.mode === "side" ? names.map((_, index) => index) : [null];
    if (views.length === wanted.length && views.every((view, index) => view.shows === wanted[index])) return;
    const box = byId("canvases");
    box.replaceChildren();
    views = wanted.map((shows) => {
      const cell = document.createElement("div");
      const canvas = document.createElement("canvas");
      canvas.className = "view";
      cell.append(canvas);
      if (shows !== null) {
        const tag = document.createElement("span");
        tag.className = "tag";
        tag.textContent = `${shows + 1} ${names[shows]}`;
        cell.append(tag);
      }
      box.append(cell);
      return { shows, canvas, cell };
    });
    const columns = wanted.length === 1 ? 1 : stage.clientWidth < 500 || wanted.length === 4 ? 2 : Math.min(3, wanted.length);
    box.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    box.style.gridAutoRows = "minmax(0, 1fr)";
  }

  // Whole device pixels for each of the picture's: nearest neighbour is exact then.
  const scale = () => Math.max(1, Math.round(state.zoom * devicePixelRatio));

  /** Where the picture's left upper corner is in a canvas, in device pixels; keeps the view within the picture. */
  function origin(canvas) {
    const { width, height } = images[0].canvas;
    const s = scale();
    const along = (center, side, room) => {
      if (side * s <= room) return [side / 2, Math.round((room - side * s) / 2)];
      const half = room / 2 / s;
      const kept = Math.min(side - half, Math.max(half, center));
      return [kept, Math.round(room / 2 - kept * s)];
    };
    let left, top;
    [state.x, left] = along(state.x ?? width / 2, width, canvas.width);
    [state.y, top] = along(state.y ?? height / 2, height, canvas.height);
    return [left, top];
  }

  /** From where to where the picture covers a canvas, in device pixels. */
  function covered(canvas, left) {
    return [Math.max(0, left), Math.min(canvas.width, left + images[0].canvas.width * scale())];
  }

  function paint() {
    if (!images) return;
    for (const view of views) {
      const { canvas } = view;
      const [width, height] = [view.cell.clientWidth, view.cell.clientHeight].map((side) => Math.round(side * devicePixelRatio));
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, width, height);
      context.imageSmoothingEnabled = false;
      const [left, top] = origin(canvas);
      const s = scale();
      const put = (picture) => context.drawImage(picture, left, top, picture.width * s, picture.height * s);
      if (view.shows !== null) put(images[view.shows].canvas);
      else if (state.mode === "flip") put(images[state.a].canvas);
      else if (state.mode === "difference") put(differenceOf(state.a, state.b));
      else {
        put(images[state.a].canvas);
        const [from, to] = covered(canvas, left);
        const cut = Math.round(from + (to - from) * state.split / 100);
        context.save();
        context.beginPath();
        context.rect(cut, 0, width - cut, height);
        context.clip();
        put(images[state.b].canvas);
        context.restore();
        handle.style.left = `${cut / devicePixelRatio}px`;
      }
    }
    place();
  }

  /** The part of the frame that is on the stage, in the picture of the whole frame. */
  function place() {
    const [left, top, width, height] = report.shown[state.frame].crop;
    const s = scale();
    const { canvas } = views[0];
    const [ox, oy] = origin(canvas);
    const part = (o, side, room) => [Math.max(0, -o / s), Math.min(side, (room - o) / s)];
    const [x0, x1] = part(ox, width, canvas.width);
    const [y0, y1] = part(oy, height, canvas.height);
    const style = byId("place").style;
    style.left = `${100 * (left + x0) / report.width}%`;
    style.top = `${100 * (top + y0) / report.height}%`;
    style.width = `${100 * (x1 - x0) / report.width}%`;
    style.height = `${100 * (y1 - y0) / report.height}%`;
  }

  // ---- Everything that follows the state

  const label = (index) => `${index + 1} ${names[index]}`;

  async function show(what) {
    const changed = what && "frame" in what && what.frame !== state.frame;
    Object.assign(state, what);
    if (changed) state.x = state.y = null;
    document.body.dataset.mode = state.mode;
    arrange();
    for (const button of byId("modes").children) {
      const on = button.dataset.mode === state.mode;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
    [...byId("numbers").children].forEach((button, index) =>
      button.setAttribute("aria-pressed", state.mode === "flip" && index === state.a));
    [...byId("strip").children].forEach((button, index) =>
      button.setAttribute("aria-current", index === state.frame));
    byId("a").value = state.a;
    byId("b").value = state.b;
    byId("gain").value = state.gain;
    byId("zoom").textContent = `${state.zoom}×`;
    handle.setAttribute("aria-valuenow", Math.round(state.split));
    handle.setAttribute("aria-valuetext", `${Math.round(state.split)} % ${names[state.a]}, the rest ${names[state.b]}`);
    byId("tag-a").textContent = { slider: label(state.a), flip: label(state.a), side: "",
      difference: `|${label(state.a)} − ${label(state.b)}| × ${state.gain}` }[state.mode];
    byId("tag-b").textContent = state.mode === "slider" ? label(state.b) : "";
    const shown = report.shown[state.frame];
    if (!images || changed || byId("overview").dataset.frame !== String(state.frame)) {
      byId("overview").src = pictures[state.frame].overview;
      byId("overview").dataset.frame = state.frame;
      byId("overview").alt = `The whole frame ${shown.number}`;
      const [left, top, width, height] = shown.crop;
      byId("caption").textContent = `Frame ${shown.number}, ${shown.time.toFixed(2)} s: ${shown.why.join(", ")}. ` +
        `Crop ${width}×${height} at ${left}, ${top}, lossless; this picture is smaller and lossy.`;
      const wanted = state.frame;
      const found = await frameImages(wanted);
      if (wanted !== state.frame) return;
      images = found;
    }
    paint();
    document.body.dataset.frame = shown.number;
    writeHash();
    if (chart && changed) chart.redraw();
  }

  function say(text) { byId("said").textContent = text; }

  // ---- Values of a pixel

  const rows = names.map((name, index) => {
    const row = byId("pixel").tBodies[0].insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = label(index);
    head.title = name;
    row.append(head);
    return [0, 1, 2].map(() => row.insertCell());
  });

  function values(x, y) {
    const { width, height } = images[0].canvas;
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    const [left, top] = report.shown[state.frame].crop;
    byId("at").textContent = inside ? `Pixel ${left + x}, ${top + y}` : "Pixel";
    rows.forEach((cells, index) => cells.forEach((cell, channel) => {
      cell.textContent = inside ? images[index].data[4 * (y * width + x) + channel] : "";
    }));
  }

  function pixelAt(event) {
    const view = views.find((each) => each.cell.contains(event.target)) ??
      views.find((each) => {
        const box = each.cell.getBoundingClientRect();
        return event.clientX >= box.left && event.clientX < box.right && event.clientY >= box.top && event.clientY < box.bottom;
      });
    if (!view || !images) return null;
    const box = view.canvas.getBoundingClientRect();
    const [left, top] = origin(view.canvas);
    const s = scale();
    return [((event.clientX - box.left) * devicePixelRatio - left) / s, ((event.clientY - box.top) * devicePixelRatio - top) / s];
  }

  // ---- Pointers: drag moves, pinch and wheel zoom, a tap flips

  const pointers = new Map();
  let pinch = 0;
  let moved = 0;

  const distance = () => {
    const [one, two] = [...pointers.values()];
    return Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("#handle")) return;
    pointers.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    moved = pointers.size > 1 ? 99 : 0;
    if (pointers.size === 2) pinch = distance() / state.zoom;
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before) {
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) {
        zoomTo(Math.round(distance() / pinch));
      } else if (images) {
        const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
        moved += Math.abs(dx) + Math.abs(dy);
        const s = scale() / devicePixelRatio;
        show({ x: state.x - dx / s, y: state.y - dy / s });
      }
    }
    const at = pixelAt(event);
    if (at) values(Math.floor(at[0]), Math.floor(at[1]));
  });
  const released = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && moved < 6) {
      const at = pixelAt(event);
      if (at) values(Math.floor(at[0]), Math.floor(at[1]));
      if (state.mode === "flip") flip();
    }
  };
  stage.addEventListener("pointerup", released);
  stage.addEventListener("pointercancel", released);
  stage.addEventListener("wheel", (event) => {
    // Without focus the wheel scrolls the page.
    if (!event.ctrlKey && document.activeElement !== stage) return;
    event.preventDefault();
    zoomTo(state.zoom - Math.sign(event.deltaY), pixelAt(event));
  }, { passive: false });

  /** Zoom, and keep the point of the picture under the pointer where it is. */
  function zoomTo(wanted, at) {
    const zoom = Math.min(8, Math.max(1, wanted));
    if (zoom === state.zoom) return;
    const kept = at ? state.zoom / zoom : 1;
    show({
      zoom,
      x: at ? at[0] + (state.x - at[0]) * kept : state.x,
      y: at ? at[1] + (state.y - at[1]) * kept : state.y,
    });
  }

  function divide(clientX) {
    const { canvas } = views[0];
    const box = canvas.getBoundingClientRect();
    const [from, to] = covered(canvas, origin(canvas)[0]);
    const at = (clientX - box.left) * devicePixelRatio;
    show({ split: Math.min(100, Math.max(0, 100 * (at - from) / (to - from))) });
  }
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) divide(event.clientX);
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
    if (event.key in steps) {
      show({ split: Math.min(100, Math.max(0, state.split + steps[event.key])) });
      event.preventDefault();
      event.stopPropagation();
    }
  });

  // ---- Keys

  const flip = () => {
    show({ a: state.b, b: state.a });
    say(`Showing ${state.mode === "flip" ? names[state.a] : `${names[state.a]} and ${names[state.b]}`}`);
  };
  const one = (index) => {
    if (index >= names.length) return;
    show(index === state.a ? { mode: "flip" } : { mode: "flip", a: index, b: state.a });
    say(`Showing ${names[index]}`);
  };
  const step = (by) => {
    const frame = Math.min(report.shown.length - 1, Math.max(0, state.frame + by));
    goTo(frame);
  };
  function goTo(frame) {
    show({ frame });
    const strip = byId("strip");
    const button = strip.children[frame];
    strip.scrollTo({ left: button.offsetLeft - (strip.clientWidth - button.clientWidth) / 2 });
    const shown = report.shown[frame];
    say(`Frame ${shown.number} at ${shown.time.toFixed(2)} s: ${shown.why.join(", ")}`);
  }
  const pan = (dx, dy) => {
    const by = 40 / state.zoom;
    show({ x: state.x + dx * by, y: state.y + dy * by });
    if (images) values(Math.floor(state.x), Math.floor(state.y));
  };
  const KEYS = {
    " ": flip, s: () => show({ mode: "slider" }), f: () => show({ mode: "flip" }), a: () => show({ mode: "side" }),
    d: () => show({ mode: "difference" }), "+": () => zoomTo(state.zoom + 1), "=": () => zoomTo(state.zoom + 1),
    "-": () => zoomTo(state.zoom - 1), ",": () => step(-1), ".": () => step(1),
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, summary")) return;
    // On a button, space presses it.
    if (event.key === " " && event.target.closest("button")) return;
    if (/^[1-9]$/.test(event.key)) one(Number(event.key) - 1);
    else if (event.key in KEYS) KEYS[event.key]();
    else if (event.key in ARROWS && event.target === stage) pan(...ARROWS[event.key]);
    else return;
    event.preventDefault();
  });

  // ---- Controls

  names.forEach((name, index) => {
    for (const id of ["a", "b"]) byId(id).add(new Option(label(index), index));
    const button = document.createElement("button");
    button.type = "button";
    const key = document.createElement("b");
    key.textContent = index + 1;
    button.append(key, name);
    button.addEventListener("click", () => one(index));
    byId("numbers").append(button);
  });
  report.shown.forEach((shown, index) => {
    const button = document.createElement("button");
    button.type = "button";
    const image = new Image();
    image.src = pictures[index].overview;
    image.alt = "";
    const text = document.createElement("span");
    const why = document.createElement("small");
    why.textContent = shown.why.join(", ");
    text.append(`Frame ${shown.number}`, why);
    button.append(image, text);
    button.setAttribute("aria-label", `Frame ${shown.number} at ${shown.time.toFixed(2)} s: ${shown.why.join(", ")}`);
    button.addEventListener("click", () => goTo(index));
    byId("strip").append(button);
  });
  for (const id of ["a", "b"]) byId(id).addEventListener("change", (event) => show({ [id]: Number(event.target.value) }));
  byId("gain").addEventListener("change", (event) => show({ gain: Number(event.target.value) }));
  byId("swap").addEventListener("click", flip);
  byId("in").addEventListener("click", () => zoomTo(state.zoom + 1));
  byId("out").addEventListener("click", () => zoomTo(state.zoom - 1));
  byId("modes").addEventListener("click", (event) => {
    if (event.target.dataset.mode) show({ mode: event.target.dataset.mode });
  });
  byId("modes").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    show({ mode: MODES[(MODES.indexOf(state.mode) + by + MODES.length) % MODES.length] });
    byId("modes").querySelector('[aria-checked="true"]').focus();
  });
  byId("link").addEventListener("click", async () => {
    const address = location.href.split("#")[0] + hash();
    try {
      await navigator.clipboard.writeText(address);
      say("The link is in the clipboard");
    } catch {
      history.replaceState(null, "", hash());
      say("The address line has the link");
    }
  });
  byId("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = "data:application/json;charset=utf-8," + encodeURIComponent(byId("report").textContent);
    link.download = "comparison.json";
    link.click();
  });

  // ---- The graph

  let chart = null;
  const css = (name) => {
    // light-dark() is resolved for real properties only.
    byId("said").style.setProperty("outline-color", `var(${name})`);
    return getComputedStyle(byId("said")).outlineColor;
  };
  const curves = report.metrics.length
    ? report.metrics.map((metric) => ({
      title: metric.title, unit: metric.unit, digits: metric.digits, values: report.candidates.map((each) => each.scores[metric.name]),
      labels: names.slice(0, report.candidates.length) }))
    : [{ title: "Detail", unit: "", digits: 1, values: [report.detail], labels: [names[0]] }];
  curves.forEach((curve, index) => byId("metric").add(new Option(curve.title, index)));
  const levels = report.candidates.map((each) => each.q).find((q) => q.some((level) => level !== null));

  function drawMarks(u) {
    const { ctx, bbox } = u;
    const at = (time) => Math.round(u.valToPos(time, "x", true)) + 0.5;
    const time = (frame) => report.times[Math.min(report.times.length - 1, Math.floor(frame / report.step))];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left - 6, bbox.top, bbox.width + 12, bbox.height + 8);
    ctx.clip();
    ctx.strokeStyle = css("--soft");
    ctx.lineWidth = 1;
    ctx.globalAlpha = 0.45;
    for (const cut of report.cuts.filter(Boolean)) {
      ctx.beginPath();
      ctx.moveTo(at(time(cut)), bbox.top);
      ctx.lineTo(at(time(cut)), bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    report.shown.forEach((shown, index) => {
      const current = index === state.frame;
      ctx.fillStyle = css(current ? "--accent" : "--soft");
      ctx.beginPath();
      ctx.arc(at(shown.time), bbox.top + bbox.height - 4 * devicePixelRatio, (current ? 5 : 3.2) * devicePixelRatio, 0, 7);
      ctx.fill();
    });
    ctx.restore();
  }

  function draw() {
    const box = byId("graph");
    const curve = curves[Number(byId("metric").value) || 0];
    chart?.destroy();
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
    const value = (digits) => (u, v) => v == null ? "–" : v.toFixed(digits);
    const series = [{ label: "Time, s", value: value(2) }];
    const data = [report.times];
    const dots = { show: report.times.length < 40, size: 5 };
    curve.values.forEach((values, index) => {
      series.push({ label: curve.labels[index], stroke: css(`--c${index % 9}`), width: 1.6, value: value(curve.digits), points: dots });
      data.push(values);
    });
    const axes = [{ ...axis, space: 60 }, { ...axis, size: 56 }];
    if (levels) {
      series.push({ label: "Level (SrcompQ)", scale: "q", stroke: css("--soft"), width: 1.2, dash: [6, 4], value: value(1),
        paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } });
      data.push(levels);
      axes.push({ ...axis, side: 1, scale: "q", size: 40, grid: { show: false } });
    }
    chart = new uPlot({
      width: box.clientWidth, height: 260, series, axes, scales: { x: { time: false }, q: { range: [0, 63] } },
      cursor: { drag: { x: false, y: false, click: () => {} } }, hooks: { draw: [drawMarks] },
    }, data, box);
    chart.over.addEventListener("click", (event) => {
      const time = chart.posToVal(event.clientX - chart.over.getBoundingClientRect().left, "x");
      let best = 0;
      report.shown.forEach((shown, index) => {
        if (Math.abs(shown.time - time) < Math.abs(report.shown[best].time - time)) best = index;
      });
      goTo(best);
      // The picture is what the click asks for.
      stage.scrollIntoView({ block: "nearest" });
    });
  }
  byId("metric").addEventListener("change", draw);

  // ---- Look, size, begin

  const dark = matchMedia("(prefers-color-scheme: dark)");
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", draw);
  new ResizeObserver(() => { views = []; arrange(); paint(); }).observe(stage);
  new ResizeObserver(() => chart?.setSize({ width: byId("graph").clientWidth, height: 260 })).observe(byId("graph"));
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    readHash();
    images = null;
    show({});
  });

  readHash();
  draw();
  show({});
})();
