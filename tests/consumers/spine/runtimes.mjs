// Runs in the page: one function per runtime, which loads the skeleton, poses it, draws it, and gives what it made of the
// slots together with the canvas's pixels. The root bone is moved by [30, -7] for `moved`, y up.

const MOVE = [30, -7];

const fetched = async (name) => (await fetch(`/case/${name}`)).text();

function script(source) {
  return new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement('script'), { src: source, onload: done, onerror: failed }));
  });
}

async function image(source) {
  const element = Object.assign(new Image(), { src: source });
  await element.decode();
  return element;
}

function base64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

// An image's own pixels, not premultiplied.
export async function pixels(source) {
  const picture = await image(source);
  const { width, height } = picture;
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
  context.drawImage(picture, 0, 0);
  return { width, height, data: base64(new Uint8Array(context.getImageData(0, 0, width, height).data.buffer)) };
}

// The canvas's pixels as they are, premultiplied, top row first; and as PNG for eyes.
function read(gl, canvas, [width, height]) {
  const upward = new Uint8Array(width * height * 4);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, upward);
  const rows = new Uint8Array(upward.length);
  for (let y = 0; y < height; y++) {
    rows.set(upward.subarray(y * width * 4, (y + 1) * width * 4), (height - 1 - y) * width * 4);
  }
  return { pixels: base64(rows), png: canvas.toDataURL('image/png') };
}

function canvasOf([width, height]) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  document.body.append(canvas);
  return canvas;
}

