"""What Grid Engine 8.1.9 printed, here as it did."""

import doctest
import string
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamhub.spawner.sites import gridengine_jobs, gridengine_text
from beamhub.spawner.sites.gridengine_text import NotRead
from beamhub.spawner.sites.queue import Stage

ONE = """    <job_list state="{state}">
      <JB_job_number>{number}</JB_job_number>
      <JAT_prio>{priority}</JAT_prio>
      <JB_name>{name}</JB_name>
      <JB_owner>anna</JB_owner>
      <state>{letters}</state>
      {more}
    </job_list>
"""
RUNS = """<JAT_start_time>2026-11-27T00:48:18</JAT_start_time>
      <queue_name>all.q@node1.example.org</queue_name>
      <slots>2</slots>
      <full_job_name>bh-x-1-0123456789</full_job_name>
      <requested_pe name="smp">2</requested_pe>
      <granted_pe name="smp">2</granted_pe>
      <hard_request name="h_rt" resource_contribution="0.000000">600</hard_request>
      <hard_req_queue>all.q</hard_req_queue>
      <binding>NONE</binding>"""
WAITS = """<JB_submission_time>2026-11-27T00:48:18</JB_submission_time>
      <queue_name></queue_name>
      <slots>15</slots>"""
IN = "      <hard_req_queue>{}</hard_req_queue>"


def job(number, letters, priority="0.5", more=WAITS, name="x"):
    return ONE.format(state="x", number=number, letters=letters, priority=priority, more=more, name=name)


def listed(*jobs):
    return (
        "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://arc.liv.ac.uk/qstat.xsd\">\n  <queue_info>\n"
        f"{''.join(jobs)}  </queue_info>\n  <job_info>\n  </job_info>\n</job_info>\n"
    )


QUEUE = listed(
    job(1, "r", "0.28571", RUNS),
    job(2, "qw", "0.75000", WAITS + IN.format("all.q") + IN.format("other.q")),
    job(3, "hqw", "0.90000", WAITS + IN.format("all.q")),
    job(4, "qw", "0.50000", WAITS + IN.format("all.q")),
    job(5, "qw", "0.60000"),
    job(6, "qw", "0.70000", WAITS + IN.format("*@@gpu")),
    job(7, "qw", "0.10000", WAITS + IN.format("other.q")),
    job(8, "Eqw", "0.00000"),
)
UNKNOWN = "<?xml version='1.0'?>\n<unknown_jobs >\n    <ST_name>99</ST_name>\n</unknown_jobs>\n"
AWAY = """<?xml version='1.0'?>
<comunication_error >
    <AN_status>11</AN_status>
    <AN_text>unable to send message to qmaster using port 6444 on host &quot;vm&quot;: got send error</AN_text>
    <AN_quality>1</AN_quality>
</comunication_error>
"""
DETAIL = """<?xml version='1.0'?>
<detailed_job_info  xmlns:xsd="http://arc.liv.ac.uk/detailed_job_info.xsd">
  <djob_info>
    <element>
      <JB_job_number>36</JB_job_number>
      <JB_owner>anna</JB_owner>
      <JB_job_name>x</JB_job_name>
      <JB_ja_tasks>
        <JATASK:      36.>
          <JAT_message_list>
            <ulong_sublist>
              <QIM_message>error: can&apos;t open output file &quot;/nowhere/x&quot;</QIM_message>
            </ulong_sublist>
          </JAT_message_list>
        </JATASK:      36.>
      </JB_ja_tasks>
    </element>
  </djob_info>
  <messages>
    <element>
      <SME_message_list>
        <element>
          <MES_job_number_list><ulong_sublist><ULNG_value>36</ULNG_value></ulong_sublist></MES_job_number_list>
          <MES_message>has no permission for cluster queue &quot;closed.q&quot;</MES_message>
        </element>
        <element>
          <MES_job_number_list><element><ULNG_value>36</ULNG_value></element></MES_job_number_list>
          <MES_message>cannot run in PE &quot;smp&quot; because it only offers 0 slots</MES_message>
        </element>
      </SME_message_list>
      <SME_global_message_list>
        <element>
          <MES_message_number>2</MES_message_number>
          <MES_message>queue instance &quot;all.q@vm&quot; dropped because it is full</MES_message>
        </element>
      </SME_global_message_list>
    </element>
  </messages>
</detailed_job_info>
"""
NODES = """<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/qstat.xsd">
  <queue_info>
    <Queue-List>
      <name>all.q@node1</name>
      <qtype>BIP</qtype>
      <slots_used>3</slots_used>
      <slots_resv>1</slots_resv>
      <slots_total>16</slots_total>
      <load_avg>0.77832</load_avg>
      <arch>lx-amd64</arch>
      <resource name="mem_free" type="hl">22.5G</resource>
      <resource name="gpu" type="hc">2</resource>
      <resource name="h_rt" type="qf">24:00:00</resource>
      <resource name="h_vmem" type="qf">infinity</resource>
    </Queue-List>
    <Queue-List>
      <name>gpu.q@node2</name>
      <slots_used>0</slots_used>
      <slots_resv>0</slots_resv>
      <slots_total>4</slots_total>
      <state>au</state>
      <resource name="h_vmem" type="hc">100M</resource>
      <resource name="h_rt" type="qf">infinity</resource>
    </Queue-List>
  </queue_info>
  <job_info>
  </job_info>
</job_info>
"""
ENDED = """==============================================================
qname        all.q
owner        {}
jobname      bh-x-1-bbbbbbbbbb
jobnumber    34
failed       {}
exit_status  {}
ru_wallclock {}
maxvmem      1.453MB
category     {}
"""


