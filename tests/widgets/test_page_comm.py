"""The page's side of the way through the kernel."""

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


def test_what_is_not_answered_is_asked_again_until_it_is():
    asked = """(async () => {
      const asked = [], sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      let hear;
      const model = { on: (_, each) => { hear = each; }, off() {}, send: (each) => asked.push(each), get() {} };
      const comm = new m.Comm(model, new AbortController().signal, 20);
      const answer = comm.send("POST", "v1/runs", undefined, 1, { a: "b" });
      while (asked.length < 3) await sleep(5);
      hear({ view: asked[0].view, id: asked[0].id, status: 200 });
      const { status } = await answer, { length } = asked;
      await sleep(100);
      return [status, asked.length === length, new Set(asked.map((each) => JSON.stringify(each))).size];
    })()"""
    assert evaluate("comm.ts", [asked]) == [[200, True, 1]]
