// Validates the files that are named and prints one line of JSON for each: the file, how many issues of each severity,
// and the issues themselves. Its exit status says only whether it ran.
"use strict";

const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

async function main() {
  for (const file of process.argv.slice(2)) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), { format: "glb" });
    const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
    const facts = { vertices: report.info.totalVertexCount, triangles: report.info.totalTriangleCount };
    const image = (report.info.resources || []).map((resource) => resource.image).find(Boolean) || null;
    const counts = { errors: numErrors, warnings: numWarnings, infos: numInfos, hints: numHints };
    console.log(JSON.stringify({ file: path.basename(file), ...counts, ...facts, image, messages }));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
