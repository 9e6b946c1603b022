// `node names.mjs ATLAS SKELETON`: what the official runtime of Spine 4.2 reads as names of pages, regions and slots, as
// JSON. It ends with an error where a mesh finds no region.

import { readFileSync } from 'node:fs';
import * as spine from '@esotericsoftware/spine-core';

const [atlasFile, skeletonFile] = process.argv.slice(2);
const atlas = new spine.TextureAtlas(readFileSync(atlasFile, 'utf8'));
class Page extends spine.Texture { setFilters() {} setWraps() {} dispose() {} }
atlas.pages.forEach((page) => page.setTexture(new Page({ width: page.width, height: page.height })));
const reader = new spine.SkeletonJson(new spine.AtlasAttachmentLoader(atlas));
const skeleton = reader.readSkeletonData(readFileSync(skeletonFile, 'utf8'));
console.log(JSON.stringify({
  pages: atlas.pages.map((page) => page.name),
  regions: atlas.regions.map((region) => region.name),
  slots: skeleton.slots.map((slot) => slot.name),
}));
