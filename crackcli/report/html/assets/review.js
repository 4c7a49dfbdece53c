"use strict";
// The review of a person: a verdict and a note for each crack. It is kept by the browser for this
// report, so that nothing is lost when the page is closed, and saved as review.json.

const VERDICTS = { a: "accepted", r: "rejected", j: "joint", u: null }; // by key
const MARKS = { accepted: "✓", rejected: "✕", joint: "≡" };
const VERDICT_TEXTS = { accepted: "accepted", rejected: "rejected_by_hand", joint: "joint" };
const REVIEW_FILE = "review.json";

class Review {
  /** Read what the browser kept; call onChange with a crack whenever it is reviewed. */
  constructor(store, place, onChange) {
    Object.assign(this, { store, onChange });
    this.key = `crackcli review ${store.report_id}`;
    this.kept = true;
    this.entries = this.read();
    this.count = element("output", { className: "count" });
    this.button = button(text("save_review"), () => this.save());
    place.append(this.count, this.button);
    this.tell();
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? {};
    } catch {
      this.kept = false; // the browser keeps nothing for this page
      return {};
    }
  }

  of(crack) {
    return this.entries[crack.id] ?? {};
  }

  mark(crack) {
    return MARKS[this.of(crack).review] ?? "";
  }

  /** Set the verdict or the note of a crack; null takes it back. */
  set(crack, change) {
    const entry = { scene_id: this.store.scenes[crack.scene].name, ...this.of(crack), ...change };
    if (entry.review || entry.note) this.entries[crack.id] = entry;
    else delete this.entries[crack.id];
    try {
      localStorage.setItem(this.key, JSON.stringify(this.entries));
    } catch {
      this.kept = false;
    }
    this.tell();
    this.onChange(crack);
  }

  tell() {
    const count = Object.keys(this.entries).length;
    this.count.textContent = !count ? "" : text(this.kept ? "reviewed" : "reviewed_not_kept",
      number(count));
    this.button.hidden = !count;
  }

  /** Return the buttons of the verdicts and the note of a crack. */
  controls(crack) {
    const now = this.of(crack);
    const buttons = Object.entries(VERDICTS).filter(([, verdict]) => verdict).map(([key, verdict]) =>
      button(`${MARKS[verdict]} ${text(VERDICT_TEXTS[verdict])}`, () => this.toggle(crack, verdict), {
        "aria-pressed": now.review === verdict, "aria-keyshortcuts": key, title: `${text("key")} ${key}` }));
    const note = element("textarea", { rows: 2, value: now.note ?? "", placeholder: text("note"),
      "aria-label": text("note"), onchange: () => this.set(crack, { note: note.value.trim() || null }) });
    return element("div", { className: "review" }, ...buttons, note);
  }

  toggle(crack, verdict) {
    this.set(crack, { review: this.of(crack).review === verdict ? null : verdict });
  }

  /** Save the review as a file, which crackcli learn reads. */
  save() {
    const facts = { crackcli_review: 1, report_id: this.store.report_id, cracks: this.entries };
    const file = new Blob([JSON.stringify(facts, null, 2)], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(file), download: REVIEW_FILE });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}
