"use strict";
// The photograph with its cracks: OpenSeadragon draws the tiles, a canvas above it the lines.

const TILE_PX = 512;
const LINE_PX = 2.2, CASING_PX = 5, CHOSEN_PX = 10;
const REACH_PX = 9; // how far from a line a click still means it
const BAR_PX = 140; // longest scale bar
const CLOSE = 0.75, FAINT = 0.5; // from this scale on, the crack shows through its line
const MANY = 800; // lines in sight, from which on they are drawn together and without a casing
const DASHES = { joint: [8, 6], rejected: [2, 5], possibly: [12, 4] };

class Picture {
  /** Show nothing yet; call onChoose with a line when it is clicked. */
  constructor(store, stage, onChoose) {
    this.store = store;
    this.onChoose = onChoose;
    this.layers = { cracks: true, joints: true, rejected: true, areas: true };
    this.lines = [];
    this.shown = null; // lines that fit the filter; null: all
    this.hint = stage.querySelector("#hint");
    this.bar = stage.querySelector("#bar");
    this.compass = stage.querySelector("#compass");
    this.viewer = OpenSeadragon({
      element: stage.querySelector("#picture"),
      drawer: "canvas", // images of files may not be read by WebGL
      showNavigationControl: false,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
      maxZoomPixelRatio: 8,
      minZoomImageRatio: 0.7,
      visibilityRatio: 0.3,
      animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
      immediateRender: true,
    });
    this.canvas = element("canvas", { className: "lines" });
    this.viewer.canvas.append(this.canvas);
    this.viewer.canvas.setAttribute("aria-label", text("photograph"));
    for (const event of ["update-viewport", "resize", "open"]) {
      this.viewer.addHandler(event, () => this.draw());
    }
    this.viewer.addHandler("canvas-click", (event) => event.quick && this.click(event.position));
    this.viewer.element.addEventListener("pointermove", (event) => this.hover(event));
    this.viewer.element.addEventListener("pointerleave", () => this.point(null));
  }

  /** Show a scene; resolves when its photograph is open. */
  async open(number) {
    if (this.number === number) return this.opened;
    this.number = number;
    this.opened = this.openScene(number);
    return this.opened;
  }

  async openScene(number) {
    const scene = this.store.scenes[number];
    const data = await this.store.scene(number);
    if (this.number !== number) return;
    this.scene = scene;
    this.chosen = this.pointed = null;
    const own = this.store.cracks.filter((crack) => crack.scene === number);
    this.lines = own.map((crack) => new DrawnLine(crack, data.decoded[crack.index]));
    // Narrow cracks first, so that wide ones lie on top of them, and joints below all.
    this.order = [...this.lines].sort((a, b) =>
      (a.crack.kind === CRACK) - (b.crack.kind === CRACK) || a.crack.class - b.crack.class);
    this.areas = new Path2D();
    for (const ring of data.areas.flatMap((area) => area.rings)) {
      for (let at = 0; at < ring.length; at += 2) {
        this.areas[at ? "lineTo" : "moveTo"](ring[at], ring[at + 1]);
      }
      this.areas.closePath();
    }
    await new Promise((resolve) => {
      this.viewer.addOnceHandler("open", resolve);
      this.viewer.open(tileSource(scene));
    });
    this.showCompass();
  }

  home() {
    this.viewer.viewport.goHome();
  }

  zoom(factor) {
    this.viewer.viewport.zoomBy(factor);
    this.viewer.viewport.applyConstraints();
  }

  /** Return where the photograph lies on the canvas: its origin, and screen pixels per pixel. */
  place() {
    const { viewport } = this.viewer;
    const origin = viewport.pixelFromPoint(new OpenSeadragon.Point(0, 0), true);
    const end = viewport.pixelFromPoint(new OpenSeadragon.Point(1, 0), true);
    return { x: origin.x, y: origin.y, scale: (end.x - origin.x) / this.scene.cols };
  }

  /** Move the photograph so that a line fills much of it. */
  showLine(crack) {
    const line = this.lines.find((one) => one.crack === crack);
    if (!line) return;
    const [left, top, right, bottom] = line.box;
    const margin = Math.max(40, 0.6 * Math.max(right - left, bottom - top));
    const cols = this.scene.cols;
    this.viewer.viewport.fitBounds(new OpenSeadragon.Rect(
      (left - margin) / cols, (top - margin) / cols,
      (right - left + 2 * margin) / cols, (bottom - top + 2 * margin) / cols));
  }

  /** Show the widest place of a line, one pixel of the photograph for one of the screen. */
  showWidest(crack) {
    const { viewport } = this.viewer;
    const at = new OpenSeadragon.Point(crack.x / this.scene.cols, crack.y / this.scene.cols);
    viewport.zoomTo(this.scene.cols / this.viewer.container.clientWidth);
    viewport.panTo(at);
  }

