// The list of photos, those first that deserve a look. Names are only ever set as text.

export class PhotoList {
  constructor(elements, open) {
    Object.assign(this, elements);
    this.photos = [];
    this.rows = new Map();
    this.currentId = null;
    this.open = open;
    this.search.addEventListener("input", () => this.sift());
    this.filter.addEventListener("change", () => this.sift());
  }

  fill(photos) {
    this.photos = photos;
    const most = Math.max(...photos.map((p) => p.concern), 1e-9);
    const rows = photos.map((photo) => {
      const row = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.title = photo.problem || photo.name;
      button.dataset.id = photo.id;
      button.classList.toggle("problem", Boolean(photo.problem));
      const name = part("span", "name", photo.name.split(/[\\/]/).pop());
      const faces = photo.faces === 1 ? "1 face" : `${photo.faces || "no"} faces`;
      const about = part("span", "about", photo.problem || [faces, ...photo.flags].join(" · "));
      const mark = part("span", "mark", "");
      button.append(name, about, mark);
      if (!photo.problem) {
        const bar = part("span", "concern", "");
        bar.title = "how much it deserves a look";
        const filled = document.createElement("i");
        filled.style.width = `${Math.round((100 * photo.concern) / most)}%`;
        bar.append(filled);
        button.append(bar);
      }
      button.addEventListener("click", () => this.open(photo.id));
      row.append(button);
      this.rows.set(photo.id, row);
      return row;
    });
    this.list.replaceChildren(...rows);
    photos.forEach((p) => this.mark(p));
    this.sift();
  }

  // Show what is known of a photo's state.
  update(id, state) {
    const photo = this.photos.find((p) => p.id === id);
    if (!photo) return;
    Object.assign(photo, state);
    this.mark(photo);
    this.count();
  }

  mark(photo) {
    const mark = this.rows.get(photo.id).querySelector(".mark");
    mark.className = `mark ${photo.checked ? "checked" : photo.corrected ? "corrected" : ""}`;
    mark.textContent = photo.checked ? "✓" : photo.corrected ? "✎" : "";
    mark.title = photo.checked ? "checked" : photo.corrected ? "corrected, not yet checked" : "";
    mark.setAttribute("aria-label", mark.title);
  }

  select(id) {
    this.rows.get(this.currentId)?.firstChild.removeAttribute("aria-current");
    this.currentId = id;
    const button = this.rows.get(id)?.firstChild;
    button?.setAttribute("aria-current", "true");
    button?.scrollIntoView({ block: "nearest" });
  }

  // The photo some places further in the list as it is shown; null at its end.
  neighbour(offset) {
    const shown = this.photos.filter((p) => !this.rows.get(p.id).hidden || p.id === this.currentId);
    const place = shown.findIndex((p) => p.id === this.currentId);
    return shown[place + offset]?.id ?? null;
  }

  sift() {
    const words = this.search.value.toLowerCase();
    const kind = {
      all: () => true,
      open: (p) => !p.checked && !p.problem,
      flagged: (p) => p.flags.length > 0 || p.problem || !p.faces,
      corrected: (p) => p.corrected,
      checked: (p) => p.checked,
    }[this.filter.value];
    for (const photo of this.photos)
      this.rows.get(photo.id).hidden = !(kind(photo) && photo.name.toLowerCase().includes(words));
    this.count();
  }

  count() {
    const done = this.photos.filter((p) => p.checked).length;
    this.progressText.textContent = `${done} of ${this.photos.length} checked`;
    this.progress.max = this.photos.length || 1;
    this.progress.value = done;
  }
}

function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
