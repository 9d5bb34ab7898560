// LiteRT's wasm runs int8 tensors, but its JavaScript has no entry for them in its table of types
// and refuses such models. This plugin adds the entry while bundling. It fails the build when the
// table is not what it was in the pinned version.
import { readFileSync } from "node:fs";

const TABLE = "var DATATYPES = Object.freeze([\n";
const ENTRY = `  { dtype: "int8", typedArrayConstructor: Int8Array, elementType: ElementType.INT8 },\n`;

export const int8Tensors = {
  name: "int8-tensors",
  setup(build) {
    build.onLoad({ filter: /@litertjs[/\\]core[/\\]dist[/\\]index\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (source.split(TABLE).length !== 2) {
        throw new Error(`${path}: the table of tensor types was not found; adapt int8_tensors.mjs`);
      }
      return { contents: source.replace(TABLE, TABLE + ENTRY), loader: "js" };
    });
  },
};
