// Tables are sorted by the column whose head is clicked, numbers as numbers; a second click turns the order round.
document.addEventListener("click", (event) => {
  const head = event.target.closest(".md-typeset thead th");
  if (!head) return;
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const value = (row) => row.cells[column]?.textContent.trim().replace("−", "-").replaceAll(",", "") ?? "";
  const down = head.dataset.order !== "down";
  for (const other of head.parentNode.cells) delete other.dataset.order;
  head.dataset.order = down ? "down" : "up";
  const compare = (a, b) => {
    const [x, y] = [parseFloat(value(a)), parseFloat(value(b))];
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1; // what is no number stands last
    const order = isNaN(x) ? value(a).localeCompare(value(b)) : y - x;
    return down ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
});
