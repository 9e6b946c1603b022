// `node load.mjs CASES.json`: loads each skeleton of Spine 4.2 with the official runtime, poses it, moves its root bone,
// and compares vertices, texture coordinates, triangles, hull, opacity and blend mode with the meshes.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as spine from '@esotericsoftware/spine-core';
import { differences, slots } from './expected.mjs';

const file = path.resolve(process.argv[2]);
const folder = path.dirname(file);
const text = (name) => readFileSync(path.join(folder, name), 'utf8');
let failed = 0;
for (const test of JSON.parse(text(path.basename(file))).filter((test) => test.runtime === 'spine42')) {
  test.parts.forEach((part) => { part.mesh = JSON.parse(text(part.mesh)); });
  const atlas = new spine.TextureAtlas(text(test.atlases[0]));
  class Page extends spine.Texture { setFilters() {} setWraps() {} dispose() {} }
  atlas.pages.forEach((page) => page.setTexture(new Page({ width: page.width, height: page.height })));
  const reader = new spine.SkeletonJson(new spine.AtlasAttachmentLoader(atlas));
  const skeleton = new spine.Skeleton(reader.readSkeletonData(text(test.skeleton)));
  const pose = () => {
    skeleton.updateWorldTransform(spine.Physics.none);
    return skeleton.drawOrder.map((slot) => {
      const mesh = slot.getAttachment();
      const world = new Float32Array(mesh.worldVerticesLength);
      mesh.computeWorldVertices(slot, 0, world.length, world, 0, 2);
      return Array.from(world);
    });
  };
  skeleton.setToSetupPose();
  const world = pose();
  skeleton.getRootBone().x += 30;
  skeleton.getRootBone().y -= 7;
  const moved = pose();
  const found = skeleton.drawOrder.map((slot, index) => {
    const mesh = slot.getAttachment();
    const { page, x, y, offsetX, offsetY, height, originalHeight } = mesh.region;
    const from = [x - offsetX, y - (originalHeight - offsetY - height)];
    const pixels = Array.from(mesh.uvs, (uv, i) => uv * [page.width, page.height][i % 2] - from[i % 2]);
    return {
      name: slot.data.name, world: world[index], moved: moved[index], pixels, triangles: mesh.triangles,
      hull: mesh.hullLength / 2, opacity: slot.color.a,
      blend: ['normal', 'additive', 'multiply', 'screen'][slot.data.blendMode],
    };
  });
  const faults = differences(found, slots(test), 0.002);
  const edges = skeleton.drawOrder.filter((slot) => slot.getAttachment().edges.some((end) => end % 2));
  if (edges.length) faults.push('edges are not doubled');
  const vertices = found.reduce((sum, slot) => sum + slot.world.length / 2, 0);
  console.log(`${test.name}: ${found.length} slots, ${vertices} vertices: ${faults.join('; ') || 'equal'}`);
  failed += faults.length;
}
process.exit(failed ? 1 : 0);
