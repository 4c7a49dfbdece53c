"use strict";
// Charts as SVG: a histogram, a rose of directions, and a profile with its band.

const CHART = { wide: 360, high: 170, left: 40, right: 10, top: 10, bottom: 30 };

/** Return a chart with axes; x and y are [least, largest], and draw(x, y) returns its shapes. */
function chart(label, [x0, x1], [y0, y1], units, draw) {
  const { wide, high, left, right, top, bottom } = CHART;
  const x = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (wide - left - right);
  const y = (value) => high - bottom - ((value - y0) / (y1 - y0 || 1)) * (high - top - bottom);
  const made = shape("svg", { viewBox: `0 0 ${wide} ${high}`, class: "chart", role: "img",
    "aria-label": label });
  for (const value of ticks(y0, y1, 4)) {
    made.append(
      shape("line", { x1: left, x2: wide - right, y1: y(value), y2: y(value), class: "grid" }),
      shape("text", { x: left - 5, y: y(value) + 3.5, class: "end" }, number(value)));
  }
  for (const value of ticks(x0, x1, 6)) {
    made.append(shape("text", { x: x(value), y: high - bottom + 14, class: "middle" }, number(value)));
  }
  made.append(shape("text", { x: wide - right, y: high - 3, class: "end unit" }, units));
  made.append(...draw(x, y));
  made.append(shape("line", { x1: left, x2: wide - right, y1: y(y0), y2: y(y0), class: "axis" }));
  return made;
}

/** Return round numbers from the least to the largest value, about so many. */
function ticks(least, largest, count) {
  const step = niceStep((largest - least) / count || 1);
  const found = [];
  for (let at = Math.ceil(least / step - 1e-9); at * step <= largest * (1 + 1e-9); at++) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

/** Return 1, 2 or 5 times a power of ten, at least a value. */
function niceStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** Return the width up to which a histogram of sorted widths goes: the widest, unless a few that are
 * much wider would leave no room for the others. */
function lastBar(sorted) {
  const most = sorted[Math.floor(0.98 * (sorted.length - 1))] || 1;
  return sorted.at(-1) > 3 * most ? most : sorted.at(-1) || 1;
}

/** Return a histogram of widths, the last bar of which is also of those that are wider; bars have the colour of the class at their middle. */
function widthHistogram(widths, unit, colourAt) {
  const sorted = [...widths].sort((a, b) => a - b);
  const last = lastBar(sorted);
  const step = niceStep(last / 16);
  const bars = Array(Math.max(1, Math.ceil(last / step + 1e-9))).fill(0);
  for (const width of sorted) bars[Math.min(bars.length - 1, Math.floor(width / step))]++;
  const most = Math.max(1, ...bars);
  return chart(text("histogram"), [0, bars.length * step], [0, most], unit, (x, y) =>
    bars.map((count, at) => {
      const middle = (at + 0.5) * step;
      const isLast = at === bars.length - 1;
      const range = `${number(at * step)}${isLast ? "+" : `–${number((at + 1) * step)}`}`;
      const bar = shape("rect", { x: x(at * step) + 0.5, width: x(step) - x(0) - 1,
        y: y(count), height: y(0) - y(count), fill: colourAt(middle) });
      bar.append(shape("title", {}, `${range} ${unit}: ${count}`));
      return bar;
    }));
}

/** Return a rose: the length in each of 12 directions, drawn on both sides. */
function rose(directions, label) {
  const sectors = Array(12).fill(0);
  for (const [degrees, length] of directions) sectors[Math.floor(degrees / 15) % 12] += length;
  const most = Math.max(...sectors) || 1;
  const made = shape("svg", { viewBox: "-90 -80 180 160", class: "chart rose", role: "img",
    "aria-label": label });
  for (const radius of [35, 70]) made.append(shape("circle", { r: radius, class: "grid", fill: "none" }));
  sectors.forEach((length, at) => {
    const radius = 70 * Math.sqrt(length / most); // areas show lengths
    for (const side of [0, 180]) {
      const [a, b] = [at * 15 + side, at * 15 + 15 + side].map((degrees) => degrees * Math.PI / 180);
      const [ax, ay, bx, by] = [Math.cos(a), -Math.sin(a), Math.cos(b), -Math.sin(b)]
        .map((value) => (value * radius).toFixed(2));
      made.append(shape("path", { d: `M0 0 L${ax} ${ay} A${radius} ${radius} 0 0 0 ${bx} ${by} Z`,
        class: "sector" }));
    }
  });
  return made;
}

/** Return the width along a crack with a band of one standard uncertainty, in its unit. */
function profileChart([along, widths, sigmas], perUnit, unit) {
  const points = along.map((at, number) => ({ at: at * perUnit, width: widths[number] === null ? null
    : widths[number] * perUnit, sigma: (sigmas[number] ?? 0) * perUnit }));
  const runs = [[]];
  for (const point of points) {
    if (point.width !== null) runs.at(-1).push(point);
    else if (runs.at(-1).length) runs.push([]); // no width near a junction: the line is broken
  }
  const known = runs.flat();
  const most = Math.max(...known.map(({ width, sigma }) => width + sigma));
  return chart(text("profile"), [0, points.at(-1).at], [0, most * 1.05], unit, (x, y) =>
    runs.filter((run) => run.length > 1).flatMap((run) => {
      const edge = (side) => run.map(({ at, width, sigma }) =>
        `${x(at).toFixed(1)},${y(Math.max(0, width + side * sigma)).toFixed(1)}`);
      return [
        shape("polygon", { points: [...edge(1), ...edge(-1).reverse()].join(" "), class: "band" }),
        shape("polyline", { points: edge(0).join(" "), class: "curve" }),
      ];
    }));
}