def test_its_examples_are_true():
    assert doctest.testmod(gridengine_text).failed == 0
    assert doctest.testmod(gridengine_jobs).failed == 0


def test_our_jobs_are_read_with_their_times_which_are_those_of_utc():
    found = gridengine_text.queue(QUEUE, {"1", "2", "8"}).jobs
    assert {number: one.stage for number, one in found.items()} == {
        "1": Stage.RUNNING,
        "2": Stage.WAITING,
        "8": Stage.ENDED,
    }
    assert (found["1"].user, found["1"].node, found["1"].partitions) == ("anna", "node1.example.org", ("all.q",))
    assert found["1"].start == 1795740498.0
    assert found["1"].end == 1795740498.0 + 600
    assert (found["2"].start, found["2"].end) == (None, None)


def test_before_a_job_come_those_that_wait_for_one_of_its_queues_or_for_any_and_are_not_held():
    found = gridengine_text.queue(QUEUE, {"2", "4", "5", "7"})
    before = {number: found.before(one) for number, one in found.jobs.items()}
    # of all.q wait 2 (0.75), 6 (0.7, any), 5 (0.6, any), 4 (0.5); of other.q 2, 6, 5, 7 (0.1); 5 and 6 ask for none
    assert before == {"2": 0, "4": 3, "5": 1, "7": 3}


@pytest.mark.parametrize("cut", [20, 400, len(QUEUE) - 5])
def test_a_list_that_was_cut_off_is_not_believed(cut):
    with pytest.raises(NotRead):
        gridengine_text.queue(QUEUE[:cut], {"1"})


@pytest.mark.parametrize("text", ["", "error: commlib error", AWAY, UNKNOWN, DETAIL], ids=str)
def test_what_is_no_list_is_not_an_empty_one(text):
    with pytest.raises(NotRead):
        gridengine_text.queue(text, {"1"})
    with pytest.raises(NotRead):
        gridengine_text.names(text)
    assert gridengine_text.queue(listed(), {"1"}).jobs == {}


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("letter", ["\x01", "\x1b", "\ufffe"])
def test_a_name_with_letters_that_no_xml_has_hides_no_other_job(letter):
    text = listed(job(1, "r", "0.28571", RUNS), job(2, "r", "0.3", RUNS, name=f"a{letter}b"))
    assert set(gridengine_text.queue(text, {"1", "2"}).jobs) == {"1", "2"}


def test_a_list_that_declares_entities_is_not_read():
    bomb = QUEUE.replace("<job_info  ", '<!DOCTYPE x [<!ENTITY a "aaaa">]>\n<job_info  ', 1).replace("anna", "&a;")
    with pytest.raises(NotRead, match="declares"):
        gridengine_text.queue(bomb, {"1"})


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn", "Co", "Cc"])))
def test_no_name_of_a_job_passes_for_another_job(name):
    text = listed(job(1, "r", name=escape(name)), job(2, "r", name="mine"))
    assert gridengine_text.names(text) == [("1", name, "anna"), ("2", "mine", "anna")]


def test_a_job_is_unknown_only_where_the_master_said_so_of_its_number():
    assert gridengine_text.detail(UNKNOWN, "99") is None
    for text, number in ((UNKNOWN, "9"), (AWAY, "99"), ("", "99"), (DETAIL, "99"), (UNKNOWN[:-4], "99")):
        with pytest.raises(NotRead):
            gridengine_text.detail(text, number)


def test_a_job_in_error_is_read_with_its_error_though_its_document_is_no_xml():
    assert gridengine_text.detail(DETAIL, "36") == ("anna", 'error: can\'t open output file "/nowhere/x"')


def test_why_a_job_waits_is_the_message_that_tells_most_and_none_about_other_queues():
    said = gridengine_text.messages(DETAIL)["36"]
    assert gridengine_text.reason(said) == 'cannot run in PE "smp" because it only offers 0 slots'
    assert gridengine_text.reason(said[:1]) == ""
    assert gridengine_text.messages(UNKNOWN) == {}


