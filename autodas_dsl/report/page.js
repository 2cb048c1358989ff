"use strict";

// Sorting and filtering of the hall of fame.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headers = Array.from(table.tHead.rows[0].cells);
  const said = document.getElementById(table.dataset.status);

  const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const x = parseFloat(a), y = parseFloat(b);
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b);
    return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y;
  };

  headers.forEach((header, column) => {
    const button = header.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = header.getAttribute("aria-sort");
      const falls = before === "none" ? header.dataset.first === "descending" : before === "ascending";
      headers.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", falls ? "descending" : "ascending");
      rows.sort((a, b) => (falls ? -1 : 1) * compare(key(a, column), key(b, column)));
      body.append(...rows);
    });
  });

  const search = document.getElementById(table.dataset.search);
  const front = document.getElementById(table.dataset.front);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || (front.checked && !("front" in row.dataset));
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = `${shown} of ${rows.length} formulas`;
  };
  search.addEventListener("input", filter);
  front.addEventListener("change", filter);
  filter();
}

// Copying formulas and commands.
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
