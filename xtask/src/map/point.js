// for the screenshot: points at the cell that has the most classes
addEventListener("load", () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const map = document.getElementById("map"), svg = map.querySelector("svg");
  let most = { classes: 0 };
  for (const [, top, text] of data.rows) {
    let column = 0;
    for (const word of text.split(",")) {
      const [cell, times] = word.split("*");
      const classes = cell.replace(/[^A-Z]/g, "").length;
      if (classes > most.classes) most = { classes, top, column };
      column += times ? +times : 1;
    }
  }
  const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
  map.dispatchEvent(new PointerEvent("pointermove", {
    clientX: box.left + (data.left + (most.column + 0.5) * data.width) * scale,
    clientY: box.top + (data.above + (most.top + 2) * data.part) * scale,
    bubbles: true,
  }));
});
