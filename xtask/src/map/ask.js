// behind the page's own script: points at each cell, goes a way with the keys, and writes down what the page says
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const map = document.getElementById("map"), svg = map.querySelector("svg"), tip = document.getElementById("tip");
  const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
  const told = () => tip.style.display !== "block" ? null : {
    name: tip.querySelector("b").textContent,
    size: tip.querySelector("i").textContent,
    classes: [...tip.querySelectorAll("span")].map(line =>
      [line.querySelector("div").textContent, line.querySelector("em").textContent]),
  };
  const tips = data.rows.map(([, top]) => Array.from({ length: data.columns }, (_, column) => {
    const x = box.left + (data.left + (column + 0.5) * data.width) * scale;
    const y = box.top + (data.above + (top + 2) * data.part) * scale;
    map.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y, bubbles: true }));
    return told();
  }));
  map.dispatchEvent(new PointerEvent("pointerleave", { bubbles: true }));
  const left = told();
  const keys = ["ArrowRight", "ArrowRight", "ArrowDown", "End", "ArrowRight", "Home", "ArrowUp", "Escape"].map(key => {
    map.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    return { key, tip: told(), said: document.getElementById("said").textContent };
  });
  const rows = [...document.querySelectorAll("#classes tbody tr")].map(row =>
    [...row.children].map(cell => cell.textContent.trim()));
  const painted = [...svg.querySelectorAll(".cells path")].map(path => getComputedStyle(path).stroke);
  const overflow = document.documentElement.scrollWidth > innerWidth;
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify({ tips, left, keys, rows, painted, overflow, wrong: window.wrong });
  document.body.append(probe);
})();
