// Two pictures of one size, one above the other; the divide follows the finger, the mouse and the arrow keys.
export default function ({ data, parentElement }) {
  const stage = parentElement.querySelector(".stage");
  const divide = stage.querySelector("input");
  for (const name of ["before", "after"]) {
    const picture = stage.querySelector(`.${name}`);
    if (picture.src !== data[name]) picture.src = data[name];
  }
  const move = () => stage.style.setProperty("--at", `${divide.value}%`);
  move();
  divide.addEventListener("input", move);
  return () => divide.removeEventListener("input", move);
}
