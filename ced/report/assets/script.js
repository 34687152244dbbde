(() => {
  "use strict";

  document.documentElement.classList.add("scripted");
  for (const viewer of document.querySelectorAll(".viewer")) {
    const images = [...viewer.querySelectorAll(".whole img")];
    compare(viewer, images);
    enlarge(viewer, images);
  }

  // Two versions on top of each other; the upper one is clipped at the divide.
  function compare(viewer, images) {
    const box = viewer.querySelector(".compare");
    const stage = box.querySelector(".stage");
    const range = stage.querySelector("input");
    const [left, right] = box.querySelectorAll("select");
    const tags = stage.querySelectorAll(".tag");

    const show = () => {
      for (const [select, layer, tag] of [[left, ".under", tags[0]], [right, ".over", tags[1]]]) {
        stage.querySelector(layer).replaceChildren(copy(images[select.value]));
        tag.textContent = select.selectedOptions[0].textContent;
      }
      moveDivide();
    };
    const moveDivide = () => {
      stage.style.setProperty("--at", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${range.value}% ${tags[0].textContent}, ${100 - range.value}% ${tags[1].textContent}`);
    };
    const follow = (event) => {
      const area = stage.getBoundingClientRect();
      range.value = Math.round((100 * (event.clientX - area.left)) / area.width);
      moveDivide();
    };

    range.addEventListener("input", moveDivide);
    drag(stage, (event) => {
      follow(event);
      range.focus({ preventScroll: true });
    }, follow);
    left.addEventListener("change", show);
    right.addEventListener("change", show);
    box.querySelector(".tick input").addEventListener("change", (event) => {
      stage.classList.toggle("close", event.target.checked);
    });
    show();
    box.hidden = false;
  }

  // One region for all versions: --x, --y (its corner) and --r (its side), in pixels of the picture.
  function enlarge(viewer, images) {
    const width = Number(viewer.dataset.width);
    const height = Number(viewer.dataset.height);
    const read = (name) => Number(viewer.style.getPropertyValue(name));
    const lens = viewer.querySelector(".lens[tabindex]");
    const sizes = viewer.querySelector(".sizes");
    let side = read("--r");
    let corner = [read("--x"), read("--y")];

    const move = (x, y) => {
      corner = [clamp(Math.round(x), 0, width - side), clamp(Math.round(y), 0, height - side)];
      viewer.style.setProperty("--x", corner[0]);
      viewer.style.setProperty("--y", corner[1]);
      viewer.style.setProperty("--r", side);
      lens.setAttribute("aria-label", `Enlarged region, ${side} pixels across, at ${corner[0]}, ${corner[1]}. ` +
        "Arrow keys move it; plus and minus change its size.");
    };
    const resize = (wanted) => {
      const centre = corner.map((edge) => edge + side / 2);
      side = wanted;
      move(centre[0] - side / 2, centre[1] - side / 2);
    };
    const step = (by) => {
      const radios = [...sizes.querySelectorAll("input")];
      const radio = radios[clamp(radios.findIndex((r) => r.checked) + by, 0, radios.length - 1)];
      radio.checked = true;
      resize(Number(radio.value));
    };

    for (const image of images) {
      const whole = image.parentElement;
      whole.parentElement.querySelector(".crop").replaceChildren(copy(image));
      const follow = (event) => {
        const area = whole.getBoundingClientRect();
        move(((event.clientX - area.left) / area.width) * width - side / 2,
          ((event.clientY - area.top) / area.height) * height - side / 2);
      };
      // A finger beside the frame may be scrolling the page: it moves the frame by a tap alone.
      drag(whole, follow, follow, (event) => event.pointerType !== "touch" || event.target.closest(".lens"));
      whole.addEventListener("click", follow);
    }
    lens.addEventListener("keydown", (event) => {
      const by = event.shiftKey ? side / 2 : Math.max(1, side / 16);
      const moves = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
      if (event.key in moves) move(corner[0] + moves[event.key][0], corner[1] + moves[event.key][1]);
      else if (event.key === "+" || event.key === "=") step(-1);
      else if (event.key === "-") step(1);
      else return;
      event.preventDefault();
    });
    sizes.addEventListener("change", (event) => resize(Number(event.target.value)));
    move(...corner);
    sizes.hidden = false;
  }

  function drag(element, start, follow, accepts = () => true) {
    let held = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !accepts(event)) return;
      held = event.pointerId;
      element.setPointerCapture(held);
      start(event);
      if (event.pointerType === "mouse") event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => { if (event.pointerId === held) follow(event); });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { held = null; });
  }

  function copy(image) {
    const same = image.cloneNode();
    same.alt = "";
    same.draggable = false;
    return same;
  }

  function clamp(value, least, most) {
    return Math.min(Math.max(value, least), most);
  }
})();
