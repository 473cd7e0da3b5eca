// What the page asks of its server. Every answer is JSON; errors carry a line for the person.

export class ApiError extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

async function call(method, path, data) {
  const options = { method, credentials: "same-origin" };
  if (data !== undefined) {
    options.body = JSON.stringify(data);
    options.headers = { "content-type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError("hrlm does not answer: is it still running in its terminal?", 0, null);
  }
  const text = await answer.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // refused before anything was asked: plain text
  }
  if (!answer.ok) throw new ApiError(body?.error ?? text ?? `error ${answer.status}`, answer.status, body);
  return body;
}

const at = (id) => `/api/photos/${encodeURIComponent(id)}`;

export const listPhotos = () => call("GET", "/api/photos").then((body) => body.photos);
export const getPhoto = (id) => call("GET", at(id));
export const saveCorrection = (id, data) => call("PUT", `${at(id)}/correction`, data);
export const fitRest = (id, data) => call("POST", `${at(id)}/fit`, data);
export const newFace = (id, box) => call("POST", `${at(id)}/faces`, { box });
export const tileUrl = (photo, level, x, y) => `${at(photo.id)}/tiles/${level}/${x}/${y}?v=${photo.version}`;
