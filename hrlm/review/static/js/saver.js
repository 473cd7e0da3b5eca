// Saves a document a moment after each change, one save at a time, and never over what it has not seen.

import { saveCorrection } from "./api.js";

const WAIT_MS = 700;
const RETRY_MS = 4000;

export class Saver {
  // events: status(text, bad), saved(document, answer), conflict() -> "mine" or "theirs"
  constructor(events) {
    this.events = events;
    this.document = null;
    this.timer = 0;
    this.running = null;
  }

  // What changes from now on is this document; the one before must have been flushed.
  watch(document) {
    clearTimeout(this.timer);
    this.document = document;
    this.events.status(document.revision ? "Saved" : "");
  }

  // Something changed.
  touch() {
    this.events.status("…");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), WAIT_MS);
  }

  get dirty() {
    return Boolean(this.document?.dirty || this.running);
  }

  // Save what is not; true once all of it is.
  async flush() {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    if (!this.document?.dirty) return true;
    this.running = this.save(this.document);
    try {
      return await this.running;
    } finally {
      this.running = null;
    }
  }

  async save(document) {
    for (;;) {
      const { version } = document;
      this.events.status("Saving …");
      try {
        const answer = await saveCorrection(document.photo.id, document.data());
        document.revision = answer.revision;
        document.savedVersion = version;
        this.events.saved(document, answer);
      } catch (error) {
        if (error.status === 409) {
          const { current } = error.body;
          if ((await this.events.conflict()) === "theirs") {
            document.take(current);
            this.events.saved(document, current);
            this.events.status("Saved");
            return true;
          }
          document.revision = current.revision;
          continue;
        }
        this.events.status(`Not saved: ${error.message}`, true);
        this.timer = setTimeout(() => this.flush(), RETRY_MS);
        return false;
      }
      if (!document.dirty) break;
    }
    this.events.status("Saved");
    return true;
  }
}
