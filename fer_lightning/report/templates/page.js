// A click on the head of a column sorts the table by it; a second click reverses the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const key = (row, column) => {
    const text = row.cells[column] ? row.cells[column].innerText.trim() : "";
    const number = parseFloat(text.replace(/,/g, "").replace(/^[^0-9+-]+/, ""));
    return isNaN(number) || column === 0 ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)));
      table.tBodies[0].append(...rows);
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
  table.classList.add("sorts");
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
