"use strict";
// The table of cracks. Only the rows in sight are elements, so that thousands stay fluid.

const ROW_PX = 34;
const SPARE_ROWS = 6; // above and below those in sight

class CrackTable {
  /** Make the table and its filters; mark(line) is the sign of its review; call onChoose with
   * a line, and onFilter with all that fit. */
  constructor(store, place, filters, { mark, onChoose, onFilter }) {
    Object.assign(this, { store, mark, onChoose, onFilter });
    this.sorted = { by: "width", down: true };
    this.columns = ["id", "length", "width", "class"];
    this.head = element("div", { role: "row", className: "row head" });
    this.body = element("div", { className: "body", role: "rowgroup" });
    this.spacer = element("div", { className: "spacer" });
    this.body.append(this.spacer);
    this.empty = element("p", { className: "empty", textContent: text("none"), hidden: true });
    this.grid = element("div", { role: "grid", className: "grid", tabIndex: 0,
      "aria-label": text("cracks") }, this.head, this.body);
    place.append(this.grid, this.empty);
    this.body.addEventListener("scroll", () => this.draw());
    this.grid.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.body);
    this.makeHead();
    this.makeFilters(filters);
  }

  makeHead() {
    const { unit } = this.store;
    const titles = { id: text("id"), length: `${text("length")} ${unit}`,
      width: `${text("width")} ${unit}`, class: text("class") };
    this.head.replaceChildren(...this.columns.map((name) => {
      const active = this.sorted.by === name;
      const order = !active ? "none" : this.sorted.down ? "descending" : "ascending";
      return element("div", { role: "columnheader", className: `cell ${name}`, "aria-sort": order },
        button(titles[name], () => this.sortBy(name), { className: "sort" }));
    }));
  }

  makeFilters(form) {
    const { store } = this;
    const options = (names, all) => [all, ...names].map((name, at) =>
      element("option", { value: at ? String(at - 1) : "", textContent: name }));
    const choice = (label, names, all) =>
      element("select", { "aria-label": label }, ...options(names, all));
    const field = (label) => element("input", { type: "number", min: 0, step: "any",
      placeholder: `> ${store.unit}`, "aria-label": `${label}, ${store.unit}` });
    this.fields = {
      search: element("input", { type: "search", placeholder: text("search_hint"),
        "aria-label": text("search") }),
      scene: choice(text("scene"), store.scenes.map((scene) => scene.name), text("all_scenes")),
      kind: choice(text("kind"), text("kinds"), text("all_kinds")),
      class: choice(text("class"), store.classes.map((_, at) => store.className(at)), text("all_classes")),
      width: field(text("min_width")),
      length: field(text("min_length")),
    };
    this.fields.scene.hidden = store.scenes.length < 2;
    this.count = element("output", { className: "count" });
    const labelled = (name, label) =>
      element("label", {}, element("span", { textContent: label }), this.fields[name]);
    form.append(this.fields.search, this.fields.scene, this.fields.kind, this.fields.class,
      labelled("width", text("min_width")), labelled("length", text("min_length")), this.count);
    form.addEventListener("input", () => this.filter());
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Show the lines that fit the fields. */
  filter() {
    const { search, scene, kind, class: ofClass, width, length } = this.fields;
    const words = search.value.trim().toLowerCase();
    const equals = (field, value) => field.value === "" || Number(field.value) === value;
    const above = (field, value) => field.value === "" || (value ?? -1) > Number(field.value);
    this.cracks = this.store.cracks.filter((crack) =>
      (!words || crack.id.toLowerCase().includes(words))
      && equals(scene, crack.scene) && equals(kind, crack.kind)
      && (ofClass.value === "" || (crack.kind === CRACK && equals(ofClass, crack.class)))
      && above(width, crack.width) && above(length, crack.length));
    this.count.textContent = text("shown", number(this.cracks.length), number(this.store.cracks.length));
    this.sort();
    this.onFilter(this.cracks);
  }

  sortBy(name) {
    this.sorted = { by: name, down: this.sorted.by === name ? !this.sorted.down : name !== "id" };
    this.makeHead();
    this.sort();
    this.head.children[this.columns.indexOf(name)].firstChild.focus();
  }

  sort() {
    const { by, down } = this.sorted;
    const side = down ? -1 : 1;
    const names = new Intl.Collator(navigator.language, { numeric: true });
    const order = by === "id"
      ? (a, b) => names.compare(a.id, b.id)
      : (a, b) => (a[by] ?? -1) - (b[by] ?? -1) || (a.width ?? 0) - (b.width ?? 0);
    this.cracks.sort((a, b) => side * order(a, b));
    this.empty.hidden = this.cracks.length > 0;
    this.spacer.style.height = `${this.cracks.length * ROW_PX}px`;
    this.grid.setAttribute("aria-rowcount", this.cracks.length + 1);
    this.draw();
  }

  /** Make elements of the rows in sight. */
  draw() {
    if (!this.cracks) return;
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW_PX) - SPARE_ROWS);
    const count = Math.ceil(this.body.clientHeight / ROW_PX) + 2 * SPARE_ROWS;
    const rows = this.cracks.slice(first, first + count).map((crack, at) =>
      this.row(crack, first + at));
    this.spacer.replaceChildren(...rows);
    const chosen = this.spacer.querySelector('[aria-selected="true"]');
    if (chosen) this.grid.setAttribute("aria-activedescendant", chosen.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  row(crack, at) {
    const { store } = this;
    const name = crack.kind === CRACK ? store.className(crack.class) : text("kinds")[crack.kind];
    const [width, sigma] = sigmaTexts(crack.width, crack.sigma);
    const end = crack.id.lastIndexOf("-"); // a long name of a photograph is cut, its number is not
    const cell = (column, ...children) =>
      element("div", { role: "gridcell", className: `cell ${column}` }, ...children);
    const row = element("div", { role: "row", id: `row-${at}`, className: "row",
      "aria-rowindex": at + 2, "aria-selected": crack === this.chosen, title: crack.id,
      onclick: () => this.onChoose(crack) },
    cell("id", element("span", { textContent: crack.id.slice(0, Math.max(0, end)) }),
      crack.id.slice(Math.max(0, end)),
      element("span", { className: "mark", textContent: this.mark(crack) })),
    cell("length", number(crack.length)),
    cell("width", width, element("span", { className: "sigma", textContent: sigma })),
    cell("class", swatch(store.colourOf(crack), kindClass(crack)), name));
    row.style.top = `${at * ROW_PX}px`;
    return row;
  }

  /** Mark a line, and scroll to it. */
  choose(crack) {
    this.chosen = crack;
    const at = this.cracks.indexOf(crack);
    if (at >= 0) {
      const top = at * ROW_PX, { scrollTop, clientHeight } = this.body;
      if (top < scrollTop || top + ROW_PX > scrollTop + clientHeight) {
        this.body.scrollTop = Math.max(0, top - clientHeight / 2);
      }
    }
    this.draw();
  }

  /** Return the line so many rows after the chosen one. */
  beside(step) {
    const at = this.cracks.indexOf(this.chosen);
    const next = at < 0 ? 0 : Math.min(this.cracks.length - 1, Math.max(0, at + step));
    return this.cracks[next];
  }

  key(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, Math.floor(this.body.clientHeight / ROW_PX) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -this.cracks.length, End: this.cracks.length };
    if (!(event.key in steps) || !this.cracks.length) return;
    event.preventDefault();
    this.onChoose(this.beside(steps[event.key]));
  }
}

function kindClass(crack) {
  if (crack.kind === JOINT) return "joint";
  if (crack.kind === REJECTED) return "rejected";
  return crack.possibly ? "possibly" : "";
}
