"""What columns the table can have, and what stands in them."""

from services.javascript import evaluate


def test_a_column_says_when_the_file_was_written_and_offers_no_order_by_it():
    found = "new m.Seen().columns(() => '').find(({ key }) => key === 'written')"
    time = "2026-11-26T22:59:59Z"
    run = f"{{ queued: '2026-11-27T10:00:00Z', file: {{ time: '{time}' }} }}"
    assert evaluate("columns.ts", [f"{found}.text({run})", f"{found}.sort"]) == [time, ""]
