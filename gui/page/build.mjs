// Builds the page into ../dist, which is committed and embedded by Go, so that building
// the program needs no Node. With --check nothing is written: it fails when what is there
// is not, byte for byte, what these sources come to.
//
// The server has index.html at / and the files with a hash in their name at /assets/.
//
// dist/sources.sha256 lets a test tell without Node that dist was built from these
// sources. Its recipe, for whoever computes it elsewhere:
//
//   the files are package.json, package-lock.json, tsconfig.json, build.mjs, and every
//   file below src/, at any depth;
//   their paths are relative to gui/page, with slashes, sorted by their bytes;
//   the hash is SHA-256 over, for each file in this order,
//     path, one zero byte, content, one zero byte;
//   the file holds it in lower case hexadecimal digits, and a line feed.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = new URL("./", import.meta.url);
const dist = new URL("../dist/", import.meta.url);

async function sources() {
  const below = await readdir(new URL("src/", here), { recursive: true, withFileTypes: true });
  const root = fileURLToPath(here);
  const files = below
    .filter((f) => f.isFile())
    .map((f) => `${f.parentPath ?? f.path}/${f.name}`.slice(root.length).replaceAll("\\", "/").replaceAll("//", "/"));
  files.push("package.json", "package-lock.json", "tsconfig.json", "build.mjs");
  return files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function hashOfSources() {
  const hash = createHash("sha256");
  for (const path of await sources()) {
    hash.update(path).update("\0").update(await readFile(new URL(path, here))).update("\0");
  }
  return hash.digest("hex") + "\n";
}

// The licences of what is in the bundle ask to be told along with it.
async function licences() {
  let text = "What others wrote of this page, and under which licence.\n";
  for (const name of ["preact", "@preact/signals", "@preact/signals-core"]) {
    const licence = await readFile(new URL(`node_modules/${name}/LICENSE`, here), "utf8");
    text += `\n${name}\n\n${licence.trim()}\n`;
  }
  return text;
}

async function build() {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: fileURLToPath(here),
    entryPoints: { app: "src/main.tsx" },
    outdir: "out",
    entryNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["es2022", "chrome123", "firefox120", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "warning",
  });
  const built = new Map();
  for (const f of outputFiles) built.set(f.path.replaceAll("\\", "/").split("/").pop(), Buffer.from(f.contents));
  const named = (end) => [...built.keys()].find((n) => n.endsWith(end));
  const html = (await readFile(new URL("src/index.html", here), "utf8"))
    .replace("app.js", named(".js"))
    .replace("app.css", named(".css"));
  built.set("index.html", Buffer.from(html));
  built.set("licences.txt", Buffer.from(await licences()));
  built.set("sources.sha256", Buffer.from(await hashOfSources()));
  return built;
}

async function check(built) {
  const there = await readdir(dist).catch(() => []);
  const wrong = there.filter((n) => !built.has(n));
  for (const [name, content] of built) {
    const old = await readFile(new URL(name, dist)).catch(() => undefined);
    if (!old?.equals(content)) wrong.push(name);
  }
  if (wrong.length === 0) return;
  console.error(`gui/dist is stale (${wrong.join(", ")}): run "npm ci && npm run build" in gui/page, and commit gui/dist`);
  process.exitCode = 1;
}

const built = await build();
if (process.argv.includes("--check")) {
  await check(built);
} else {
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  let sum = 0;
  for (const [name, content] of [...built].sort()) {
    await writeFile(new URL(name, dist), content);
    const small = gzipSync(content, { level: 9 }).length;
    if (/\.(js|css|html)$/.test(name)) sum += small;
    console.log(`${name}\t${content.length} bytes, ${small} compressed`);
  }
  console.log(`the page: ${sum} bytes compressed`);
}
