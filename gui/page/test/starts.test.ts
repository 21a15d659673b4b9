import "./browser.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { whatBecame } from "../src/jobs.ts";
import { component, operation } from "../src/wire.ts";

test("a start's worker is there as long as its instance is", () => {
  const op = operation({ operation_id: "1", status: "succeeded", worker_id: "w", worker: { instance_id: "a" } });
  const worker = (instance_id?: string) => component({ key: "worker/w", instance_id });
  assert.ok(op);
  assert.equal(whatBecame(op, worker("a"), false, 1e9), "there");
  assert.equal(whatBecame(op, worker(), true, 1e9), "there"); // nobody says which it is
  assert.equal(whatBecame(op, worker("b"), false, 0), "other");
  assert.equal(whatBecame(op, undefined, true, 0), "gone");
  assert.equal(whatBecame(op, undefined, false, 5_000), "there"); // about to register
  assert.equal(whatBecame(op, undefined, false, 60_000), "gone");
});
