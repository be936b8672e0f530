"""The page's side of the way through the kernel."""

import json

import pytest
from services.javascript import evaluate

MODEL = "{ on() {}, off() {}, send() {}, get: () => (%s) }"


@pytest.mark.parametrize(
    ("layout", "orphaned"),
    [
        ("{ comm_live: false }", True),
        ("{ comm_live: true, comm: {} }", False),
        ("{ comm_live: false, comm: {} }", False),
        ("'IPY_MODEL_1'", False),
        ("undefined", False),
    ],
    ids=["of a stored notebook", "with its kernel", "whose kernel is away", "of another program", "without a layout"],
)
def test_a_table_that_no_kernel_has_is_known_by_its_layout(layout, orphaned):
    assert evaluate("comm.ts", [f"m.orphaned({MODEL % layout})"]) == [orphaned]


def test_what_is_asked_when_the_table_is_painted_anew_is_not_waited_for_any_more():
    asked = """(async () => {
      const ended = new AbortController(), answer = new m.Comm(%s, ended.signal).send("GET", "v1/runs");
      ended.abort();
      const { status, body } = await answer;
      return [status, JSON.parse(new TextDecoder().decode(body)).message];
    })()"""
    assert evaluate("comm.ts", [asked % MODEL % "null"]) == [[503, "the table was painted anew"]]


def test_who_asks_after_the_view_ended_is_told_so_and_the_kernel_is_not_asked():
    asked = """(async () => {
      let asked = 0;
      const ended = new AbortController(), model = { on() {}, off() {}, get() {}, send() { asked++; } };
      const comm = new m.Comm(model, ended.signal, 20);
      ended.abort();
      const { status } = await comm.send("GET", "v1/runs");
      await new Promise((resolve) => setTimeout(resolve, 60));
      return [status, asked];
    })()"""
    assert evaluate("comm.ts", [asked]) == [[503, 0]]


@pytest.mark.parametrize(
    ("question", "again"),
    [
        ('"GET", "v1/runs"', True),
        ('"POST", "v1/runs", undefined, 1, { "Idempotency-Key": "k" }', True),
        ('"POST", "v1/runs/1/cancel"', False),
    ],
    ids=["a look", "what has a key", "what may not be done twice"],
)
def test_what_is_not_answered_is_asked_again_ever_later_until_it_is(question, again):
    asked = """(async () => {
      const asked = [], times = [], sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      let hear;
      const send = (each) => { asked.push(each); times.push(performance.now()); };
      const model = { on: (_, each) => { hear = each; }, off() {}, send, get() {} };
      const answer = new m.Comm(model, new AbortController().signal, 20).send(%s);
      await sleep(300);
      while (%s && asked.length < 3) await sleep(10);
      const { length } = asked, waits = times.slice(1).map((time, at) => time - times[at]);
      hear({ view: asked[0].view, id: asked[0].id, status: 200 });
      const { status } = await answer;
      await sleep(700);
      const kinds = new Set(asked.map((one) => JSON.stringify(one)));
      return [status, length > 2, waits.every((ms, at) => ms > 19 * 2 ** at), asked.length === length, kinds.size];
    })()"""
    assert evaluate("comm.ts", [asked % (question, json.dumps(again))]) == [[200, again, True, True, 1]]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([1, 2, 3], ["change"] * 3),
        ([1, 3, 4], ["change", "proposals", "change", "change"]),
        ([2, 3], ["proposals", "change", "change"]),
        ([1, 2, 1, 2], ["change"] * 4),
        (["undefined"] * 2, ["change"] * 2),
    ],
    ids=["all", "one was dropped", "the first was dropped", "of another follower", "of a kernel that does not count"],
)
def test_who_was_not_told_of_a_change_asks_for_all_anew(numbers, told):
    asked = """(() => {
      let hear, view;
      const events = [], signal = new AbortController().signal;
      const model = { on: (_, each) => { hear = each; }, off() {}, send: (each) => { view = each.view; }, get() {} };
      new m.Comm(model, signal).listen(["red"], () => 7, (event) => events.push(event), signal);
      for (const n of %s) hear({ view, event: "change", n, data: {} });
      return events;
    })()"""
    assert evaluate("comm.ts", [asked % f"[{', '.join(map(str, numbers))}]"]) == [told]
