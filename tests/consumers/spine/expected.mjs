// What a skeleton must give, worked out from the meshes alone: slots in the skeleton's space (y up, origin in the middle
// of the canvas's bottom edge) and the picture that they draw.

// The slots of all parts, in draw order. A mesh of several components is a slot each.
export function slots({ canvas: [width, height], parts }) {
  return parts.flatMap(({ name, mesh, offset: [left, top], opacity = 1, blend = 'normal' }) =>
    mesh.components.map((component, index) => {
      const from = component.first_vertex;
      const vertices = mesh.vertices.slice(from, from + component.vertex_count);
      const triangles = mesh.triangles.slice(
        component.first_triangle,
        component.first_triangle + component.triangle_count,
      );
      return {
        name: mesh.components.length > 1 ? `${name}-${index + 1}` : name,
        world: vertices.flatMap(([x, y]) => [left + x - width / 2, height - top - y]),
        pixels: vertices.flat(),
        triangles: triangles.flat().map((vertex) => vertex - from),
        hull: component.hull_length,
        opacity,
        blend,
      };
    }),
  );
}

// Compares what a runtime made of the file, and says each difference in a sentence.
export function differences(found, expected, tolerance) {
  const faults = [];
  const same = (what, a, b, by) => {
    const apart = a.length === b.length && a.findIndex((value, i) => !(Math.abs(value - b[i]) <= by));
    if (apart !== -1) faults.push(`${what} differ: ${a.length} and ${b.length} values, first at ${apart}`);
  };
  const names = (list) => list.map((slot) => slot.name).join(' ');
  if (names(found) !== names(expected)) return [`slots are ${names(found)}, not ${names(expected)}`];
  found.forEach((slot, index) => {
    const wanted = expected[index];
    same(`${slot.name}: world vertices`, slot.world, wanted.world, tolerance);
    same(`${slot.name}: moved vertices`, slot.moved, wanted.world.map((c, i) => c + [30, -7][i % 2]), tolerance);
    same(`${slot.name}: triangles`, slot.triangles, wanted.triangles, 0);
    // In pixels of the image, from the runtime's coordinates on the page and its own reading of the region.
    if (slot.pixels) same(`${slot.name}: texture coordinates`, slot.pixels, wanted.pixels, tolerance);
    if (slot.hull !== undefined && slot.hull !== wanted.hull) faults.push(`${slot.name}: hull is ${slot.hull}`);
    if (slot.blend && slot.blend !== wanted.blend) faults.push(`${slot.name}: blend is ${slot.blend}`);
    if (Math.abs(slot.opacity - wanted.opacity) > 0.003) faults.push(`${slot.name}: opacity is ${slot.opacity}`);
  });
  return faults;
}

// The picture: every image, as far as its mesh covers it, over those before it. Premultiplied, like what is read back
// from a canvas. `sure` is 0 where a pixel's middle is so near to a mesh's edge that either answer is right.
export function picture({ canvas: [width, height], parts }, images) {
  const pixels = new Float64Array(width * height * 4);
  const sure = new Uint8Array(width * height).fill(1);
  const covered = new Uint8Array(width * height);
  parts.forEach(({ mesh, offset, opacity = 1 }, index) => {
    const image = images[index];
    const inside = new Uint8Array(width * height);
    for (const triangle of mesh.triangles) {
      const corners = triangle.map((vertex) => mesh.vertices[vertex].map((c, axis) => c + offset[axis]));
      within(corners, [width, height], (at) => { inside[at] = 1; });
    }
    for (const edge of mesh.boundary_edges.flatMap((_, i, all) => (i % 2 ? [] : [[all[i], all[i + 1]]]))) {
      const ends = edge.map((vertex) => mesh.vertices[vertex].map((c, axis) => c + offset[axis]));
      near(ends, [width, height], (at) => { sure[at] = 0; });
    }
    for (let y = 0; y < image.height; y++) {
      for (let x = 0; x < image.width; x++) {
        const [column, row] = [x + offset[0], y + offset[1]];
        const at = row * width + column;
        if (column < 0 || row < 0 || column >= width || row >= height || !inside[at]) continue;
        covered[at] = 1;
        const from = (y * image.width + x) * 4;
        const alpha = (image.data[from + 3] / 255) * opacity;
        for (let c = 0; c < 4; c++) {
          const ink = c < 3 ? image.data[from + c] * alpha : 255 * alpha;
          pixels[at * 4 + c] = ink + pixels[at * 4 + c] * (1 - alpha);
        }
      }
    }
  });
  return { pixels, sure, covered };
}

function within([a, b, c], [width, height], hit) {
  const side = (p, q, x, y) => (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]);
  const turn = Math.sign(side(a, b, ...c));
  const [left, top] = [0, 1].map((axis) => Math.max(0, Math.floor(Math.min(a[axis], b[axis], c[axis]))));
  const right = Math.min(width, Math.ceil(Math.max(a[0], b[0], c[0])));
  const bottom = Math.min(height, Math.ceil(Math.max(a[1], b[1], c[1])));
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const sides = [[a, b], [b, c], [c, a]].map(([p, q]) => turn * side(p, q, x + 0.5, y + 0.5));
      if (sides.every((s) => s >= 0)) hit(y * width + x);
    }
  }
}

// Pixels whose middle is within a twentieth of a pixel of the edge.
function near([a, b], [width, height], hit) {
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const steps = Math.ceil(length * 4) + 1;
  for (let step = 0; step <= steps; step++) {
    const [px, py] = [0, 1].map((axis) => a[axis] + ((b[axis] - a[axis]) * step) / steps);
    for (const x of [Math.floor(px) - 1, Math.floor(px), Math.floor(px) + 1]) {
      for (const y of [Math.floor(py) - 1, Math.floor(py), Math.floor(py) + 1]) {
        if (x < 0 || y < 0 || x >= width || y >= height) continue;
        const t = length && ((x + 0.5 - a[0]) * (b[0] - a[0]) + (y + 0.5 - a[1]) * (b[1] - a[1])) / length ** 2;
        const on = Math.max(0, Math.min(1, t));
        const away = Math.hypot(x + 0.5 - a[0] - on * (b[0] - a[0]), y + 0.5 - a[1] - on * (b[1] - a[1]));
        if (away < 0.05) hit(y * width + x);
      }
    }
  }
}
