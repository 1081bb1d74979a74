// A click on a column's head sorts the table by it; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const key = (row, column) => {
    const text = row.cells[column] ? row.cells[column].innerText.trim() : "";
    const number = parseFloat(text.replace(/,/g, "").replace(/^[^0-9+-]+/, ""));
    return isNaN(number) || column === 0 ? text : number;
  };
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => (down ? -1 : 1) * compare(key(one, column), key(other, column)));
      table.tBodies[0].append(...rows);
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
  table.classList.add("sorts");
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
