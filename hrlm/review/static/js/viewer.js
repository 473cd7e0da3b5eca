// The photo with its landmarks: OpenSeadragon shows the tiles, a canvas above it the landmarks.

import { tileUrl } from "./api.js";
import { extent } from "./document.js";

const HIT = { mouse: 12, pen: 14, touch: 26 };
const FINE = 0.1;
// colours that people with any colour vision tell apart, each on a dark rim that shows on any skin
const COLOUR = { point: "#7cc4f0", moved: "#f0b03c", chosen: "#ffffff", other: "#b9b9b9" };
const RIM = "rgba(0, 0, 0, 0.72)";
// pixels of the photo are shown as squares from this zoom on
const SQUARES = 3;

export class PhotoViewer {
  // events: select(face, landmark), grab(), drag(x, y), drop(), box([x, y, w, h] or null), zoom(z), hover(x, y)
  constructor(element, overlay, events) {
    this.overlay = overlay;
    this.events = events;
    this.document = null;
    this.show = { lines: true, points: true, names: false };
    this.drag = null;
    this.box = null;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.osd = OpenSeadragon({
      element,
      drawer: "canvas",
      showNavigationControl: false,
      keyboardNavEnabled: false,
      tabIndex: -1,
      animationTime: still ? 0 : 0.25,
      springStiffness: 10,
      blendTime: 0,
      minZoomImageRatio: 0.5,
      maxZoomPixelRatio: 64,
      smoothTileEdgesMinZoom: Infinity,
      visibilityRatio: 0.3,
      zoomPerScroll: 1.3,
      imageLoaderLimit: 8,
      maxImageCacheCount: 160,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false, flickEnabled: false },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: false },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false, flickEnabled: false },
    });
    this.osd.addHandler("update-viewport", () => this.draw());
    this.osd.addHandler("canvas-press", (e) => this.press(e));
    this.osd.addHandler("canvas-drag", (e) => this.dragged(e));
    this.osd.addHandler("canvas-release", () => this.release());
    element.addEventListener("pointermove", (e) => this.hover(e));
    new ResizeObserver(() => this.draw()).observe(overlay);
  }

  // Show a document; `seen` is called once its photo can be seen. Resolves once it is sharp.
  open(document, view, seen) {
    const { photo } = document;
    this.document = null;
    const top = Math.ceil(Math.log2(Math.max(photo.width, photo.height)));
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.document = document;
        view();
        this.draw();
        this.osd.addOnceHandler("tile-drawn", seen);
        const item = this.osd.world.getItemAt(0);
        const loaded = () => {
          if (!item.getFullyLoaded()) return;
          item.removeHandler("fully-loaded-change", loaded);
          resolve();
        };
        item.addHandler("fully-loaded-change", loaded);
        loaded();
      };
      this.osd.addOnceHandler("open", begin);
      this.osd.addOnceHandler("open-failed", (e) => reject(new Error(e.message)));
      this.osd.open({
        width: photo.width,
        height: photo.height,
        tileSize: photo.tile,
        minLevel: top - photo.levels + 1,
        maxLevel: top,
        getTileUrl: (level, x, y) => tileUrl(photo, top - level, x, y),
      });
    });
  }

  close() {
    this.document = null;
    this.osd.close();
    this.draw();
  }

  // Screen pixels from photo pixels: pixel centres are integers here, OpenSeadragon's pixels begin at them.
  get frame() {
    const { viewport } = this.osd;
    const a = viewport.imageToViewerElementCoordinates(new OpenSeadragon.Point(0.5, 0.5));
    const b = viewport.imageToViewerElementCoordinates(new OpenSeadragon.Point(1000.5, 0.5));
    return { x: a.x, y: a.y, scale: (b.x - a.x) / 1000 };
  }

  toScreen([x, y], frame = this.frame) {
    return [frame.x + x * frame.scale, frame.y + y * frame.scale];
  }

  toPhoto({ x, y }, frame = this.frame) {
    return [(x - frame.x) / frame.scale, (y - frame.y) / frame.scale];
  }

  // Zoom to what lies between two corners, with some room around it.
  fit([low, high], room, atOnce = false) {
    const size = Math.max(high[0] - low[0], high[1] - low[1], 8) * room;
    const middle = [(low[0] + high[0]) / 2 + 0.5, (low[1] + high[1]) / 2 + 0.5];
    const rect = this.osd.viewport.imageToViewportRectangle(middle[0] - size / 2, middle[1] - size / 2, size, size);
    this.osd.viewport.fitBounds(rect, atOnce);
  }

  whole() {
    this.osd.viewport.goHome();
  }

  native() {
    const { viewport } = this.osd;
    const face = this.document?.current;
    if (face && this.document.landmark >= 0) this.centre(face.landmarks[this.document.landmark]);
    viewport.zoomTo(viewport.imageToViewportZoom(1 / devicePixelRatio));
  }

  centre([x, y]) {
    this.osd.viewport.panTo(this.osd.viewport.imageToViewportCoordinates(x + 0.5, y + 0.5));
  }

  zoomBy(factor) {
    this.osd.viewport.zoomBy(factor);
    this.osd.viewport.applyConstraints();
  }

  // Bring a landmark into view where it is not.
  reveal(point) {
    const [x, y] = this.toScreen(point);
    const { clientWidth: w, clientHeight: h } = this.overlay;
    if (x < 30 || y < 30 || x > w - 30 || y > h - 30) this.centre(point);
  }

  // Begin to draw a box: the next drag draws it.
  askBox(asked) {
    this.box = asked ? {} : null;
    this.osd.element.style.cursor = asked ? "crosshair" : "";
    this.draw();
  }

  press(event) {
    if (!this.document) return;
    const place = event.position;
    this.osd.element.focus({ preventScroll: true });
    if (this.box) {
      this.box = { from: place, to: place };
      return;
    }
    const hit = this.nearest(place, HIT[event.pointerType] ?? HIT.mouse);
    if (hit) {
      this.events.select(hit.face, hit.landmark);
      this.drag = { point: [...this.document.current.landmarks[hit.landmark]], begun: false };
    } else {
      this.drag = null;
    }
  }

  dragged(event) {
    if (this.box?.from) {
      event.preventDefaultAction = true;
      this.box.to = event.position;
      this.draw();
    } else if (this.drag) {
      event.preventDefaultAction = true;
      if (!this.drag.begun) {
        this.drag.begun = true;
        this.events.grab();
      }
      const step = (event.shift ? FINE : 1) / this.frame.scale;
      this.drag.point[0] += event.delta.x * step;
      this.drag.point[1] += event.delta.y * step;
      this.events.drag(...this.drag.point);
    }
  }

  release() {
    if (this.box?.from) {
      const [a, b] = [this.toPhoto(this.box.from), this.toPhoto(this.box.to)];
      const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];
      this.askBox(false);
      this.events.box(box[2] >= 8 && box[3] >= 8 ? box : null);
    } else if (this.drag?.begun) {
      this.events.drop();
    }
    this.drag = null;
  }

  hover(event) {
    if (!this.document || this.box || this.drag) return;
    const rect = this.overlay.getBoundingClientRect();
    const place = { x: event.clientX - rect.left, y: event.clientY - rect.top };
    this.osd.element.style.cursor = this.nearest(place, HIT.mouse) ? "grab" : "";
    this.events.hover(...this.toPhoto(place));
  }

  nearest(place, reach) {
    if (!this.show.points) return null;
    const frame = this.frame;
    let best = null;
    let least = reach;
    this.document.faces.forEach((face, f) => {
      face.landmarks.forEach((point, i) => {
        const [x, y] = this.toScreen(point, frame);
        // of two at one place the chosen face's is meant
        const distance = Math.hypot(x - place.x, y - place.y) + (f === this.document.face ? 0 : 0.5);
        if (distance < least) {
          least = distance;
          best = { face: f, landmark: i };
        }
      });
    });
    return best;
  }

  draw() {
    const { overlay } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [overlay.clientWidth, overlay.clientHeight];
    if (overlay.width !== Math.round(width * ratio) || overlay.height !== Math.round(height * ratio)) {
      overlay.width = Math.round(width * ratio);
      overlay.height = Math.round(height * ratio);
    }
    const pen = overlay.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!this.document || !this.osd.world.getItemCount()) return;
    const frame = this.frame;
    // where the photo lies on the screen, for scripts that use the page
    overlay.dataset.frame = `${frame.x} ${frame.y} ${frame.scale}`;
    this.events.zoom(frame.scale * ratio);
    this.osd.drawer.setImageSmoothingEnabled(frame.scale * ratio < SQUARES);
    this.document.faces.forEach((face, f) => {
      if (f !== this.document.face) this.drawFace(pen, face, frame, false);
    });
    if (this.document.current) this.drawFace(pen, this.document.current, frame, true);
    if (this.box?.from) this.drawBox(pen);
  }

  drawFace(pen, face, frame, chosen) {
    const points = face.landmarks.map((p) => this.toScreen(p, frame));
    const [low, high] = extent(points);
    if (high[0] < -50 || high[1] < -50 || low[0] > this.overlay.clientWidth + 50 || low[1] > this.overlay.clientHeight + 50)
      return;
    const colour = chosen ? COLOUR.point : COLOUR.other;
    if (this.show.lines) {
      pen.lineJoin = "round";
      for (const [style, thick] of [["rgba(0, 0, 0, 0.35)", 3], [colour, 1.1]]) {
        pen.strokeStyle = style;
        pen.lineWidth = thick;
        pen.globalAlpha = chosen ? 0.75 : 0.5;
        for (const contour of this.document.photo.scheme.contours) {
          pen.beginPath();
          contour.landmarks.forEach((i) => pen.lineTo(...points[i]));
          if (contour.closed) pen.closePath();
          pen.stroke();
        }
      }
      pen.globalAlpha = 1;
    }
    if (!this.show.points) return;
    // dots of a face that is small on the screen must not cover it
    const size = Math.max(high[0] - low[0], high[1] - low[1]);
    const radius = Math.min(3.6, Math.max(1.2, size / 130));
    points.forEach(([x, y], i) => {
      const mine = chosen && i === this.document.landmark;
      const own = face.moved.has(i) ? COLOUR.moved : colour;
      if (face.invisible.has(i)) cross(pen, x, y, radius + 1.4, own);
      else if (!mine) dot(pen, x, y, radius, own);
      if (mine) this.drawChosen(pen, face, i, [x, y], frame);
      if (chosen && this.show.names && !mine) label(pen, x + 6, y - 5, String(i), 10);
    });
  }

  drawChosen(pen, face, index, [x, y], frame) {
    const deviation = this.document.deviation(face, index);
    if (deviation !== null && deviation * frame.scale > 12) ring(pen, x, y, deviation * frame.scale, COLOUR.point, [4, 4]);
    ring(pen, x, y, 9, COLOUR.chosen, []);
    for (const [thick, style] of [[3, RIM], [1.2, COLOUR.chosen]]) {
      pen.strokeStyle = style;
      pen.lineWidth = thick;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        pen.moveTo(x + 5 * dx, y + 5 * dy);
        pen.lineTo(x + 13 * dx, y + 13 * dy);
      }
      pen.stroke();
    }
    if (!face.invisible.has(index)) dot(pen, x, y, 1.3, face.moved.has(index) ? COLOUR.moved : COLOUR.chosen);
    if (this.show.names) label(pen, x + 15, y - 12, this.document.photo.scheme.landmarks[index], 12);
  }

  drawBox(pen) {
    const { from, to } = this.box;
    for (const [style, thick] of [[RIM, 3], [COLOUR.chosen, 1.2]]) {
      pen.strokeStyle = style;
      pen.lineWidth = thick;
      pen.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    }
  }
}

function dot(pen, x, y, radius, colour) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.lineWidth = 1.6;
  pen.strokeStyle = RIM;
  pen.stroke();
  pen.fillStyle = colour;
  pen.fill();
}

function cross(pen, x, y, reach, colour) {
  for (const [style, thick] of [[RIM, 3.4], [colour, 1.5]]) {
    pen.strokeStyle = style;
    pen.lineWidth = thick;
    pen.beginPath();
    pen.moveTo(x - reach, y - reach);
    pen.lineTo(x + reach, y + reach);
    pen.moveTo(x - reach, y + reach);
    pen.lineTo(x + reach, y - reach);
    pen.stroke();
  }
}

function ring(pen, x, y, radius, colour, dash) {
  for (const [style, thick] of [[RIM, 3], [colour, 1.3]]) {
    pen.strokeStyle = style;
    pen.lineWidth = thick;
    pen.setLineDash(dash);
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function label(pen, x, y, text, size) {
  pen.font = `${size}px system-ui, sans-serif`;
  pen.lineJoin = "round";
  pen.lineWidth = 3;
  pen.strokeStyle = RIM;
  pen.strokeText(text, x, y);
  pen.fillStyle = COLOUR.chosen;
  pen.fillText(text, x, y);
}
