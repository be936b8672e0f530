import time

from IPython.core.interactiveshell import InteractiveShell

from beamhub.widgets.cell import Cell


def test_in_a_script_there_are_no_cells():
    cell = Cell()
    assert cell.started is None
    cell.close()


def test_the_moment_is_that_of_the_cell_that_runs(monkeypatch):
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    cell = Cell()
    first = cell.started
    time.sleep(0.01)
    shell.run_cell("import time; time.sleep(0.05)")
    assert first < cell.started < time.time() - 0.04
    cell.close()
    last = cell.started
    shell.run_cell("1")
    assert cell.started == last