@pytest.mark.parametrize(("queues", "words"), [("all.q", "free nodes"), ("other.q", "its turn"), ("", "free nodes")])
def test_what_keeps_all_jobs_keeps_those_that_may_run_in_the_queue_that_it_names(queues, words):
    found = gridengine_text.queue(listed(job(5, "qw", more=WAITS + (IN.format(queues) if queues else ""))), {"5"})
    told = gridengine_text.with_reasons(found, gridengine_text.messages(DETAIL)).jobs["5"].reason
    assert words in gridengine_text.why_waiting(told)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('cannot run in PE "smp" because it only offers 0 slots', "free nodes are waited for"),
        ('queue instance "all.q@vm" dropped because it is full', "free nodes are waited for"),
        ('queue instance "all.q@vm" dropped because it is disabled', "the nodes for it are switched off"),
        ("Job is in hold state", "it is held back"),
        ('cannot run because it exceeds limit "anna/////" in rule "few/1"', "limit is used up"),
        ("", "it waits for its turn"),
        ("a new reason", "the batch system says 'a new reason'"),
    ],
)
def test_each_reason_to_wait_is_said_in_words(said, words):
    assert words in gridengine_text.why_waiting(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('Job was rejected because job requests unknown queue "nope"', "queue that the operator named"),
        ('job rejected: the requested parallel environment "nope" does not exist', "parallel environment"),
        ('job rejected: the requested project "nope" does not exist', "project"),
        ("Unable to run job: error: no suitable queues", "no queue there takes it"),
        ('Unable to run job: unknown resource "gpu"', "a resource that is not there"),
        ("the advance reservation id 5 is invalid", "reservation"),
        ('denied: host "hub" is neither submit nor admin host', "the Hub's computer may not submit"),
        ("job rejected: only 5 jobs are allowed per user (current job count: 5) job limit", "limit is used up"),
        ("error: commlib error: got select error (Connection refused)", "does not answer"),
        ("something that nobody has seen", "did not take it"),
    ],
)
def test_each_refusal_is_said_in_words(said, words):
    assert words in gridengine_text.why_refused(f"Unable to run job: {said} Exiting.")


@pytest.mark.parametrize(
    ("failed", "status", "wallclock", "category", "said", "code", "over"),
    [
        ("0", "0", "5s", "NONE", "It ended by itself.", 0, False),
        ("0", "7", "5s", "NONE", "It ended with code 7.", 7, False),
        ("100 : assumedly after job", "137     (Killed)", "5s", "NONE", "cancelled in the batch", -9, False),
        ("37  : qmaster enforced h_rt", "137", "61s", "-q all.q -l h_rt=60 -pe smp 2", "Its time was over.", -9, True),
        ("37  : qmaster enforced h_rt", "137", "5s", "-l h_rt=60,h_vmem=1M", "more memory or time", -9, False),
        ("26  : opening input/output file", "0", "0s", "NONE", "(opening input/output file)", 1, False),
    ],
)  # fmt: skip
def test_how_a_job_ended_is_said_in_a_sentence(failed, status, wallclock, category, said, code, over):
    text = ENDED.format("anna", "0", "3", "1s", "NONE") + ENDED.format("anna", failed, status, wallclock, category)
    words, number, late = gridengine_text.why_ended(gridengine_text.record(text, "anna"))
    assert said in words
    assert (number, late) == (code, over)


def test_a_record_of_somebody_else_who_had_the_number_is_not_ours():
    assert gridengine_text.record(ENDED.format("bob", "0", "0", "1s", "NONE"), "anna") == {}


def test_what_is_free_is_read_of_each_queue_on_each_computer():
    up, down = gridengine_text.nodes(NODES, "h_vmem", "gpu")
    assert (up.name, up.partition, up.up, up.cores, up.memory_mb, up.gpus) == ("node1", "all.q", True, 12, 23040, 2)
    assert (down.partition, down.up, down.memory_mb, down.gpus) == ("gpu.q", False, 100, 0)
    assert (up.longest_s, down.longest_s) == (86400.0, None)


@given(st.text(st.sampled_from("<>/&;:.=\n 0123456789" + string.ascii_letters)))
def test_no_output_breaks_the_reading(text):
    for read in (
        lambda: gridengine_text.queue(text, {"1"}),
        lambda: gridengine_text.detail(text, "1"),
        lambda: gridengine_text.nodes(text, "h_vmem", "gpu"),
    ):
        with pytest.raises(NotRead):
            read()
    gridengine_text.why_ended(gridengine_text.record(text, "anna"))
    gridengine_text.why_refused(text)
    gridengine_text.why_waiting(gridengine_text.reason([text]))


@given(st.text("0123456789:.", max_size=30))
def test_no_number_breaks_the_reading(text):
    gridengine_text.queue(listed(job(1, "r", text, RUNS.replace(">600<", f">{text}<"))), {"1"})
    gridengine_text.why_ended({"failed": text, "exit_status": text, "ru_wallclock": text, "category": f"h_rt={text}"})
