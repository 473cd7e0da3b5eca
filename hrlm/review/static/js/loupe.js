// A look at native pixels around a place, eight screen pixels for one of the photo's.

import { tileUrl } from "./api.js";

const TIMES = 8;
const KEPT = 24;

export class Loupe {
  constructor(canvas) {
    this.canvas = canvas;
    this.tiles = new Map();
    this.photo = null;
    this.place = null;
  }

  open(photo) {
    this.photo = photo;
    this.tiles.clear();
    this.look(null);
  }

  // Look at photo pixels [x, y]; null for nowhere.
  look(place) {
    this.place = place;
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const side = canvas.clientWidth;
    if (canvas.width !== Math.round(side * ratio)) canvas.width = canvas.height = Math.round(side * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, side, side);
    if (!this.photo || !place) return;
    pen.imageSmoothingEnabled = false;
    const { tile, width, height } = this.photo;
    const reach = side / TIMES / 2;
    // the photo pixel at the canvas's corner; pixel centres are integers
    const left = place[0] + 0.5 - reach;
    const top = place[1] + 0.5 - reach;
    const range = (from, to, size) => [
      Math.max(0, Math.floor(from / tile)),
      Math.min(Math.ceil(size / tile) - 1, Math.floor(to / tile)),
    ];
    const [x0, x1] = range(left, left + 2 * reach, width);
    const [y0, y1] = range(top, top + 2 * reach, height);
    for (let y = y0; y <= y1; y++)
      for (let x = x0; x <= x1; x++) {
        const image = this.tile(x, y);
        if (image.complete && image.naturalWidth)
          pen.drawImage(
            image,
            (x * tile - left) * TIMES,
            (y * tile - top) * TIMES,
            image.naturalWidth * TIMES,
            image.naturalHeight * TIMES,
          );
      }
    const middle = side / 2;
    for (const [style, thick] of [["rgba(0, 0, 0, 0.7)", 3], ["#ffffff", 1]]) {
      pen.strokeStyle = style;
      pen.lineWidth = thick;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        pen.moveTo(middle + 6 * dx, middle + 6 * dy);
        pen.lineTo(middle + 22 * dx, middle + 22 * dy);
      }
      pen.stroke();
    }
    pen.fillStyle = "#ffffff";
    pen.fillRect(middle - 0.75, middle - 0.75, 1.5, 1.5);
  }

  tile(x, y) {
    const url = tileUrl(this.photo, 0, x, y);
    let image = this.tiles.get(url);
    if (!image) {
      image = new Image();
      image.onload = () => this.look(this.place);
      image.src = url;
      this.tiles.set(url, image);
      if (this.tiles.size > KEPT) this.tiles.delete(this.tiles.keys().next().value);
    }
    return image;
  }
}
