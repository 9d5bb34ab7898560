// The little of Node that the unit tests use; its own types would be a package more.
declare module "node:test" {
  export default function test(name: string, body: () => void | Promise<void>): void;
}
declare module "node:crypto" {
  export const webcrypto: Crypto;
}
declare module "node:assert/strict" {
  const assert: {
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    ok(value: unknown, message?: string): void;
    match(text: string, pattern: RegExp): void;
    throws(body: () => unknown, expected: RegExp): void;
    rejects(body: Promise<unknown>, expected: RegExp): Promise<void>;
  };
  export default assert;
}
