// Every key in one table: what it does, and how the help panel tells of it.

// [group, keys as the browser names them, keys for people, what they do, action]
const TABLE = [
  ["Landmarks", ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], ["← → ↑ ↓"], "move by 0.1 pixel", "nudge"],
  ["Landmarks", [], ["Shift", "← …"], "move by 1 pixel", null],
  ["Landmarks", [], ["Ctrl", "← …"], "move by 10 pixels (Alt too)", null],
  ["Landmarks", ["d", "."], ["D", "."], "next landmark", "nextLandmark"],
  ["Landmarks", ["a", ","], ["A", ","], "previous landmark", "previousLandmark"],
  ["Landmarks", ["v"], ["V"], "invisible, or visible again", "invisible"],
  ["Landmarks", ["Backspace"], ["Backspace"], "back to the prediction", "reset"],
  ["Landmarks", ["r"], ["R"], "fit the rest to what was moved", "fit"],
  ["Landmarks", ["Escape"], ["Esc"], "choose none; stop drawing a box", "cancel"],
  ["Faces", ["f"], ["F"], "next face", "nextFace"],
  ["Faces", ["g"], ["G"], "add a face: draw a box around it", "addFace"],
  ["Faces", ["Delete"], ["Del"], "delete the face", "deleteFace"],
  ["Photos", ["n", "PageDown"], ["N", "Page ↓"], "next photo", "next"],
  ["Photos", ["p", "PageUp"], ["P", "Page ↑"], "previous photo", "previous"],
  ["Photos", ["Enter"], ["Enter"], "checked, next photo", "checkNext"],
  ["Photos", ["c"], ["C"], "checked, or not after all", "check"],
  ["Changes", ["z", "Ctrl+z"], ["Z", "Ctrl Z"], "undo", "undo"],
  ["Changes", ["y", "Ctrl+y", "Ctrl+Shift+z"], ["Y", "Ctrl Y"], "redo", "redo"],
  ["Changes", ["Ctrl+s"], ["Ctrl S"], "save now", "save"],
  ["View", ["+", "="], ["+"], "closer", "zoomIn"],
  ["View", ["-"], ["−"], "further", "zoomOut"],
  ["View", ["0"], ["0"], "whole photo", "zoomWhole"],
  ["View", ["1"], ["1"], "one to one", "zoomNative"],
  ["View", ["x"], ["X"], "the face", "zoomFace"],
  ["View", ["e"], ["E"], "the landmark, close", "zoomLandmark"],
  ["View", ["h"], ["H"], "landmarks shown or hidden", "togglePoints"],
  ["View", ["l"], ["L"], "contours shown or hidden", "toggleLines"],
  ["View", ["b"], ["B"], "numbers and name shown or hidden", "toggleNames"],
  ["View", ["/"], ["/"], "find a photo", "search"],
  ["View", ["?", "F1"], ["?"], "this help", "help"],
];

const ACTIONS = new Map(TABLE.flatMap(([, keys, , , action]) => keys.map((key) => [key, action])));
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Call `actions` by key. Keys that a field or a dialog needs stay theirs.
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (document.querySelector("dialog[open]")) return;
    const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (typing) {
      if (event.key === "Escape") target.blur();
      return;
    }
    // a button that has the focus is pressed by these
    if (target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ")) return;
    const control = event.ctrlKey || event.metaKey;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = control || event.altKey ? 10 : event.shiftKey ? 1 : 0.1;
      if (actions.nudge(arrow[0] * step, arrow[1] * step)) event.preventDefault();
      return;
    }
    if (event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const name = control ? `Ctrl+${event.shiftKey ? "Shift+" : ""}${key}` : key;
    const action = ACTIONS.get(name);
    if (!action) return;
    event.preventDefault();
    actions[action]();
  });
}

// Fill the help panel.
export function describeKeys(element) {
  for (const group of new Set(TABLE.map((row) => row[0]))) {
    const section = document.createElement("section");
    const title = document.createElement("h3");
    title.textContent = group;
    const list = document.createElement("dl");
    for (const [, , shown, text] of TABLE.filter((row) => row[0] === group)) {
      const term = document.createElement("dt");
      for (const key of shown) {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        term.append(cap);
      }
      const what = document.createElement("dd");
      what.textContent = text;
      list.append(term, what);
    }
    section.append(title, list);
    element.append(section);
  }
}
