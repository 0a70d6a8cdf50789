"use strict";
// Sorting by the heads of the table, and searching in it.
const table = document.getElementById("steps");
const rows = () => Array.from(table.tBodies[0].rows);
const keyOf = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
};
table.tHead.querySelectorAll("button").forEach((button) => {
  button.addEventListener("click", () => {
    const head = button.parentElement, column = head.cellIndex;
    const upward = head.getAttribute("aria-sort") === "descending";
    table.tHead.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", upward ? "ascending" : "descending");
    const order = (a, b) => {
      const x = keyOf(a, column), y = keyOf(b, column);
      return (x < y ? -1 : x > y ? 1 : 0) * (upward ? 1 : -1);
    };
    table.tBodies[0].append(...rows().sort(order));
  });
});
document.getElementById("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase();
  let shown = 0;
  for (const row of rows()) {
    row.hidden = !row.textContent.toLowerCase().includes(words);
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("count").textContent = shown + " of " + rows().length + " steps";
});
