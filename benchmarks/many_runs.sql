INSERT INTO file (
  id, seq, proposal, instance, file_id, storage, path, size, time, arrived, source, kind, columns, raw
)
NUMBERS
SELECT
  i, i, PROPOSAL, 'here', CAST(i AS TEXT), 'beamline', PROPOSAL || '/' || NAME, 8388608, TIME, TIME, 'watched', 'closed',
  '{"sample":"' || SAMPLE || '","temperature":' || CAST(TEMPERATURE AS TEXT) || '}', '{}'
FROM s;

INSERT INTO parameter_set (proposal, digest, parameters)
SELECT DISTINCT proposal, 'abcd', '{"bins":200,"unit":"q_nm^-1"}' FROM file;

INSERT INTO run (
  id, seq, proposal, state, cause, file, file_name, rule, automatic_rule, function, version, digest, parameters,
  parameter_set, attempts, transient_failures, data_failures, resource_failures, losses, quarantined, cancelling,
  queued, started, finished, due, executor, "where", requested_by, error_kind, error_type, error_message,
  scalars, sparkline, folder, output, preview, plot, words
)
NUMBERS
SELECT
  i, i, PROPOSAL, state, 'automatic', i, NAME, 'rule' || CAST(i % 3 AS TEXT), 'rule' || CAST(i % 3 AS TEXT),
  FUNCTION, '1', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', '{"bins":200,"unit":"q_nm^-1"}',
  (SELECT id FROM parameter_set WHERE parameter_set.proposal = PROPOSAL), 1, 0, 0, 0, 0, 1 = 0, 1 = 0,
  TIME,
  CASE WHEN state <> 'queued' THEN TIME + 50000 END,
  CASE WHEN state NOT IN ('queued', 'running') THEN TIME + 50000 + i * 7919 % 300000 END,
  CASE WHEN state = 'queued' THEN TIME END,
  '', 'tcp://10.0.0.1:4567', '',
  CASE WHEN state = 'failed' THEN 'data' END,
  CASE WHEN state = 'failed' THEN 'DataError' END,
  CASE WHEN state = 'failed' THEN 'no beam centre in ' || NAME END,
  CASE WHEN state = 'done' THEN '{"Rg":{"value":' || CAST(RG AS TEXT) || ',"unit":"nm","reason":""},"chi2":{"value":'
    || CAST(CHI2 AS TEXT) || ',"unit":"","reason":""}}' ELSE '{}' END,
  CASE WHEN state = 'done'
    THEN '[1.0,2.25,3.5,4.75,5.0,4.5,4.25,3.75,3.5,3.25,3.0,2.75,2.5,2.25,2.0,1.75,1.5,1.25,1.0,0.75,0.5]' END,
  CASE WHEN state = 'done' THEN 'p/' || CAST(i AS TEXT) || '/1' ELSE '' END,
  CASE WHEN state = 'done' THEN 'out.nxs' ELSE '' END,
  CASE WHEN state = 'done' THEN 'preview.png' ELSE '' END,
  CASE WHEN state = 'done' THEN 'plot.json' ELSE '' END,
  PROPOSAL || '/' || NAME || ' rule' || CAST(i % 3 AS TEXT) || ' ' || FUNCTION || ' ' || SAMPLE || ' '
    || CAST(TEMPERATURE AS TEXT) || CASE WHEN state = 'done' THEN ' rg chi2' ELSE '' END
FROM s;

INSERT INTO scalar (run, name, proposal, value)
NUMBERS SELECT i, 'Rg', PROPOSAL, RG FROM s WHERE state = 'done';

INSERT INTO scalar (run, name, proposal, value)
NUMBERS SELECT i, 'chi2', PROPOSAL, CHI2 FROM s WHERE state = 'done';

INSERT INTO cell (run, name, proposal, value)
NUMBERS SELECT i, 'sample', PROPOSAL, '1' || SAMPLE FROM s;

INSERT INTO heading (proposal, kind, name, unit, n)
SELECT proposal, 'scalar', name, '', count(*) FROM scalar GROUP BY proposal, name;

INSERT INTO heading (proposal, kind, name, unit, n)
SELECT proposal, 'column', name, '', count(*) FROM cell GROUP BY proposal, name;

INSERT INTO counter (proposal, function, rule, state, n)
SELECT proposal, function, rule, state, count(*) FROM run GROUP BY proposal, function, rule, state;

INSERT INTO proposal (name, files, last, served) SELECT proposal, count(*), max(arrived), 0 FROM file GROUP BY proposal;

UPDATE sequence SET value = RUNS;

ANALYZE;
