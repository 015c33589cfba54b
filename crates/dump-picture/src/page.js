"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const map = document.getElementById("map"), svg = map.querySelector("svg");
  const cursor = document.getElementById("cursor"), tip = document.getElementById("tip");
  const said = document.getElementById("said");
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

  const bytes = n => {
    let unit = 0;
    while (n >= 1024 && unit + 1 < units.length) { n /= 1024; unit++; }
    return (Number.isInteger(n) ? n : n.toFixed(1)) + " " + units[unit];
  };
  const hex = n => "0x" + n.toString(16);

  // "A8B": 8 pages of class A, and the rest of the block of class B; "*5" after it: 5 such cells
  const cell = (text, first) => {
    const counts = [];
    let known = 0, rest = null;
    for (const [, letter, digits] of text.matchAll(/([A-Z])([0-9a-z]*)/g)) {
      const pages = digits ? parseInt(digits, 36) : null;
      counts.push([letter.charCodeAt(0) - 65, pages]);
      if (pages === null) rest = counts[counts.length - 1]; else known += pages;
    }
    if (rest) rest[1] = data.block - known;
    return { first, counts, pages: known + (rest ? rest[1] : 0) };
  };
  const rows = data.rows.map(([first, top, text]) => {
    const cells = [];
    for (const word of text.split(",")) {
      const [one, times] = word.split("*");
      for (let i = 0; i < (times ? +times : 1); i++) cells.push(cell(one, first + cells.length * data.block));
    }
    return { top, cells };
  });

  let at = null;
  const describe = one => {
    const end = one.first + one.pages - 1;
    const name = "pfn " + hex(one.first) + (one.pages > 1 ? " to " + hex(end) : "");
    const size = one.pages.toLocaleString("en") + (one.pages === 1 ? " page, " : " pages, ") +
      bytes(one.pages * data.page) + " at " + hex(BigInt(one.first) * BigInt(data.page));
    const lines = one.counts.slice().sort((a, b) => b[1] - a[1]).map(([i, pages]) => ({
      i, name: data.classes[i],
      text: bytes(pages * data.page) + ", " + (pages * 100 / one.pages).toFixed(pages === one.pages ? 0 : 1) + " %",
    }));
    return { name, size, lines };
  };
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const show = (row, column, spoken) => {
    const one = rows[row] && rows[row].cells[column];
    if (!one || !one.pages) return hide();
    at = { row, column };
    const x = data.left + column * data.width, y = data.above + rows[row].top * data.part;
    for (const [key, value] of Object.entries({ x, y, width: data.width, height: 4 * data.part })) {
      cursor.setAttribute(key, value);
    }
    cursor.style.visibility = "visible";
    const text = describe(one);
    tip.replaceChildren(element("b", text.name), element("i", text.size), ...text.lines.map(line => {
      const made = element("span", "");
      made.append(element("u", "", "key k" + line.i), element("div", line.name), element("em", line.text));
      return made;
    }));
    tip.style.display = "block";
    place(cursor.getBoundingClientRect());
    if (spoken) {
      said.textContent = [text.name, text.size, ...text.lines.map(line => line.name + " " + line.text)].join("; ");
    }
  };
  const place = box => {
    const { width, height } = tip.getBoundingClientRect();
    const right = box.right + 12;
    tip.style.left = Math.max(4, right + width < innerWidth - 4 ? right : box.left - width - 12) + "px";
    tip.style.top = Math.max(4, Math.min(box.top - 6, innerHeight - height - 6)) + "px";
  };
  const hide = () => {
    at = null;
    tip.style.display = "none";
    cursor.style.visibility = "hidden";
  };

  const under = event => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale - data.left;
    const y = ((event.clientY - box.top) * scale - data.above) / data.part;
    return [rows.findIndex(row => y >= row.top && y < row.top + 4), Math.floor(x / data.width)];
  };
  map.addEventListener("pointermove", event => show(...under(event), false));
  map.addEventListener("pointerleave", hide);
  map.addEventListener("blur", hide);
  map.addEventListener("focus", () => { if (map.matches(":focus-visible")) show(0, 0, true); });
  map.addEventListener("keydown", event => {
    const { row, column } = at || { row: 0, column: -1 };
    const last = rows[row] ? rows[row].cells.findLastIndex(one => one.pages) : 0;
    const steps = {
      ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
      Home: [row, 0], End: [row, last], PageUp: [0, column], PageDown: [rows.length - 1, column],
    };
    if (event.key === "Escape") return hide();
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let [toRow, toColumn] = step;
    if (toColumn > last && toRow === row && toRow + 1 < rows.length) { toRow++; toColumn = 0; }
    if (toColumn < 0 && toRow > 0) { toRow--; toColumn = data.columns - 1; }
    toRow = Math.max(0, Math.min(rows.length - 1, toRow));
    const end = rows[toRow].cells.findLastIndex(one => one.pages);
    show(toRow, Math.max(0, Math.min(end, toColumn)), true);
  });
})();
