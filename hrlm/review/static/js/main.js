// The review page: brings list, viewer, loupe, keys and saving together.

import * as api from "./api.js";
import { PhotoDocument, extent } from "./document.js";
import { describeKeys, listenToKeys } from "./keys.js";
import { PhotoList } from "./list.js";
import { Loupe } from "./loupe.js";
import { Saver } from "./saver.js";
import { PhotoViewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
// the address that hrlm printed carries the key; it has become a cookie and need not stay on the screen
history.replaceState(null, "", location.pathname + location.hash);

let current = null;
let opening = 0;

const loupe = new Loupe($("loupe"));
const list = new PhotoList(
  { list: $("list"), search: $("search"), filter: $("filter"), progress: $("progress"), progressText: $("progress-text") },
  (id) => open(id),
);
const viewer = new PhotoViewer($("viewer"), $("overlay"), {
  select: (face, landmark) => select(face, landmark),
  grab: () => current.step(),
  drag: (x, y) => {
    current.move(x, y);
    show();
  },
  drop: () => changed(),
  box: (box) => addFaceIn(box),
  zoom: (zoom) => {
    $("zoom").textContent = `${zoom < 0.1 ? (100 * zoom).toFixed(1) : Math.round(100 * zoom)} %`;
  },
  hover: (x, y) => {
    if (current && current.landmark < 0) loupe.look([x, y]);
  },
});
const saver = new Saver({
  status: (text, bad = false) => {
    $("status").textContent = text;
    $("status").classList.toggle("bad", bad);
  },
  saved: (saved, { checked }) => {
    list.update(saved.photo.id, { checked, corrected: true });
    if (saved === current) show();
  },
  conflict: async () => {
    const dialog = $("conflict");
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    // closed without a choice: nothing of the person's own work is thrown away
    return dialog.returnValue === "theirs" ? "theirs" : "mine";
  },
});

async function open(id) {
  if (!id || id === current?.photo.id) return;
  const turn = ++opening;
  if (!(await saver.flush())) return;
  if (turn !== opening) return;
  list.select(id);
  // the keys are for the photo now, not for the list's row
  $("viewer").focus({ preventScroll: true });
  $("busy").hidden = false;
  notice("");
  try {
    const photo = await api.getPhoto(id);
    // the photo before could be changed until now
    while (turn === opening && saver.dirty) if (!(await saver.flush())) return list.select(current?.photo.id);
    if (turn !== opening) return;
    const opened = new PhotoDocument(photo);
    current = opened;
    saver.watch(opened);
    loupe.open(photo);
    const sharp = viewer.open(
      opened,
      () => zoomFace(true),
      // for scripts that use the page
      () => ($("stage").dataset.seen = id),
    );
    history.replaceState(null, "", `#${id}`);
    show();
    await sharp;
    // the next one is decoded while this one is looked at
    const next = list.neighbour(1);
    if (next && turn === opening) api.getPhoto(next).catch(() => {});
  } catch (error) {
    if (turn !== opening) return;
    current = null;
    viewer.close();
    show();
    notice(error.message);
  } finally {
    if (turn === opening) $("busy").hidden = true;
  }
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function hint(text) {
  $("hint").textContent = text;
  $("hint").hidden = !text;
}

function select(face, landmark) {
  current.face = face;
  current.landmark = landmark;
  show();
}

// Something was changed and shall be saved.
function changed() {
  show();
  saver.touch();
}

function zoomFace(atOnce = false) {
  const face = current?.current;
  if (face) viewer.fit(extent(face.landmarks), 1.4, atOnce);
  else viewer.whole();
}

function show() {
  const photo = current?.photo;
  const face = current?.current;
  const index = current?.landmark ?? -1;
  const chosen = face && index >= 0;
  $("title").textContent = photo?.name ?? "";
  $("title").title = photo?.name ?? "";
  $("size").textContent = photo ? `${photo.width} × ${photo.height}` : "";
  document.title = photo ? `${photo.name} – hrlm review` : "hrlm review";
  $("landmark-name").textContent = chosen ? photo.scheme.landmarks[index] : "No landmark chosen";
  $("landmark-place").textContent = chosen ? face.landmarks[index].map((v) => v.toFixed(1)).join(", ") : "";
  const deviation = chosen ? current.deviation(face, index) : null;
  const about = [];
  if (chosen && deviation !== null && !face.moved.has(index)) about.push(`± ${deviation.toFixed(1)} px`);
  if (chosen && face.moved.has(index)) about.push("moved");
  if (chosen && face.invisible.has(index)) about.push("invisible");
  $("landmark-state").textContent = about.join(" · ");
  $("announce").textContent = chosen ? `${$("landmark-name").textContent} ${about.join(" ")}` : "";
  loupe.look(chosen ? face.landmarks[index] : null);
  showFaces();
  const able = {
    invisible: chosen,
    reset: chosen && face.reference,
    addFace: photo,
    deleteFace: face,
    fit: face?.reference && face.moved.size > 0,
    undo: current?.past.length,
    redo: current?.future.length,
    check: photo,
    checkNext: photo,
  };
  for (const button of document.querySelectorAll("[data-action]")) button.disabled = !able[button.dataset.action];
  $("check-only").setAttribute("aria-pressed", String(Boolean(current?.checked)));
  $("check-only").textContent = current?.checked ? "✓ Checked" : "Mark as checked";
  viewer.draw();
}

function showFaces() {
  const rows = (current?.faces ?? []).map((face, i) => {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    if (i === current.face) button.setAttribute("aria-current", "true");
    const about = document.createElement("span");
    const flags = face.predicted === null ? ["added"] : current.photo.predicted[face.predicted].flags;
    const moved = face.moved.size ? [`${face.moved.size} moved`] : [];
    about.textContent = [...flags, ...moved].join(" · ");
    button.append(`Face ${i + 1}`, about);
    button.addEventListener("click", () => {
      select(i, -1);
      zoomFace();
    });
    row.append(button);
    return row;
  });
  $("faces").replaceChildren(...rows);
}

function stepLandmark(offset) {
  const face = current?.current;
  if (!face) return;
  const count = face.landmarks.length;
  const next = current.landmark < 0 ? (offset > 0 ? 0 : count - 1) : (current.landmark + offset + count) % count;
  select(current.face, next);
  viewer.reveal(face.landmarks[next]);
}

async function addFaceIn(box) {
  hint("");
  if (!box || !current) return;
  const target = current;
  hint("Looking for landmarks …");
  try {
    const { landmarks, source } = await api.newFace(target.photo.id, box);
    if (target !== current) return;
    target.step();
    target.addFace(landmarks);
    changed();
    hint(source === "mean" ? "A mean shape: move a few landmarks, then press R to fit the rest." : "");
  } catch (error) {
    hint(error.message);
  }
}

async function fit() {
  const target = current;
  const face = target?.current;
  if (!face?.moved.size || !face.reference) return;
  const placed = [...face.moved];
  const { version } = target;
  try {
    const { landmarks } = await api.fitRest(target.photo.id, {
      shape: face.reference,
      placed,
      places: placed.map((i) => face.landmarks[i]),
    });
    if (target !== current || version !== target.version) return;
    target.step();
    face.landmarks = landmarks;
    changed();
  } catch (error) {
    hint(error.message);
  }
}

// A change of the chosen landmark or face, as one step to undo.
function change(needsLandmark, make) {
  if (!current?.current || (needsLandmark && current.landmark < 0)) return;
  current.step();
  make();
  changed();
}

function toggle(what) {
  viewer.show[what] = !viewer.show[what];
  viewer.draw();
}

function undo(forward) {
  if (current && (forward ? current.redo() : current.undo())) changed();
}

function check() {
  if (!current) return;
  current.step();
  current.checked = !current.checked;
  changed();
}

const actions = {
  nudge(dx, dy) {
    if (!current?.current || current.landmark < 0) return false;
    const [x, y] = current.current.landmarks[current.landmark];
    current.step(`nudge ${current.face} ${current.landmark}`);
    current.move(x + dx, y + dy);
    changed();
    viewer.reveal(current.current.landmarks[current.landmark]);
    return true;
  },
  nextLandmark: () => stepLandmark(1),
  previousLandmark: () => stepLandmark(-1),
  invisible: () => change(true, () => current.toggleInvisible()),
  reset: () => current?.current?.reference && change(true, () => current.reset()),
  fit,
  cancel() {
    viewer.askBox(false);
    hint("");
    if (current) select(current.face, -1);
  },
  nextFace() {
    if (!current?.faces.length) return;
    select((current.face + 1) % current.faces.length, -1);
    zoomFace();
  },
  addFace() {
    if (!current) return;
    viewer.askBox(true);
    hint("Draw a box around the face, from brows to chin. Esc to stop.");
  },
  deleteFace: () => change(false, () => current.deleteFace()),
  next: () => open(list.neighbour(1)),
  previous: () => open(list.neighbour(-1)),
  check,
  checkNext() {
    if (!current) return;
    if (!current.checked) check();
    const next = list.neighbour(1);
    if (next) open(next);
    else saver.flush();
  },
  undo: () => undo(false),
  redo: () => undo(true),
  save: () => saver.flush(),
  zoomIn: () => viewer.zoomBy(1.5),
  zoomOut: () => viewer.zoomBy(1 / 1.5),
  zoomWhole: () => viewer.whole(),
  zoomNative: () => viewer.native(),
  zoomFace: () => zoomFace(),
  zoomLandmark() {
    const point = current?.current?.landmarks[current.landmark];
    if (point) viewer.fit([point, point], 12);
  },
  togglePoints: () => toggle("points"),
  toggleLines: () => toggle("lines"),
  toggleNames: () => toggle("names"),
  search: () => $("search").focus(),
  help: () => $("help").showModal(),
};

describeKeys($("help-keys"));
listenToKeys(actions);
for (const button of document.querySelectorAll("[data-action]"))
  button.addEventListener("click", () => {
    actions[button.dataset.action]();
    $("viewer").focus({ preventScroll: true });
  });
$("next").addEventListener("click", actions.next);
$("previous").addEventListener("click", actions.previous);
$("help-button").addEventListener("click", actions.help);
addEventListener("beforeunload", (event) => {
  if (saver.dirty) event.preventDefault();
});

show();
try {
  list.fill(await api.listPhotos());
  const wanted = location.hash.slice(1);
  const first = list.photos.find((p) => p.id === wanted) ?? list.photos.find((p) => !p.checked && !p.problem);
  await open((first ?? list.photos[0]).id);
} catch (error) {
  notice(error.message);
}
