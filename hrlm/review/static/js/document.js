// A photo's faces as the person leaves them, with undo and redo. Nothing here knows of the page.

// nudges of one landmark that follow each other within this time are undone together
const TOGETHER_MS = 900;
const KEPT_STEPS = 200;

const copyFace = (face) => ({
  ...face,
  landmarks: face.landmarks.map((p) => [...p]),
  moved: new Set(face.moved),
  invisible: new Set(face.invisible),
});

export class PhotoDocument {
  constructor(photo) {
    this.photo = photo;
    this.face = -1;
    this.landmark = -1;
    this.past = [];
    this.future = [];
    this.lastStep = { name: "", time: 0 };
    this.version = 0;
    this.savedVersion = 0;
    this.take(photo);
    this.face = this.faces.length ? this.worstFace() : -1;
  }

  // Faces, mark and revision as the server has them.
  take({ faces, checked, revision }) {
    this.faces = faces.map((f) => ({
      predicted: f.predicted,
      landmarks: f.landmarks.map((p) => [...p]),
      moved: new Set(f.moved),
      invisible: new Set(f.invisible),
      // what the rest is fitted from: the prediction, or an added face as it was when it came, if that is known
      reference: f.predicted === null ? (f.came ?? null) : this.photo.predicted[f.predicted].landmarks,
    }));
    this.checked = checked;
    this.revision = revision;
    this.face = Math.min(this.face, this.faces.length - 1);
    this.past = [];
    this.future = [];
    this.version += 1;
    this.savedVersion = this.version;
  }

  get dirty() {
    return this.version !== this.savedVersion;
  }

  get current() {
    return this.faces[this.face] ?? null;
  }

  // What is sent to be saved.
  data() {
    return {
      revision: this.revision,
      version: this.photo.version,
      checked: this.checked,
      faces: this.faces.map((f) => ({
        predicted: f.predicted,
        landmarks: f.landmarks,
        came: f.predicted === null ? f.reference : null,
        moved: [...f.moved],
        invisible: [...f.invisible],
      })),
    };
  }

  // Remember how things are before a change. Steps of one name in a row are one step to undo.
  step(name = "") {
    const now = performance.now();
    const together = name && name === this.lastStep.name && now - this.lastStep.time < TOGETHER_MS;
    this.lastStep = { name, time: now };
    if (!together) {
      this.past.push(this.snapshot());
      if (this.past.length > KEPT_STEPS) this.past.shift();
    }
    this.future = [];
    this.version += 1;
  }

  undo() {
    return this.restore(this.past, this.future);
  }

  redo() {
    return this.restore(this.future, this.past);
  }

  move(x, y) {
    const face = this.current;
    face.landmarks[this.landmark] = [x, y];
    face.moved.add(this.landmark);
    this.version += 1;
  }

  toggleInvisible() {
    const { invisible } = this.current;
    if (!invisible.delete(this.landmark)) invisible.add(this.landmark);
  }

  // The landmark back to where it was predicted.
  reset() {
    const face = this.current;
    face.landmarks[this.landmark] = [...face.reference[this.landmark]];
    face.moved.delete(this.landmark);
  }

  addFace(landmarks) {
    this.faces.push({
      predicted: null,
      landmarks: landmarks.map((p) => [...p]),
      moved: new Set(),
      invisible: new Set(),
      reference: landmarks,
    });
    this.face = this.faces.length - 1;
    this.landmark = -1;
  }

  deleteFace() {
    this.faces.splice(this.face, 1);
    this.face = Math.min(this.face, this.faces.length - 1);
    this.landmark = -1;
  }

  deviation(face, landmark) {
    return face.predicted === null ? null : this.photo.predicted[face.predicted].deviation[landmark];
  }

  worstFace() {
    const doubt = (face) => {
      if (face.predicted === null) return 0;
      const { deviation, flags } = this.photo.predicted[face.predicted];
      const known = deviation.filter((d) => d !== null).sort((a, b) => a - b);
      const [low, high] = extent(face.landmarks);
      const size = Math.max(high[0] - low[0], high[1] - low[1], 1);
      return (known.length ? known[known.length >> 1] / size : 0) + 0.06 * flags.length;
    };
    const doubts = this.faces.map(doubt);
    return doubts.indexOf(Math.max(...doubts));
  }

  snapshot() {
    return {
      faces: this.faces.map(copyFace),
      checked: this.checked,
      face: this.face,
      landmark: this.landmark,
    };
  }

  restore(from, to) {
    if (!from.length) return false;
    to.push(this.snapshot());
    Object.assign(this, from.pop());
    this.lastStep = { name: "", time: 0 };
    this.version += 1;
    return true;
  }
}

// The lowest and highest coordinates of points.
export function extent(points) {
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  return [
    [Math.min(...xs), Math.min(...ys)],
    [Math.max(...xs), Math.max(...ys)],
  ];
}
