"use strict";
// Starts the page: makes its parts and connects them.

class Report {
  constructor(survey) {
    this.store = new Store(survey);
    this.title();
    const stage = document.getElementById("stage");
    this.picture = new Picture(this.store, stage, (crack) => this.choose(crack, false));
    this.review = new Review(this.store, document.getElementById("review"), (crack) => {
      this.panel.refresh(crack);
      this.table.draw();
    });
    this.panel = new Panel(this.store, document.getElementById("panel"), this.review, {
      onClose: () => this.unchoose(),
      onStep: (step) => this.choose(this.table.beside(step)),
      onShow: (crack) => this.picture.showLine(crack),
      onWidest: (crack) => this.picture.showWidest(crack),
    });
    this.table = new CrackTable(this.store, document.getElementById("cracks"),
      document.getElementById("filters"), {
        mark: (crack) => this.review.mark(crack),
        onChoose: (crack) => this.choose(crack),
        onFilter: (cracks) => this.filter(cracks),
      });
    this.tools();
    this.legend();
    this.scenes();
    new Overview(this.store, document.getElementById("survey-view"), {
      onChoose: (crack) => this.choose(crack),
      onScene: (number) => this.show(number),
    });
    this.views();
    this.table.filter();
    document.addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.follow());
    this.follow();
  }

  title() {
    const names = [this.store.asset_id, this.store.campaign_id].filter(Boolean);
    const words = names.length ? `${names.join(" · ")} – ${text("title")}` : text("title");
    document.title = words;
    document.documentElement.lang = LANGUAGE;
    document.getElementById("title").textContent = words;
    for (const labelled of document.querySelectorAll("[data-text]")) {
      labelled.textContent = text(labelled.dataset.text);
    }
  }

  /** Make the buttons that change between the photograph and the survey. */
  views() {
    const nav = document.getElementById("views");
    for (const name of ["photograph", "survey"]) {
      nav.append(button(text(name), () => this.view(name), { id: `to-${name}`, role: "tab",
        "aria-controls": `${name}-view` }));
      document.getElementById(`${name}-view`).setAttribute("aria-labelledby", `to-${name}`);
    }
    this.view("photograph");
  }

  view(name) {
    for (const one of ["photograph", "survey"]) {
      document.getElementById(`${one}-view`).hidden = one !== name;
      document.getElementById(`to-${one}`).setAttribute("aria-selected", one === name);
    }
  }

  tools() {
    const tools = [["+", "zoom_in", () => this.picture.zoom(1.6)],
      ["−", "zoom_out", () => this.picture.zoom(1 / 1.6)], ["⤢", "home", () => this.picture.home()]];
    document.getElementById("tools").append(...tools.map(([sign, name, action]) =>
      button(sign, action, { "aria-label": text(name), title: text(name) })));
  }

  legend() {
    const { store } = this;
    const title = store.profile ? store.profiles[0].title : text("by_width");
    const classes = element("ul", {}, ...store.classes
      .map((one, at) => [one, at])
      .filter(([one, at]) => one.name !== null
        || store.cracks.some((crack) => crack.kind === CRACK && crack.class === at))
      .map(([one, at]) => element("li", {}, swatch(one.colour), store.className(at))));
    if (store.cracks.some((crack) => crack.possibly)) {
      classes.append(element("li", {}, swatch("currentColor", "possibly"), text("possibly")));
    }
    const kinds = { joints: JOINT, rejected: REJECTED };
    const layers = Object.keys(this.picture.layers)
      .filter((name) => !(name in kinds) || store.cracks.some((crack) => crack.kind === kinds[name]));
    const boxes = layers.map((name) => {
      const box = element("input", { type: "checkbox", checked: true, onchange: () => {
        this.picture.layers[name] = box.checked;
        this.picture.draw();
      } });
      const mark = name === "cracks" ? null
        : swatch(store.classes.at(-1).colour, { joints: "joint" }[name] ?? name);
      return element("label", {}, box, mark, text(name === "cracks" ? "lines" : name));
    });
    document.getElementById("legend").append(element("details", { open: innerWidth > 700 },
      element("summary", { textContent: title }), classes,
      element("fieldset", {}, element("legend", { textContent: text("layers") }), ...boxes)));
  }

  scenes() {
    const list = document.getElementById("scenes");
    list.setAttribute("aria-label", text("scenes"));
    list.hidden = this.store.scenes.length < 2;
    this.entries = this.store.scenes.map((scene, at) =>
      sceneButton(this.store, scene, () => this.show(at), { role: "option" }));
    list.append(...this.entries);
  }

  filter(cracks) {
    this.picture.shown = cracks.length === this.store.cracks.length ? null : new Set(cracks);
    this.picture.draw();
  }

  /** Show a photograph. */
  async show(number) {
    this.view("photograph");
    this.entries.forEach((entry, at) => entry.setAttribute("aria-selected", at === number));
    try {
      await this.picture.open(number);
    } catch (error) {
      this.tell(error.message);
      return;
    }
    const scene = this.store.scenes[number];
    if (!scene.levels.length) this.tell(text("no_photograph"));
    else this.tell(scene.left_out ? text("reduced", percent(0.5 ** scene.left_out)) : "");
  }

  /** Choose a crack: in the table, in the panel and, moved there or not, in the photograph. */
  async choose(crack, move = true) {
    if (!crack) return;
    await this.show(crack.scene);
    this.picture.choose(crack);
    this.table.choose(crack);
    await this.panel.open(crack);
    if (move) this.picture.showLine(crack);
    history.replaceState(null, "", addressOf(crack));
  }

  unchoose() {
    this.panel.close();
    this.picture.choose(null);
    this.table.choose(null);
    history.replaceState(null, "", `#${this.picture.number}`);
    this.table.grid.focus();
  }

  /** Go where the address says: to a photograph, or to a crack in it. */
  follow() {
    const [scene, id] = location.hash.slice(1).split("/");
    const number = this.store.scenes[Number(scene)] ? Number(scene) : 0;
    const crack = id && this.store.find(number, decodeURIComponent(id));
    if (crack) this.choose(crack);
    else this.show(number);
  }

  key(event) {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.panel.crack) this.unchoose();
    else if (event.key === "n") this.choose(this.table.beside(1));
    else if (event.key === "p") this.choose(this.table.beside(-1));
    else if (event.key in VERDICTS && this.panel.crack && this.panel.crack.kind !== DRAWN) {
      this.review.set(this.panel.crack, { review: VERDICTS[event.key] });
    }
  }

  tell(words) {
    document.getElementById("status").textContent = words;
  }
}

const survey = crackcli.received.get("survey");
if (survey) new Report(survey);
else document.getElementById("status").textContent = text("failed", "survey.js");
