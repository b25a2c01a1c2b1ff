-- The reviewers' queue, among many changes that are decided: one index scan.
-- What is purged is gone, its audit records are not.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_q_bot LOGIN;
CREATE ROLE regress_q_writer;
CREATE ROLE regress_q_ann LOGIN IN ROLE warden_reviewer, regress_q_writer;
CREATE ROLE regress_q_admin LOGIN IN ROLE warden_admin;
CREATE SCHEMA regress_q AUTHORIZATION regress_q_writer;
GRANT USAGE ON SCHEMA regress_q TO PUBLIC;
SET ROLE regress_q_writer;
CREATE TABLE regress_q.items (id int PRIMARY KEY, n int);
INSERT INTO regress_q.items VALUES (1, 1);
GRANT SELECT ON regress_q.items TO regress_q_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_q_bot IS 'agent';
SELECT FROM warden.create_agent('queue bot', 'regress_q_bot', 'regress_q_writer');
SELECT FROM warden.add_person('q ann', 'regress_q_ann');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 100001;
INSERT INTO warden.pending_changes (status, agent, asserted, agent_role, risk,
		statement_count, digest, context, required_approvals, created_at,
		expires_at)
	SELECT (ARRAY['applied', 'rejected', 'withdrawn', 'stale'])[1 + i % 4],
		'queue bot', false, 'regress_q_bot', 'low', 1, i::text, '{}', 1,
		'2020-01-01', '2020-01-08'
	FROM generate_series(1, 20000) i;
-- never looked at again, and so expired
INSERT INTO warden.pending_changes (agent, asserted, agent_role, risk,
		statement_count, digest, context, required_approvals, created_at,
		expires_at)
	VALUES ('queue bot', false, 'regress_q_bot', 'low', 1, '', '{}', 1,
		'2020-01-01', '2020-01-08');
ANALYZE warden.pending_changes;
\c - regress_q_bot
UPDATE regress_q.items SET n = 2;
UPDATE regress_q.items SET n = 3;
UPDATE regress_q.items SET n = 4;
\c - regress_q_ann
SELECT warden.reject(120003, 'no');
SELECT id, status FROM warden.open_changes WHERE id > 100000 ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id, status, title, risk FROM warden.open_changes ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id, status, title, risk FROM warden.open_changes ORDER BY id DESC LIMIT 20;
SELECT warden.approve(120001, 'too late');

--
-- Who goes round the triggers leaves no event behind, and approves nothing
--
\c - :superuser
ALTER TABLE warden.pending_changes DISABLE TRIGGER guard_change;
UPDATE warden.pending_changes SET status = 'approved', approvals = 1 WHERE id = 120002;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_change;
\c - regress_q_ann
\set VERBOSITY default
CALL warden.apply(120002);
\set VERBOSITY terse
\c - :superuser
SELECT warden.flush_audit();
SELECT c.status, count(*), max(c.id) FROM warden.pending_changes c
	WHERE c.id > 100000 AND c.status <> 'proposed' AND NOT EXISTS (
		SELECT FROM warden.audit_log l WHERE l.change_id = c.id
			AND (l.outcome = c.status OR l.outcome IN ('broken_glass', 'resolved')))
	GROUP BY c.status ORDER BY 1;

--
-- Purge
--
\c - regress_q_admin
SELECT warden.purge('2021-01-01');
SELECT id, status FROM warden.pending_changes WHERE id > 100000 ORDER BY id;
SELECT warden.purge(now()) > 0 AS purged;
SELECT id, status FROM warden.pending_changes WHERE id > 100000 ORDER BY id;
SELECT count(*) FROM warden.change_statements WHERE change_id > 100000;
SELECT count(*) FROM warden.change_reviews WHERE change_id > 100000;
\c - :superuser
SELECT warden.flush_audit();
SELECT outcome, change_id FROM warden.audit_log WHERE change_id = 120003 ORDER BY id;

SET client_min_messages = error;
DROP SCHEMA regress_q CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_q_bot IS NULL;
DELETE FROM warden.people WHERE person = 'q ann';
DELETE FROM warden.agents WHERE agent = 'queue bot';
DROP ROLE regress_q_bot, regress_q_writer, regress_q_ann, regress_q_admin;
VACUUM ANALYZE warden.pending_changes;
