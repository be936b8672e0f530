"""The rows of the table against the service itself, while files arrive."""

import json
from pathlib import Path

import pytest
from services.api import Bench, serving
from services.javascript import evaluate

BEFORE, MEANWHILE = 1200, 280  # files
# walks over rows as somebody does who scrolls, and hears of what arrives; what came meanwhile is not put in above
WALK = """(async () => {
  const url = %s, read = { Authorization: "token alice" }, asked = [], hearing = new AbortController();
  const write = { Authorization: "token ingester", "Content-Type": "application/cloudevents-batch+json" };
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  const transport = { async send(method, path, query, body, more, signal) {
    asked.push(query.toString());
    const answer = await fetch(`${url}${path.replace("v1/", "")}?${query}`, { headers: read, signal });
    return { status: answer.status, body: new Uint8Array(await answer.arrayBuffer()), type: "" };
  } };
  const filter = { proposal: "red", search: %s, sort: %s };
  const rows = new m.Rows(transport, filter, () => false, () => undefined);
  await rows.reload();
  const stream = await fetch(`${url}changes?proposal=red`, { headers: read, signal: hearing.signal });
  const hear = async () => {
    for await (const chunk of stream.body) {
      for (const [, text] of new TextDecoder().decode(chunk).matchAll(/^data: (.*id.*)$/gm)) {
        const { kind, id, seq } = JSON.parse(text);
        if (kind === "run") rows.change(id, seq);
      }
    }
  };
  hear().catch(() => undefined);
  const seen = async (index) => {
    for (let tries = 0; tries < 500; tries++) {
      rows.look(Math.max(0, index - 80), Math.min(rows.length, index + 80));
      if (rows.loadedRow(index)) return rows.loadedRow(index).file.name;
      await later(5);
    }
  };
  let files = 0;
  const came = () => {
    const subject = `red/scan1/${String(2 * files).padStart(5, "0")}-new.nxs`, data = { storage: "beamline", size: 3 };
    const type = "org.beamhub.file.closed", time = "2026-11-24T12:00:00Z";
    return { specversion: "1.0", source: "/detector", id: String(files++), type, time, subject, data };
  };
  const arrive = async () => {
    if (files >= %s) return;
    const body = JSON.stringify([came(), came(), came(), came()]);
    await fetch(`${url}events`, { method: "POST", body, headers: write });
  };
  const down = [], up = [];
  for (let index = 0; index < rows.length; index++) {
    down.push(await seen(index));
    if (index %% 20 === 0) await arrive();
  }
  for (let index = rows.length - 1; index >= 0; index--) {
    up.push(await seen(index));
    index += rows.slid;
    rows.slid = 0;
    if (index %% 20 === 0) await arrive();
  }
  for (let tries = 0; tries < 100 && rows.moved < files && filter.sort === "-queued"; tries++) await later(50);
  const { moved } = rows, jumps = asked.filter((one) => /(^|&)at=/.test(one)).length;
  await rows.reload();
  hearing.abort();
  rows.end();
  return { files, down, up, moved, jumps, first: rows.loadedRow(0).file.name };
})()"""


@pytest.fixture
def service(tmp_path: Path):
    made = Bench(tmp_path)
    made.arrive(*(f"red/scan1/{number:05}.nxs" for number in range(BEFORE)))
    with serving(made):
        yield made


@pytest.mark.parametrize(
    ("search", "sort"), [("", "-queued"), ("scan1", "-queued"), ("", "file")], ids=["newest", "a search", "by name"]
)
def test_who_scrolls_while_files_arrive_sees_each_that_was_there_before_once_on_each_way(service, search, sort):
    (found,) = evaluate("rows.ts", [WALK % (json.dumps(service.url), json.dumps(search), json.dumps(sort), MEANWHILE)])
    before = [f"{number:05}.nxs" for number in range(BEFORE)]
    for way in (found["down"], found["up"]):
        assert sorted(name for name in way if name in before) == before
        assert len(set(way)) == len(way)
    assert (found["files"], found["jumps"]) == (MEANWHILE, 0)
    if sort == "-queued":
        assert found["moved"] == MEANWHILE
        assert found["first"] == f"{2 * MEANWHILE - 2:05}-new.nxs"
