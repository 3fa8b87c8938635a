// What tells a file from others, so that the same file chosen again finds its
// unfinished upload: name, size, modification time and a hash of both ends.

const END_BYTES = 64 * 1024;

/** A short text that is equal for the same file. `file` is a File. */
export async function fingerprint(file) {
  const ends = new Blob([file.slice(0, END_BYTES), file.slice(-END_BYTES)]);
  const hash = await digest(await ends.arrayBuffer());
  return `${file.name.slice(0, 120)}|${file.size}|${file.lastModified}|${hash}`;
}

async function digest(buffer) {
  // crypto.subtle is missing on plain http to another host than localhost.
  if (!globalThis.crypto?.subtle) return fnv1a(new Uint8Array(buffer));
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(bytes.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fnv1a(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