  choose(crack) {
    this.chosen = crack;
    this.draw();
  }

  isShown(line) {
    const { kind } = line.crack;
    const layer = kind === JOINT ? "joints" : kind === REJECTED ? "rejected" : "cracks";
    return this.layers[layer] && (!this.shown || this.shown.has(line.crack));
  }

  draw() {
    if (!this.scene || !this.viewer.world.getItemCount()) return;
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.viewer.container;
    const size = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
    }
    const place = this.place();
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, ...size);
    const scale = place.scale * ratio;
    context.setTransform(scale, 0, 0, scale, place.x * ratio, place.y * ratio);
    context.lineCap = context.lineJoin = "round";
    if (this.layers.areas) this.drawAreas(context, place.scale);
    const view = [-place.x, -place.y, clientWidth - place.x, clientHeight - place.y]
      .map((value) => value / place.scale);
    context.globalAlpha = place.scale > CLOSE ? FAINT : 1;
    const visible = this.order.filter((line) => this.isShown(line) && line.meets(view));
    if (visible.length > MANY) this.drawMany(context, visible, place.scale);
    else this.drawLines(context, visible, place.scale);
    for (const crack of [this.pointed, this.chosen]) {
      const line = crack && this.lines.find((one) => one.crack === crack);
      if (!line || !this.isShown(line)) continue;
      line.stroke(context, CHOSEN_PX, place.scale, "#111111");
      line.stroke(context, CHOSEN_PX - 3, place.scale, "#ffffff");
      line.stroke(context, LINE_PX + 1, place.scale, this.store.colourOf(crack), line.dashes());
    }
    context.globalAlpha = 1;
    this.drawBar(place.scale);
  }

  drawLines(context, lines, scale) {
    for (const line of lines) line.stroke(context, CASING_PX, scale, "#ffffffd0");
    for (const line of lines) {
      line.stroke(context, LINE_PX, scale, this.store.colourOf(line.crack), line.dashes());
    }
  }

  /** Draw lines of one colour and dash as one path, for speed: thousands are a mesh anyway. */
  drawMany(context, lines, scale) {
    const groups = new Map();
    context.lineCap = "butt";
    context.lineJoin = "bevel";
    for (const line of lines) {
      const colour = this.store.colourOf(line.crack);
      const key = `${colour} ${line.dashes()}`;
      if (!groups.has(key)) groups.set(key, { colour, dashes: line.dashes(), lines: [] });
      groups.get(key).lines.push(line);
    }
    for (const { colour, dashes, lines: members } of groups.values()) {
      context.beginPath();
      for (const line of members) line.trace(context, scale);
      context.lineWidth = LINE_PX / scale;
      context.strokeStyle = colour;
      context.setLineDash(dashes.map((length) => length / scale));
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawAreas(context, scale) {
    this.hatch ??= hatch();
    const pattern = context.createPattern(this.hatch, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    context.fillStyle = pattern;
    context.fill(this.areas, "evenodd");
  }

  /** Draw a bar of a round length; its length is given in mm or m, and in pixels. */
  drawBar(scale) {
    const perMm = this.scene.px_per_mm;
    const longest = BAR_PX / scale / (perMm ?? 1);
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = Math.max(...[1, 2, 5].map((step) => step * power).filter((one) => one <= longest));
    const px = length * (perMm ?? 1);
    const unit = perMm ? "mm" : "px";
    const words = length >= 1000 && perMm ? `${number(length / 1000)} m` : `${number(length)} ${unit}`;
    this.bar.textContent = perMm ? `${words} · ${number(px)} px` : words;
    this.bar.style.setProperty("--length", `${px * scale}px`);
  }

  showCompass() {
    const north = this.scene.north_deg;
    const arrow = shape("svg", { viewBox: "-12 -12 24 24", "aria-hidden": "true" },
      shape("path", { d: "M0 -11 L6 9 L0 5 L-6 9 Z", transform: `rotate(${north ?? 0})` }));
    this.compass.replaceChildren(arrow, text(north === null ? "up" : "north"));
  }

  /** Return the line at a point of the screen, or null. */
  lineAt(position) {
    const place = this.place();
    const x = (position.x - place.x) / place.scale, y = (position.y - place.y) / place.scale;
    let least = REACH_PX / place.scale, found = null;
    for (const line of this.lines) {
      if (!this.isShown(line)) continue;
      const distance = line.distance(x, y, least);
      if (distance < least) [least, found] = [distance, line.crack];
    }
    return found;
  }

  click(position) {
    const crack = this.lineAt(position);
    if (crack) this.onChoose(crack);
  }

  hover(event) {
    if (event.pointerType === "touch" || !this.scene) return;
    const { left, top, width } = this.viewer.container.getBoundingClientRect();
    const position = { x: event.clientX - left, y: event.clientY - top };
    this.point(this.lineAt(position));
    if (this.pointed) {
      this.hint.style.setProperty("--x", `${Math.min(position.x, width - 190)}px`);
      this.hint.style.setProperty("--y", `${position.y}px`);
    }
  }

  /** Mark the line under the pointer, and say what it is. */
  point(crack) {
    if (crack === this.pointed) return;
    this.pointed = crack;
    this.viewer.canvas.classList.toggle("on-line", Boolean(crack));
    this.hint.hidden = !crack;
    if (crack) {
      const { unit } = this.store;
      this.hint.replaceChildren(
        element("strong", { textContent: crack.id }),
        element("span", { textContent: text("kinds")[crack.kind] }),
        element("span", { textContent: withSigma(crack.width, crack.sigma, unit) }),
        element("span", { textContent: lengthText(crack.length, unit) }));
    }
    this.draw();
  }
}

/** One crack or joint as it is drawn. */
class DrawnLine {
  constructor(crack, parts) {
    this.crack = crack;
    this.parts = parts;
    this.path = new Path2D();
    this.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const points of parts) {
      for (let at = 0; at < points.length; at += 2) {
        const x = points[at], y = points[at + 1];
        this.path[at ? "lineTo" : "moveTo"](x, y);
        this.box = [Math.min(this.box[0], x), Math.min(this.box[1], y),
          Math.max(this.box[2], x), Math.max(this.box[3], y)];
      }
    }
  }

  /** Add the line to the path of a canvas, without points that are closer than a screen pixel. */
  trace(context, scale) {
    const least = 1 / scale;
    for (const points of this.parts) {
      let x = points[0], y = points[1];
      context.moveTo(x, y);
      for (let at = 2; at < points.length; at += 2) {
        const isLast = at === points.length - 2;
        if (!isLast && Math.abs(points[at] - x) + Math.abs(points[at + 1] - y) < least) continue;
        x = points[at];
        y = points[at + 1];
        context.lineTo(x, y);
      }
    }
  }

  meets([left, top, right, bottom], reach = 0) {
    return this.box[0] <= right + reach && this.box[2] >= left - reach
      && this.box[1] <= bottom + reach && this.box[3] >= top - reach;
  }

  dashes() {
    if (this.crack.kind === JOINT) return DASHES.joint;
    if (this.crack.kind === REJECTED) return DASHES.rejected;
    return this.crack.possibly ? DASHES.possibly : [];
  }

  /** Stroke the line, so many pixels of the screen wide. */
  stroke(context, wide, scale, colour, dashes = []) {
    context.lineWidth = wide / scale;
    context.strokeStyle = colour;
    context.setLineDash(dashes.map((length) => length / scale));
    context.stroke(this.path);
    context.setLineDash([]);
  }

  /** Return the distance of a point, or Infinity if it is more than a reach. */
  distance(x, y, reach) {
    if (!this.meets([x, y, x, y], reach)) return Infinity;
    let least = Infinity;
    for (const points of this.parts) {
      for (let at = 0; at + 3 < points.length; at += 2) {
        const ax = points[at], ay = points[at + 1];
        const dx = points[at + 2] - ax, dy = points[at + 3] - ay;
        const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
        const t = Math.min(1, Math.max(0, along));
        least = Math.min(least, Math.hypot(x - ax - t * dx, y - ay - t * dy));
      }
    }
    return least;
  }
}

/** Return where OpenSeadragon finds the tiles of a scene; those that it lacks are empty. */
function tileSource(scene) {
  const { levels } = scene;
  const maxLevel = Math.max(0, Math.ceil(Math.log2(Math.max(scene.cols, scene.rows) / TILE_PX)));
  const source = new OpenSeadragon.TileSource({
    width: scene.cols,
    height: scene.rows,
    tileSize: TILE_PX,
    minLevel: 0,
    maxLevel,
    getTileUrl: (level, col, row) => tileAddress(scene, level, col, row),
  });
  source.tileExists = (level, col, row) => levels[level]?.[row]?.[col] === "1";
  return source;
}

function tileAddress(scene, level, col, row) {
  return `${scene.folder}/tiles/${level}/${col}_${row}.jpg`;
}

/** Return a canvas with diagonal lines, light and dark, that show on any photograph. */
function hatch() {
  const side = 16;
  const canvas = element("canvas", { width: side, height: side });
  const context = canvas.getContext("2d");
  context.fillStyle = "#80808022";
  context.fillRect(0, 0, side, side);
  for (const [colour, from] of [["#ffffff80", 0], ["#00000060", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    context.beginPath();
    for (const start of [-side, 0, side]) {
      context.moveTo(start + from, side);
      context.lineTo(start + from + side, 0);
    }
    context.stroke();
  }
  return canvas;
}
