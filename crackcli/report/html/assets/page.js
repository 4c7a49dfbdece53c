"use strict";
// Building elements, and numbers as people write them.

/** Make an element: properties, listeners ("onclick"), data and ARIA attributes, and children. Texts
 * are always text: nothing is read as HTML. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Make an SVG element. */
function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Return a swatch in the colour of a class. */
function swatch(colour, kind = "") {
  const made = element("span", { className: `swatch ${kind}`, "aria-hidden": "true" });
  made.style.setProperty("--swatch", colour);
  return made;
}

const FORMATS = new Map();

/** Return a number with so many significant digits, in the reader's notation. */
function number(value, digits = 3) {
  if (value === null || value === undefined) return text("unknown");
  if (Math.abs(value) >= 10 ** digits) value = Math.round(value);
  if (!FORMATS.has(digits)) {
    const format = new Intl.NumberFormat(navigator.language, { maximumSignificantDigits: digits });
    const whole = new Intl.NumberFormat(navigator.language, { maximumFractionDigits: 0 });
    FORMATS.set(digits, [format, whole]);
  }
  const [format, whole] = FORMATS.get(digits);
  return Number.isInteger(value) ? whole.format(value) : format.format(value);
}

/** Return a number with a fixed count of decimals. */
function fixed(value, decimals) {
  return value.toLocaleString(navigator.language, {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** Return a value with its standard uncertainty, both to two digits of the latter. */
function withSigma(value, sigma, unit) {
  if (value === null || value === undefined) return text("unknown");
  const [digits, after] = sigmaTexts(value, sigma);
  return `${digits}${after} ${unit}`;
}

/** Return a value and its uncertainty as two texts. */
function sigmaTexts(value, sigma) {
  if (!sigma) return [number(value), ""];
  const decimals = Math.min(4, Math.max(0, 1 - Math.floor(Math.log10(sigma))));
  return [fixed(value, decimals), ` ± ${fixed(sigma, decimals)}`];
}

/** Return a length in mm, or in m from 10 m on, or in px. */
function lengthText(value, unit) {
  if (value !== null && value !== undefined && unit === "mm" && value >= 10000) {
    return `${number(value / 1000)} m`;
  }
  return value === null || value === undefined ? text("unknown") : `${number(value)} ${unit}`;
}

function percent(share) {
  return share.toLocaleString(navigator.language, { style: "percent", maximumFractionDigits: 1 });
}

/** Return a list of terms and values, without unknown ones. */
function termList(pairs) {
  const list = element("dl");
  for (const [term, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("dt", { textContent: term }), element("dd", {}, value));
  }
  return list;
}

function button(label, action, properties = {}) {
  return element("button", { type: "button", textContent: label, onclick: action, ...properties });
}
