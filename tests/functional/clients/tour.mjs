// A tour of the server with fhir-kit-client: node tour.mjs BASE_URL ACCESS_TOKEN
import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });

const statement = await client.capabilityStatement();
assert.equal(statement.fhirVersion, "4.0.1");

const created = await client.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", name: [{ family: "Tour", given: ["Kit"] }], birthDate: "1990-04-01" },
});
assert.match(created.id, /^[0-9a-f-]{36}$/);
const read = await client.read({ resourceType: "Patient", id: created.id });
assert.deepEqual(read, created);

const updated = await client.update({ resourceType: "Patient", id: created.id, body: { ...read, active: true } });
assert.equal(updated.meta.versionId, "2");
const first = await client.vread({ resourceType: "Patient", id: created.id, version: "1" });
assert.equal(first.active, undefined);

const patched = await client.patch({
  resourceType: "Patient",
  id: created.id,
  jsonPatch: [{ op: "replace", path: "/active", value: false }],
});
assert.equal(patched.active, false);

const found = await client.search({ resourceType: "Patient", searchParams: { family: "tour", _count: "5" } });
assert.ok(found.entry.some((entry) => entry.resource.id === created.id));
const posted = await client.search({
  resourceType: "Patient",
  searchParams: { given: "Kit" },
  options: { postSearch: true },
});
assert.ok(posted.entry.length >= 1);

let page = await client.search({ resourceType: "Observation", searchParams: { _count: "7", _total: "accurate" } });
const ids = new Set();
for (let pages = 0; page && pages < 1000; pages += 1) {
  for (const entry of page.entry ?? []) {
    assert.ok(!ids.has(entry.resource.id), "a page repeats a resource");
    ids.add(entry.resource.id);
  }
  if (ids.size > 60) break;
  page = await client.nextPage({ bundle: page });
}
assert.ok(ids.size > 20);

const transaction = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        fullUrl: "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        resource: { resourceType: "Organization", name: "Tour laboratory" },
        request: { method: "POST", url: "Organization" },
      },
      {
        resource: {
          resourceType: "Observation",
          status: "final",
          code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
          subject: { reference: `Patient/${created.id}` },
          performer: [{ reference: "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" }],
          valueQuantity: { value: 13.2, unit: "g/dL", system: "http://unitsofmeasure.org", code: "g/dL" },
        },
        request: { method: "POST", url: "Observation" },
      },
    ],
  },
});
assert.deepEqual(transaction.entry.map((entry) => entry.response.status.slice(0, 3)), ["201", "201"]);
const observations = await client.search({
  resourceType: "Observation",
  searchParams: { patient: created.id, code: "http://loinc.org|718-7" },
});
assert.match(observations.entry[0].resource.performer[0].reference, /^Organization\/[0-9a-f-]{36}$/);

// Compartments, several types, includes, pages in both directions, everything of a patient.
const ofPatient = await client.compartmentSearch({
  resourceType: "Observation",
  compartment: { resourceType: "Patient", id: created.id },
  searchParams: { "code:missing": "false" },
});
assert.equal(ofPatient.entry.length, 1);
const several = await client.systemSearch({ searchParams: { _type: "Organization,Patient", _lastUpdated: "gt2020" } });
assert.ok(several.entry.length > 1);
const chained = await client.search({
  resourceType: "Observation",
  searchParams: { "patient.family": "tour", _include: "Observation:performer", _sort: "-date" },
});
assert.deepEqual(chained.entry.map((entry) => entry.search.mode).sort(), ["include", "match"]);
const firstPage = await client.search({ resourceType: "Patient", searchParams: { _sort: "family,-birthdate", _count: "4" } });
const secondPage = await client.nextPage({ bundle: firstPage });
const backAgain = await client.prevPage({ bundle: secondPage });
assert.deepEqual(
  backAgain.entry.map((entry) => entry.resource.id),
  firstPage.entry.map((entry) => entry.resource.id),
);
const everything = await client.operation({ name: "everything", resourceType: "Patient", id: created.id, method: "GET" });
assert.ok(everything.entry.some((entry) => entry.resource.resourceType === "Organization"));

const history = await client.history({ resourceType: "Patient", id: created.id });
assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);

await client.delete({ resourceType: "Patient", id: created.id });
await assert.rejects(client.read({ resourceType: "Patient", id: created.id }), (error) => {
  assert.equal(error.response.status, 410);
  assert.equal(error.response.data.resourceType, "OperationOutcome");
  return true;
});
console.log("the tour is complete");
