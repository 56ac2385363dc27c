// Arrays as the server sends them: safetensors, {name: {shape, data}} with data in float32.
export function parse(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const arrays = {};
  for (const [name, {shape, data_offsets}] of Object.entries(head)) {
    if (name === "__metadata__") continue;
    const [from, to] = data_offsets;
    const bytes = buffer.slice(8 + size + from, 8 + size + to); // a copy, because of the alignment
    arrays[name] = {shape, data: new Float32Array(bytes)};
  }
  return {arrays, error: head.__metadata__?.error ?? ""};
}

export async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return parse(await new Response(stream).arrayBuffer()).arrays;
}

export const largest = data => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
