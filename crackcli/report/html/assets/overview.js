"use strict";
// The survey: totals, histogram, rose, the widest cracks and all photographs. It is also what is printed.

const WORST = 20;

class Overview {
  constructor(store, place, { onChoose, onScene }) {
    const cracks = store.cracks.filter((crack) => crack.kind === CRACK);
    const widths = cracks.map((crack) => crack.width).filter((width) => width !== null);
    place.append(
      element("p", { className: "statement", textContent: store.statement }),
      this.totals(store, cracks, widths),
      element("div", { className: "charts" },
        widths.length ? this.figure(text("histogram"), this.histogramNote(store, widths),
          widthHistogram(widths, store.unit, (width) => colourOfWidth(store, width))) : null,
        cracks.length ? this.figure(text("rose"), text("rose_note"), rose(
          cracks.map((crack) => [crack.direction, crack.length]), text("rose"))) : null),
      element("h2", { textContent: text("worst") }),
      this.worst(store, onChoose),
      element("h2", { textContent: text("scenes") }),
      this.scenes(store, onScene),
      ...store.profiles.map((profile) => element("p", { className: "caveat",
        textContent: `${profile.title} (${profile.clause}): ${profile.caveat}` })));
  }

  totals(store, cracks, widths) {
    const count = (kind) => store.cracks.filter((crack) => crack.kind === kind).length;
    const length = cracks.reduce((sum, crack) => sum + (crack.length ?? 0), 0);
    const cards = [
      [number(store.scenes.length), text("n_scenes")],
      [number(cracks.length), text("n_cracks")],
      [lengthText(length, store.unit), text("total_length")],
      [widths.length ? `${number(Math.max(...widths))} ${store.unit}` : text("unknown"), text("widest")],
      [number(count(JOINT)), text("n_joints")],
      ...(count(REJECTED) ? [[number(count(REJECTED)), text("n_rejected")]] : []),
    ];
    return element("ul", { className: "cards" }, ...cards.map(([value, name]) =>
      element("li", {}, element("strong", { textContent: value }), element("span", { textContent: name }))));
  }

  figure(title, note, drawn) {
    return element("figure", {}, element("h2", { textContent: title }), drawn,
      element("figcaption", { textContent: note }));
  }

  histogramNote(store, widths) {
    const sorted = [...widths].sort((a, b) => a - b);
    return text(lastBar(sorted) < sorted.at(-1) ? "histogram_cut" : "histogram_note", store.unit);
  }

  worst(store, onChoose) {
    const titles = [text("id"), text("scene"), text("width"), text("length"), text("class")];
    const head = element("tr", {}, ...titles.map((title) =>
      element("th", { scope: "col", textContent: title })));
    const rows = store.widest().slice(0, WORST).map((crack) => element("tr", {},
      element("td", {}, element("a", { href: addressOf(crack), textContent: crack.id,
        onclick: (event) => { event.preventDefault(); onChoose(crack); } })),
      element("td", { textContent: store.scenes[crack.scene].name }),
      element("td", { textContent: withSigma(crack.width, crack.sigma, store.unit) }),
      element("td", { textContent: lengthText(crack.length, store.unit) }),
      element("td", {}, swatch(store.colourOf(crack), kindClass(crack)), store.className(crack.class))));
    return element("div", { className: "wide" },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  scenes(store, onScene) {
    return element("ul", { className: "thumbnails" }, ...store.scenes.map((scene, at) =>
      element("li", {}, sceneButton(store, scene, () => onScene(at)))));
  }
}

/** Return a button with the thumbnail of a scene, its name and its figures. */
function sceneButton(store, scene, action, properties = {}) {
  const width = scene[`width_max_${store.unit}`];
  const facts = [`${number(scene.n_cracks)} ${text("n_cracks")}`];
  if (width !== null) facts.push(`${text("widest")} ${number(width)} ${store.unit}`);
  const share = scene.not_assessable_pct;
  if (share) facts.push(`${percent(share / 100)} ${text("not_assessable")}`);
  const thumbnail = scene.levels[0]?.[0] === "1"
    ? element("img", { src: tileAddress(scene, 0, 0, 0), alt: "", loading: "lazy" })
    : element("span", { className: "no-image" });
  return element("button", { type: "button", className: "scene", onclick: action, ...properties },
    thumbnail,
    element("span", { className: "words" },
      element("strong", { textContent: scene.name }),
      ...facts.map((fact) => element("span", { textContent: fact }))));
}

/** Return the colour of the class of a width; classes of severity have limits in mm. */
function colourOfWidth(store, width) {
  const at = store.lows.findLastIndex((low) => width >= low);
  return store.classes.at(at).colour; // -1: the last one, without a class
}
