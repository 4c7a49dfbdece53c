"use strict";
// The panel of one crack: its numbers, severity, crop, profile and provenance.

const CROP = { wide: 340, high: 220 };
const BOTH_UNITS = ["width_max", "width_mean", "width_median", "width_p95", "length", "detect_limit"];

class Panel {
  constructor(store, place, review, { onClose, onStep, onShow, onWidest }) {
    Object.assign(this, { store, place, review, onClose, onStep, onShow, onWidest });
  }

  close() {
    this.crack = null;
    this.place.hidden = true;
  }

  /** Show a crack. */
  async open(crack) {
    this.crack = crack;
    const details = await this.store.details(crack);
    const profile = await this.store.widthProfile(crack);
    if (this.crack !== crack) return; // another was chosen meanwhile
    const scene = this.store.scenes[crack.scene];
    this.place.hidden = false;
    this.place.setAttribute("aria-label", crack.id);
    const parts = [
      this.head(crack),
      this.crop(crack, scene),
      crack.kind === DRAWN ? null : this.review.controls(crack),
      ...this.severity(details),
      element("h3", { textContent: text("numbers") }),
      this.numbers(details),
      element("h3", { textContent: text("profile") }),
      ...this.profile(profile, scene),
      element("h3", { textContent: text("provenance") }),
      this.provenance(scene),
    ];
    this.place.replaceChildren(...parts.filter(Boolean));
    this.place.scrollTop = 0;
  }

  /** Show the verdict on a crack after it was changed. */
  refresh(crack) {
    if (crack === this.crack) this.place.querySelector(".review")?.replaceWith(this.review.controls(crack));
  }

  head(crack) {
    const { unit } = this.store;
    return element("header", {},
      element("div", { className: "title" },
        swatch(this.store.colourOf(crack), kindClass(crack)),
        element("h2", { textContent: crack.id }),
        button("‹", () => this.onStep(-1), { "aria-label": text("previous"), title: text("previous") }),
        button("›", () => this.onStep(1), { "aria-label": text("next"), title: text("next") }),
        button("×", () => this.onClose(), { "aria-label": text("close"), title: text("close") })),
      element("p", { className: "lead" },
        element("strong", { textContent: withSigma(crack.width, crack.sigma, unit) }),
        ` · ${lengthText(crack.length, unit)} · ${text("kinds")[crack.kind]}`),
      element("div", { className: "actions" },
        button(text("to_crack"), () => this.onShow(crack)),
        button(text("to_widest"), () => this.onWidest(crack)),
        element("a", { href: addressOf(crack), textContent: text("link") })));
  }

  /** Return the photograph around the widest place, drawn from the finest tiles there are. */
  crop(crack, scene) {
    const finest = scene.levels.length - 1 - scene.left_out;
    if (finest < 0) return null;
    const ratio = devicePixelRatio || 1;
    const canvas = element("canvas", { width: CROP.wide * ratio, height: CROP.high * ratio, role: "img",
      "aria-label": text("crop") });
    const share = 0.5 ** scene.left_out;
    const left = Math.round(crack.x * share - CROP.wide / 2);
    const top = Math.round(crack.y * share - CROP.high / 2);
    const context = canvas.getContext("2d");
    for (let row = Math.floor(top / TILE_PX); row * TILE_PX < top + CROP.high; row++) {
      for (let col = Math.floor(left / TILE_PX); col * TILE_PX < left + CROP.wide; col++) {
        if (scene.levels[finest][row]?.[col] !== "1") continue;
        const image = element("img", { src: tileAddress(scene, finest, col, row) });
        image.onload = () => context.drawImage(image, (col * TILE_PX - left) * ratio,
          (row * TILE_PX - top) * ratio, image.width * ratio, image.height * ratio);
      }
    }
    const words = scene.left_out ? text("crop_reduced", percent(share)) : text("crop");
    return element("figure", {}, canvas, element("figcaption", { textContent: words }));
  }

  severity(details) {
    return this.store.profiles.flatMap((profile, at) => {
      const grade = details.grades[at];
      if (grade.class === null) return [];
      const limit = grade.limit_mm === null ? grade.status
        : `${number(grade.limit_mm)} mm ${grade.status}`;
      return [
        element("h3", { textContent: `${text("severity")}: ${profile.title}` }),
        termList([
          [text("class"), `${grade.class}: ${grade.label}`],
          [text("status"), limit],
          [text("clause"), grade.clause],
        ]),
        element("p", { className: "caveat", textContent: profile.caveat }),
      ];
    });
  }

  numbers(details) {
    const pairs = BOTH_UNITS.map((name) => [text(name), bothUnits(details, name)]);
    const plain = ["tortuosity", "n_branches", "score", "confidence", "joint_likelihood"];
    const yesOrNo = (value) => (value === null ? null : text(value ? "yes" : "no"));
    const goesOn = ["touches_edge", "touches_nodata"].filter((name) => details[name]);
    const degrees = details.orientation_deg;
    return termList([
      ...pairs,
      [text("width_method"), text("methods")[details.width_method] ?? details.width_method],
      [text("measurable"), yesOrNo(details.measurable)],
      [text("orientation_deg"), degrees === null ? null : `${number(degrees)}°`],
      ...plain.map((name) => [text(name), details[name] === null ? null : number(details[name])]),
      [text("goes_on"), goesOn.map((name) => text(name)).join(", ")],
      [text("review"), details.review === "unreviewed" ? null : details.review],
      [text("note"), details.note],
    ]);
  }

  profile(profile, scene) {
    if (!profile) return [element("p", { className: "note", textContent: text("no_profile") })];
    const unit = scene.gsd_mm ? "mm" : "px";
    return [
      profileChart(profile, scene.gsd_mm ?? 1, unit),
      element("p", { className: "note",
        textContent: text(profile[2].some((sigma) => sigma) ? "profile_note" : "profile_of_mask") }),
    ];
  }

  provenance(scene) {
    const gsd = scene.gsd_mm;
    return termList([
      [text("file"), scene.file ?? scene.name],
      [text("acquired_utc"), scene.acquired_utc],
      [text("size"), `${scene.cols} × ${scene.rows} px`],
      [text("scale"), gsd && `${withSigma(gsd, scene.gsd_unc_mm, "mm")} (${scene.scale_source})`],
      [text("model"), scene.model],
      [text("model_sha256"), digest(scene.model_sha256)],
      [text("method"), scene.method],
      [text("threshold"), scene.threshold === null ? null : number(scene.threshold)],
      [text("mask_sha256"), digest(scene.mask_sha256)],
      [text("run_id"), scene.run_id],
      [text("report_id"), this.store.report_id],
      [text("version"), this.store.version],
    ]);
  }
}

/** Return a length in mm with its uncertainty, and in pixels in brackets. */
function bothUnits(details, name) {
  const values = ["mm", "px"].map((unit) => {
    const value = details[`${name}_${unit}`];
    return value === null ? null : withSigma(value, details[`${name}_unc_${unit}`], unit);
  });
  const known = values.filter((value) => value !== null);
  return known.length === 2 ? `${known[0]} (${known[1]})` : known[0];
}

function digest(value) {
  return value && element("code", { textContent: value });
}

/** Return the address of a crack within the page. */
function addressOf(crack) {
  return `#${crack.scene}/${encodeURIComponent(crack.id)}`;
}