export async function spine42(test) {
  await script('/node_modules/@esotericsoftware/spine-webgl/dist/iife/spine-webgl.js');
  const { spine } = globalThis;
  const canvas = canvasOf(test.canvas);
  const context = new spine.ManagedWebGLRenderingContext(canvas, { alpha: true, preserveDrawingBuffer: true, antialias: false });
  const { gl } = context;
  const atlas = new spine.TextureAtlas(await fetched(test.atlases[0]));
  for (const page of atlas.pages) {
    page.setTexture(new spine.GLTexture(context, await image(`/case/${page.name}`), page.pma));
  }
  const reader = new spine.SkeletonJson(new spine.AtlasAttachmentLoader(atlas));
  const skeleton = new spine.Skeleton(reader.readSkeletonData(await fetched(test.skeleton)));
  const pose = () => {
    skeleton.updateWorldTransform(spine.Physics.none);
    return skeleton.drawOrder.map((slot) => {
      const mesh = slot.getAttachment();
      const world = new Float32Array(mesh.worldVerticesLength);
      mesh.computeWorldVertices(slot, 0, world.length, world, 0, 2);
      return Array.from(world);
    });
  };
  skeleton.getRootBone().x += MOVE[0];
  skeleton.getRootBone().y += MOVE[1];
  const moved = pose();
  skeleton.setToSetupPose();
  const world = pose();
  const { x, y, width, height } = skeleton.data;
  const projection = new spine.Matrix4();
  projection.ortho2d(x, y, width, height);
  gl.viewport(0, 0, width, height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  const shader = spine.Shader.newTwoColoredTextured(context);
  const batcher = new spine.PolygonBatcher(context);
  const renderer = new spine.SkeletonRenderer(context);
  renderer.premultipliedAlpha = false;
  shader.bind();
  shader.setUniformi(spine.Shader.SAMPLER, 0);
  shader.setUniform4x4f(spine.Shader.MVP_MATRIX, projection.values);
  batcher.begin(shader);
  renderer.draw(batcher, skeleton);
  batcher.end();
  shader.unbind();
  const slots = skeleton.drawOrder.map((slot, i) => {
    const mesh = slot.getAttachment();
    return {
      name: slot.data.name, world: world[i], moved: moved[i], triangles: Array.from(mesh.triangles),
      hull: mesh.hullLength / 2, opacity: slot.color.a,
    };
  });
  return { slots, ...read(gl, canvas, test.canvas) };
}

export async function spine38(test) {
  await script('/node_modules/pixi7/dist/pixi.min.js');
  await script('/node_modules/@pixi-spine/base/dist/base.js');
  await script('/node_modules/@pixi-spine/runtime-3.8/dist/runtime-3.8.js');
  const { PIXI } = globalThis;
  const [width, height] = test.canvas;
  const app = new PIXI.Application({ view: canvasOf(test.canvas), width, height, backgroundAlpha: 0, antialias: false,
    preserveDrawingBuffer: true, autoStart: false, sharedTicker: false });
  const pictures = {};
  const atlasText = await fetched(test.atlases[0]);
  for (const line of atlasText.split('\n').filter((line) => line.endsWith('.png') || line.endsWith('.webp'))) {
    pictures[line] = await image(`/case/${line}`);
  }
  const atlas = await new Promise((done) => {
    new PIXI.spine.TextureAtlas(atlasText, (name, give) => give(PIXI.BaseTexture.from(pictures[name])), done);
  });
  const reader = new PIXI.spine38.SkeletonJson(new PIXI.spine38.AtlasAttachmentLoader(atlas));
  const figure = new PIXI.spine38.Spine(reader.readSkeletonData(await fetched(test.skeleton)));
  figure.autoUpdate = false;
  const { skeleton } = figure;
  // The screen's y points down and pixi-spine turns the bones about, so y is turned back here.
  const pose = () => {
    skeleton.updateWorldTransform();
    return skeleton.drawOrder.map((slot) => {
      const mesh = slot.getAttachment();
      const world = new Float32Array(mesh.worldVerticesLength);
      mesh.computeWorldVerticesOld(slot, world);
      return Array.from(world, (c, i) => (i % 2 ? -c : c));
    });
  };
  skeleton.getRootBone().x += MOVE[0];
  skeleton.getRootBone().y += MOVE[1];
  const moved = pose();
  skeleton.setToSetupPose();
  const world = pose();
  const slots = skeleton.drawOrder.map((slot, i) => {
    const mesh = slot.getAttachment();
    const { orig } = mesh.region.texture;
    // On the image: where that lies on the page is left to the drawing.
    const uvs = Array.from(mesh.regionUVs, (uv, c) => uv * [orig.width, orig.height][c % 2]);
    return {
      name: slot.data.name, world: world[i], moved: moved[i], triangles: Array.from(mesh.triangles), pixels: uvs,
      hull: mesh.hullLength / 2, opacity: slot.color.a,
    };
  });
  figure.x = width / 2;
  figure.y = height;
  figure.update(0);
  app.stage.addChild(figure);
  app.renderer.render(app.stage);
  return { slots, ...read(app.renderer.gl, app.view, test.canvas) };
}

export async function dragonbones(test) {
  document.head.append(Object.assign(document.createElement('script'), { type: 'importmap', textContent: JSON.stringify({
    imports: {
      'pixi.js': '/node_modules/pixi.js/dist/pixi.min.mjs',
      'pixi-dragonbones-runtime': '/node_modules/pixi-dragonbones-runtime/lib/index.mjs',
    },
  }) }));
  const PIXI = await import('pixi.js');
  const { PixiFactory } = await import('pixi-dragonbones-runtime');
  const [width, height] = test.canvas;
  const app = new PIXI.Application();
  await app.init({ canvas: canvasOf(test.canvas), width, height, backgroundAlpha: 0, antialias: false, preference: 'webgl',
    preserveDrawingBuffer: true, autoStart: false, sharedTicker: false });
  const factory = PixiFactory.newInstance(false);
  const data = factory.parseDragonBonesData(JSON.parse(await fetched(test.skeleton)));
  for (const name of test.atlases) {
    const textures = JSON.parse(await fetched(name));
    const page = PIXI.Texture.from(await image(`/case/${textures.imagePath}`));
    factory.parseTextureAtlasData(textures, page);
  }
  const display = factory.buildArmatureDisplay(data.armatureNames[0]);
  const { armature } = display;
  const pose = () => {
    armature.invalidUpdate(null, true);
    armature.advanceTime(0);
    // As they are drawn: through the slot's own transform. The screen's y points down.
    return armature.getSlots().map((slot) => {
      const { a, b, c, d, tx, ty } = slot.globalTransformMatrix;
      const all = slot._renderDisplay.vertices;
      return Array.from(all, (_, i) => {
        const [x, y] = [all[i - (i % 2)], all[i - (i % 2) + 1]];
        return i % 2 ? -(b * x + d * y + ty) : a * x + c * y + tx;
      });
    });
  };
  const root = armature.getBone('root');
  root.offset.x += MOVE[0];
  root.offset.y -= MOVE[1];
  const moved = pose();
  root.offset.x -= MOVE[0];
  root.offset.y += MOVE[1];
  const world = pose();
  const slots = armature.getSlots().map((slot, i) => ({
    name: slot.name, world: world[i], moved: moved[i], triangles: Array.from(slot._renderDisplay.geometry.indices),
    opacity: slot._renderDisplay.alpha,
  }));
  display.x = width / 2;
  display.y = height;
  app.stage.addChild(display);
  app.renderer.render(app.stage);
  return { slots, ...read(app.renderer.gl, app.canvas, test.canvas) };
}
