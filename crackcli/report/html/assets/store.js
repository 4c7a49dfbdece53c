"use strict";
// The data of the report. Files of data are scripts that call crackcli.receive: a page that was opened
// from a folder may load scripts, but not fetch files.

const CRACK = 0, JOINT = 1, REJECTED = 2, DRAWN = 3; // kinds of lines
const FINENESS = 4; // steps of coordinates per pixel

const crackcli = {
  received: new Map(),
  loading: new Map(),

  /** Take the data of a file under its name. */
  receive(name, data) {
    this.received.set(name, data);
  },

  /** Load a file of data once, and return what it contains. */
  load(address, name) {
    if (!this.loading.has(address)) {
      const loaded = new Promise((resolve, reject) => {
        const script = element("script", { src: address });
        script.onload = () => resolve(this.received.get(name));
        script.onerror = () => reject(new Error(text("failed", address)));
        document.head.append(script);
      });
      this.loading.set(address, loaded);
    }
    return this.loading.get(address);
  },
};

/** The scenes and lines of a report. */
class Store {
  constructor(survey) {
    Object.assign(this, survey);
    const counts = this.scenes.map(() => 0);
    this.cracks = this.rows.map((row) => {
      const crack = Object.fromEntries(this.columns.map((name, at) => [name, row[at]]));
      crack.index = counts[crack.scene]++; // among the lines of its scene
      return crack;
    });
    this.rows = null;
  }

  className(number) {
    return this.classes[number].name ?? text("no_class");
  }

  colourOf(crack) {
    return crack.kind === CRACK ? this.classes[crack.class].colour : this.classes.at(-1).colour;
  }

  find(scene, id) {
    return this.cracks.find((crack) => crack.scene === scene && crack.id === id);
  }

  /** Return the cracks that count, the widest first. */
  widest() {
    return this.cracks
      .filter((crack) => crack.kind === CRACK)
      .sort((a, b) => (b.width ?? 0) - (a.width ?? 0));
  }

  /** Return the lines, areas and details of a scene. */
  async scene(number) {
    const scene = this.scenes[number];
    const data = await crackcli.load(`${scene.folder}/scene.js`, `scene ${number}`);
    data.decoded ??= data.lines.map((parts) => parts.map(decoded));
    return data;
  }

  async widthProfile(crack) {
    const folder = this.scenes[crack.scene].folder;
    const data = await crackcli.load(`${folder}/profiles.js`, `profiles ${crack.scene}`);
    return data[crack.id];
  }

  /** Return the values of the tables of one line, by column. */
  async details(crack) {
    const data = await this.scene(crack.scene);
    const values = data.details[crack.index];
    const found = Object.fromEntries(data.names.map((name, at) => [name, values[at]]));
    found.grades = data.grades[crack.index].map((grade) =>
      Object.fromEntries(data.grade_names.map((name, at) => [name, grade[at]])));
    return found;
  }
}

/** Return the points of a line, x, y, x, y and so on in pixels, from its first point and steps. */
function decoded(steps) {
  const points = new Float32Array(steps.length);
  let x = 0, y = 0;
  for (let at = 0; at < steps.length; at += 2) {
    x += steps[at];
    y += steps[at + 1];
    points[at] = x / FINENESS;
    points[at + 1] = y / FINENESS;
  }
  return points;
}
