// Builds the static page into dist/: bundles, the runtime's wasm files, the exported models.
//
//   node build.mjs [MODELS_FOLDER]     (../build/models by default, made by ../build_models.py)
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { int8Tensors } from "./int8_tensors.mjs";
import { POLICY } from "./policy.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "dist");
const MODELS = resolve(process.argv[2] ?? join(HERE, "../build/models"));
const RUNTIME = join(HERE, "node_modules/@litertjs/core/wasm");
// Safari 16.4 and Chrome 94 are the first with what the page needs of SIMD and classes.
const COMMON = { bundle: true, minify: true, target: ["chrome94", "firefox100", "safari16.4"] };

if (!existsSync(join(MODELS, "index.json"))) {
  console.error(`build.mjs: no models in ${MODELS}; run "make web", which exports them first`);
  process.exit(1);
}
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
cpSync(join(HERE, "public"), OUT, { recursive: true });
cpSync(MODELS, join(OUT, "models"), { recursive: true });
cpSync(RUNTIME, join(OUT, "litert"), { recursive: true });
const page = readFileSync(join(OUT, "index.html"), "utf8");
writeFileSync(join(OUT, "index.html"), page.replace("@@POLICY@@", POLICY));

await build({
  ...COMMON,
  entryPoints: [join(HERE, "src/page/main.ts")],
  outfile: join(OUT, "page.js"),
  define: { LITERT_VERSION: JSON.stringify(packageVersion("@litertjs/core")) },
  format: "esm",
});
await build({
  ...COMMON,
  entryPoints: [join(HERE, "src/worker/main.ts")],
  outfile: join(OUT, "worker.js"),
  format: "iife", // the runtime loads its script by importScripts, which module workers lack
  plugins: [int8Tensors],
});

// Everything but the runtime's builds, of which a browser needs one; the service worker knows which.
const files = list(OUT).filter((file) => !file.startsWith("litert/"));
await build({
  ...COMMON,
  entryPoints: [join(HERE, "src/service_worker.ts")],
  outfile: join(OUT, "service_worker.js"),
  define: {
    FILES: JSON.stringify(files),
    VERSION: JSON.stringify(digest(list(OUT))),
    POLICY: JSON.stringify(POLICY),
  },
  format: "iife",
});
console.log(`built ${relative(process.cwd(), OUT) || "."}: ${list(OUT).length} files`);

function list(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

function digest(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(OUT, file)));
  return hash.digest("hex").slice(0, 12);
}

function packageVersion(name) {
  return JSON.parse(readFileSync(join(HERE, "node_modules", name, "package.json"), "utf8")).version;
}
