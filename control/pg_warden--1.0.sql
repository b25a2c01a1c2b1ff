/* control/pg_warden--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_warden" to load this file. \quit

-- ---------------------------------------------------------------------
-- Group roles and schema
-- ---------------------------------------------------------------------

DO $$
DECLARE
	name pg_catalog.text;
BEGIN
	FOREACH name IN ARRAY ARRAY['warden_admin', 'warden_reviewer',
		'warden_auditor', 'warden_gateway', 'warden_key_refresher']
	LOOP
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r
					   WHERE r.rolname OPERATOR(pg_catalog.=) name) THEN
			EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
		END IF;
	END LOOP;
END
$$;

-- Made without IF NOT EXISTS: a schema that somebody planted makes this fail.
CREATE SCHEMA warden;
COMMENT ON SCHEMA warden IS 'pg_warden: agents see masked data and propose writes';
REVOKE ALL ON SCHEMA warden FROM PUBLIC;
-- Everyone may look names up; each object's own grants decide the rest.
GRANT USAGE ON SCHEMA warden TO PUBLIC;

-- ---------------------------------------------------------------------
-- Masks: the specification type and the mask functions (mask_spec.c, mask_funcs.c)
-- ---------------------------------------------------------------------

-- [masks section]

CREATE TYPE warden.mask_spec;

CREATE FUNCTION warden.mask_spec_in(spec pg_catalog.cstring)
RETURNS warden.mask_spec
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_mask_spec_in';
REVOKE ALL ON FUNCTION warden.mask_spec_in(pg_catalog.cstring) FROM PUBLIC;
COMMENT ON FUNCTION warden.mask_spec_in(pg_catalog.cstring)
	IS 'refuses: mask specifications come from policy only';

CREATE FUNCTION warden.mask_spec_out(spec warden.mask_spec)
RETURNS pg_catalog.cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_mask_spec_out';
REVOKE ALL ON FUNCTION warden.mask_spec_out(warden.mask_spec) FROM PUBLIC;
COMMENT ON FUNCTION warden.mask_spec_out(warden.mask_spec)
	IS 'the specification as it was written, for EXPLAIN';

CREATE TYPE warden.mask_spec (
	INPUT = warden.mask_spec_in,
	OUTPUT = warden.mask_spec_out,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = plain
);
REVOKE ALL ON TYPE warden.mask_spec FROM PUBLIC;
COMMENT ON TYPE warden.mask_spec
	IS 'a mask compiled for a column; made by the planner, never by a query';

CREATE FUNCTION warden.apply_mask(value pg_catalog.anyelement,
	spec warden.mask_spec)
RETURNS pg_catalog.anyelement
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_apply_mask';
COMMENT ON FUNCTION warden.apply_mask(pg_catalog.anyelement, warden.mask_spec)
	IS 'what stands for a labelled column in the plans of governed sessions';

CREATE FUNCTION warden.apply_mask_function(value pg_catalog.anyelement,
	spec warden.mask_spec)
RETURNS pg_catalog.anyelement
LANGUAGE c STABLE STRICT PARALLEL UNSAFE COST 100
AS 'MODULE_PATHNAME', 'warden_sql_apply_mask_function';
COMMENT ON FUNCTION warden.apply_mask_function(pg_catalog.anyelement,
	warden.mask_spec)
	IS 'the same for masks of the form func(schema.function)';

CREATE FUNCTION warden.generate_mask_key()
RETURNS pg_catalog.bytea
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_generate_mask_key';
REVOKE ALL ON FUNCTION warden.generate_mask_key() FROM PUBLIC;
COMMENT ON FUNCTION warden.generate_mask_key()
	IS 'a new random key for warden.mask_keys';

-- Readable by the owner alone, not even through pg_read_all_data, and never
-- dumped: a restored database gets a key of its own, so hashes from a copy tell
-- nothing about the original.
CREATE TABLE warden.mask_keys (
	name pg_catalog.text NOT NULL,
	value pg_catalog.bytea NOT NULL,
	CONSTRAINT mask_keys_pkey PRIMARY KEY (name)
);
REVOKE ALL ON TABLE warden.mask_keys FROM PUBLIC;
ALTER TABLE warden.mask_keys ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE warden.mask_keys IS 'keys of masks, for the owner only';
COMMENT ON COLUMN warden.mask_keys.name IS 'the mask that uses it: hash';
COMMENT ON COLUMN warden.mask_keys.value IS '32 random bytes';
INSERT INTO warden.mask_keys (name, value)
	VALUES ('hash', warden.generate_mask_key());

-- The planner puts these into the plans of governed sessions, and the
-- executor checks EXECUTE for the session's role.  A query that names them
-- gets nowhere: nobody can write a mask_spec.
GRANT EXECUTE ON FUNCTION
	warden.apply_mask(pg_catalog.anyelement, warden.mask_spec),
	warden.apply_mask_function(pg_catalog.anyelement, warden.mask_spec)
	TO PUBLIC;

-- ---------------------------------------------------------------------
-- Policy: semantic types, mask rules, exemptions, labels (policy.c, label.c)
-- ---------------------------------------------------------------------

-- [policy section]

CREATE FUNCTION warden.check_policy_row()
RETURNS pg_catalog.trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'warden_sql_check_policy_row';
REVOKE ALL ON FUNCTION warden.check_policy_row() FROM PUBLIC;
COMMENT ON FUNCTION warden.check_policy_row()
	IS 'trigger: refuses a mask that is malformed or does not fit a labelled column';

CREATE FUNCTION warden.policy_changed()
RETURNS pg_catalog.trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'warden_sql_policy_changed';
REVOKE ALL ON FUNCTION warden.policy_changed() FROM PUBLIC;
COMMENT ON FUNCTION warden.policy_changed()
	IS 'trigger: tells every session that policy has changed';

CREATE TABLE warden.semantic_types (
	name pg_catalog.text NOT NULL,
	mask pg_catalog.text NOT NULL,
	description pg_catalog.text,
	CONSTRAINT semantic_types_pkey PRIMARY KEY (name),
	CONSTRAINT semantic_types_name_check
		CHECK (name OPERATOR(pg_catalog.~) '^[a-z][a-z0-9_]{0,62}$')
);
REVOKE ALL ON TABLE warden.semantic_types FROM PUBLIC;
COMMENT ON TABLE warden.semantic_types IS 'what a column can be labelled as, and the default mask';
COMMENT ON COLUMN warden.semantic_types.name IS 'as written in SECURITY LABEL FOR warden ON COLUMN';
COMMENT ON COLUMN warden.semantic_types.mask IS 'default mask, see warden.set_mask()';
COMMENT ON COLUMN warden.semantic_types.description IS 'what values of the type are';

INSERT INTO warden.semantic_types (name, mask, description) VALUES
	('full', 'full', 'anything that nobody needs to see'),
	('ssn', 'ssn', 'social security number, ddd-dd-dddd'),
	('email', 'email', 'e-mail address'),
	('phone', 'phone', 'telephone number'),
	('card', 'card', 'payment card number'),
	('name', 'name', 'name of a person'),
	('birth_date', 'date(year)', 'date of birth'),
	('ip', 'inet(24,48)', 'network address'),
	('secret', 'null', 'password, key or token that is never shown'),
	('token', 'hash', 'identifier that is compared, not read'),
	('free_text', 'clear', 'text written by people; mark it untrusted where outsiders write it'),
	('none', 'clear', 'reviewed and clear');

CREATE TABLE warden.mask_rules (
	semantic_type pg_catalog.text NOT NULL,
	role pg_catalog.regrole NOT NULL,
	mask pg_catalog.text NOT NULL,
	unless pg_catalog.text,
	CONSTRAINT mask_rules_pkey PRIMARY KEY (semantic_type, role),
	CONSTRAINT mask_rules_semantic_type_fkey FOREIGN KEY (semantic_type)
		REFERENCES warden.semantic_types (name)
);
REVOKE ALL ON TABLE warden.mask_rules FROM PUBLIC;
COMMENT ON TABLE warden.mask_rules IS 'masks that a role has in place of the default';
COMMENT ON COLUMN warden.mask_rules.semantic_type IS 'the semantic type';
COMMENT ON COLUMN warden.mask_rules.role IS 'the governed role, or one whose privileges it inherits';
COMMENT ON COLUMN warden.mask_rules.mask IS 'its mask';
COMMENT ON COLUMN warden.mask_rules.unless IS 'expression over the same row, on raw values: where it is true the value is shown';

CREATE TABLE warden.exemptions (
	id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,
	grantee pg_catalog.regrole NOT NULL,
	semantic_type pg_catalog.text,
	relation pg_catalog.regclass,
	attnum pg_catalog.int2 NOT NULL DEFAULT 0,
	attname pg_catalog.text,
	until pg_catalog.timestamptz NOT NULL,
	reason pg_catalog.text NOT NULL,
	granted_by pg_catalog.regrole NOT NULL,
	granted_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT exemptions_pkey PRIMARY KEY (id),
	CONSTRAINT exemptions_target_check
		CHECK ((semantic_type IS NULL) OPERATOR(pg_catalog.<>) (relation IS NULL)),
	CONSTRAINT exemptions_semantic_type_fkey FOREIGN KEY (semantic_type)
		REFERENCES warden.semantic_types (name)
);
REVOKE ALL ON TABLE warden.exemptions FROM PUBLIC;
COMMENT ON TABLE warden.exemptions IS 'masks lifted for a role until a time';
COMMENT ON COLUMN warden.exemptions.id IS 'number of the exemption';
COMMENT ON COLUMN warden.exemptions.grantee IS 'who may read clear values';
COMMENT ON COLUMN warden.exemptions.semantic_type IS 'of every column of this type, or';
COMMENT ON COLUMN warden.exemptions.relation IS 'of this table';
COMMENT ON COLUMN warden.exemptions.attnum IS 'and of this column of it; 0: every column';
COMMENT ON COLUMN warden.exemptions.attname IS 'name of the column: an exemption holds only while number and name agree';
COMMENT ON COLUMN warden.exemptions.until IS 'when it ends, in plans already cached as well';
COMMENT ON COLUMN warden.exemptions.reason IS 'why it was granted';
COMMENT ON COLUMN warden.exemptions.granted_by IS 'who granted it';
COMMENT ON COLUMN warden.exemptions.granted_at IS 'when';

-- By name: OIDs of functions change with pg_upgrade, which therefore refuses
-- a database with a column of type regprocedure.
CREATE TABLE warden.allowed_functions (
	function pg_catalog.text NOT NULL,
	CONSTRAINT allowed_functions_pkey PRIMARY KEY (function)
);
REVOKE ALL ON TABLE warden.allowed_functions FROM PUBLIC;
COMMENT ON TABLE warden.allowed_functions IS 'functions that agents may execute although the function gate would refuse them';
COMMENT ON COLUMN warden.allowed_functions.function IS 'the function: schema, name and types of its arguments';

CREATE TRIGGER check_policy_row BEFORE INSERT OR UPDATE ON warden.semantic_types
	FOR EACH ROW EXECUTE FUNCTION warden.check_policy_row('name');
COMMENT ON TRIGGER check_policy_row ON warden.semantic_types IS 'refuses a mask that can not be';
CREATE TRIGGER check_policy_row BEFORE INSERT OR UPDATE ON warden.mask_rules
	FOR EACH ROW EXECUTE FUNCTION warden.check_policy_row('semantic_type', 'unless');
COMMENT ON TRIGGER check_policy_row ON warden.mask_rules IS 'refuses a mask that can not be';

CREATE TRIGGER audit_edit AFTER INSERT OR UPDATE OR DELETE ON warden.semantic_types
	FOR EACH ROW EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER audit_edit ON warden.semantic_types IS 'edits are audited';
CREATE TRIGGER audit_edit AFTER INSERT OR UPDATE OR DELETE ON warden.mask_rules
	FOR EACH ROW EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER audit_edit ON warden.mask_rules IS 'edits are audited';
CREATE TRIGGER audit_edit AFTER INSERT OR UPDATE OR DELETE ON warden.exemptions
	FOR EACH ROW EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER audit_edit ON warden.exemptions IS 'edits are audited';
CREATE TRIGGER audit_edit AFTER INSERT OR UPDATE OR DELETE ON warden.allowed_functions
	FOR EACH ROW EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER audit_edit ON warden.allowed_functions IS 'edits are audited';
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON warden.semantic_types FOR EACH STATEMENT EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER policy_changed ON warden.semantic_types IS 'tells every session';
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON warden.mask_rules FOR EACH STATEMENT EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER policy_changed ON warden.mask_rules IS 'tells every session';
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON warden.exemptions FOR EACH STATEMENT EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER policy_changed ON warden.exemptions IS 'tells every session';
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
	ON warden.allowed_functions FOR EACH STATEMENT EXECUTE FUNCTION warden.policy_changed();
COMMENT ON TRIGGER policy_changed ON warden.allowed_functions IS 'tells every session';

ALTER TABLE warden.semantic_types ENABLE ALWAYS TRIGGER policy_changed;
ALTER TABLE warden.mask_rules ENABLE ALWAYS TRIGGER policy_changed;
ALTER TABLE warden.exemptions ENABLE ALWAYS TRIGGER policy_changed;
ALTER TABLE warden.allowed_functions ENABLE ALWAYS TRIGGER policy_changed;
ALTER TABLE warden.semantic_types ENABLE ALWAYS TRIGGER check_policy_row;
ALTER TABLE warden.mask_rules ENABLE ALWAYS TRIGGER check_policy_row;

-- A restore inserts the built-in types too: the trigger makes an update of it.
SELECT pg_catalog.pg_extension_config_dump('warden.semantic_types', '');
-- What names a role or a table that is gone is dumped as a number, and another
-- one can have it where it is restored.
SELECT pg_catalog.pg_extension_config_dump('warden.mask_rules',
	'WHERE role::pg_catalog.oid IN (SELECT r.oid FROM pg_catalog.pg_roles r)');
SELECT pg_catalog.pg_extension_config_dump('warden.exemptions',
	'WHERE grantee::pg_catalog.oid IN (SELECT r.oid FROM pg_catalog.pg_roles r)
	AND (relation IS NULL OR relation::pg_catalog.oid IN (SELECT c.oid FROM pg_catalog.pg_class c))');
SELECT pg_catalog.pg_extension_config_dump('warden.exemptions_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('warden.allowed_functions', '');

CREATE FUNCTION warden.label_role(role pg_catalog.name, class pg_catalog.text)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_label_role';
REVOKE ALL ON FUNCTION warden.label_role(pg_catalog.name, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.label_role(pg_catalog.name, pg_catalog.text)
	IS 'labels a role: agent, agent, observe or masked; NULL removes the label';

CREATE FUNCTION warden.label_column("table" pg_catalog.regclass,
	"column" pg_catalog.name, label pg_catalog.text)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_label_column';
REVOKE ALL ON FUNCTION warden.label_column(pg_catalog.regclass, pg_catalog.name, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.label_column(pg_catalog.regclass, pg_catalog.name, pg_catalog.text)
	IS 'labels a column with a semantic type; NULL removes the label';

CREATE FUNCTION warden.define_type(name pg_catalog.text, mask pg_catalog.text,
	description pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_define_type';
REVOKE ALL ON FUNCTION warden.define_type(pg_catalog.text, pg_catalog.text, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.define_type(pg_catalog.text, pg_catalog.text, pg_catalog.text)
	IS 'makes a semantic type with its default mask';

CREATE FUNCTION warden.set_mask(semantic_type pg_catalog.text,
	mask pg_catalog.text, for_role pg_catalog.name DEFAULT NULL,
	unless pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_set_mask';
REVOKE ALL ON FUNCTION warden.set_mask(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.set_mask(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text)
	IS 'the mask of a semantic type, for everyone or for one role, perhaps unless a condition on the row holds';

CREATE FUNCTION warden.grant_exemption(grantee pg_catalog.name,
	target pg_catalog.text, until pg_catalog.timestamptz,
	reason pg_catalog.text)
RETURNS pg_catalog.int8
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_grant_exemption';
REVOKE ALL ON FUNCTION warden.grant_exemption(pg_catalog.name, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.grant_exemption(pg_catalog.name, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.text)
	IS 'lifts the masks of a semantic type, table or table.column for a role until a time';

CREATE FUNCTION warden.revoke_exemption(id pg_catalog.int8)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_revoke_exemption';
REVOKE ALL ON FUNCTION warden.revoke_exemption(pg_catalog.int8) FROM PUBLIC;
COMMENT ON FUNCTION warden.revoke_exemption(pg_catalog.int8) IS 'ends an exemption now';

CREATE FUNCTION warden.allow_function(function pg_catalog.regprocedure)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_allow_function';
REVOKE ALL ON FUNCTION warden.allow_function(pg_catalog.regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION warden.allow_function(pg_catalog.regprocedure)
	IS 'lets agents execute a function that the function gate would refuse';

CREATE FUNCTION warden.disallow_function(function pg_catalog.regprocedure)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_disallow_function';
REVOKE ALL ON FUNCTION warden.disallow_function(pg_catalog.regprocedure) FROM PUBLIC;
COMMENT ON FUNCTION warden.disallow_function(pg_catalog.regprocedure)
	IS 'takes a function from that list';

CREATE FUNCTION warden.coverage()
RETURNS TABLE (kind pg_catalog.text, object pg_catalog.text,
	"column" pg_catalog.text, label pg_catalog.text, detail pg_catalog.text)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE labelled AS (
	SELECT l.objoid AS relid, l.objsubid::int2 AS attnum, l.label,
		a.attname, c.relname, c.relkind
	FROM pg_seclabel l
	JOIN pg_class c ON c.oid = l.objoid
	JOIN pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid
	WHERE l.provider = 'warden' AND l.classoid = 'pg_class'::regclass
		AND l.objsubid > 0
), tree AS (
	SELECT relid, relid AS root FROM labelled
	UNION
	SELECT CASE t.relid WHEN i.inhparent THEN i.inhrelid ELSE i.inhparent END, t.root
	FROM tree t JOIN pg_inherits i ON t.relid IN (i.inhparent, i.inhrelid)
), held AS (
	SELECT relid, attnum, label, attname, relname FROM labelled
	UNION
	SELECT a.attrelid, a.attnum, l.label, a.attname, c.relname
	FROM tree t
	JOIN labelled l ON l.relid = t.root
	JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = l.attname AND NOT a.attisdropped
	JOIN pg_class c ON c.oid = t.relid
	WHERE t.relid <> t.root AND NOT EXISTS (SELECT FROM labelled x WHERE x.relid = a.attrelid AND x.attnum = a.attnum)
), dependent AS (
	SELECT d.classid, d.objid, l.relid, l.attnum, l.attname, l.label
	FROM held l
	JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass
		AND d.refobjid = l.relid AND d.refobjsubid IN (l.attnum, 0)
	WHERE d.deptype IN ('n', 'a', 'i')
), views AS (
	SELECT r.ev_class AS relid, d.relid AS source, d.attname, d.label
	FROM dependent d JOIN pg_rewrite r ON r.oid = d.objid
	WHERE d.classid = 'pg_rewrite'::regclass AND r.ev_class <> d.relid
	UNION
	SELECT r.ev_class, v.source, v.attname, v.label
	FROM views v
	JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass
		AND d.refobjid = v.relid AND d.classid = 'pg_rewrite'::regclass
	JOIN pg_rewrite r ON r.oid = d.objid
	WHERE r.ev_class <> v.relid
)
SELECT CASE l.relkind WHEN 'f' THEN 'foreign table' WHEN 'm' THEN 'materialized view'
		WHEN 'p' THEN 'partitioned table' ELSE 'table' END,
	l.relid::regclass::text, l.attname::text, l.label,
	'mask ' || CASE WHEN t.mask IS NULL THEN 'full, the type is not defined'
		WHEN held.mask IN (t.mask, 'refused') THEN t.mask
		ELSE held.mask || ', by a stricter label in its tree' END
FROM labelled l
LEFT JOIN warden.semantic_types t ON t.name = btrim(split_part(l.label, ',', 1))
-- for nobody: no role's rules or exemptions
CROSS JOIN LATERAL warden.mask_for('-'::regrole, l.relid, l.attnum) AS held (mask)
UNION ALL
SELECT DISTINCT 'inherited', a.attrelid::regclass::text, a.attname::text, l.label,
	'labelled through ' || l.relid::regclass::text
FROM tree t
JOIN labelled l ON l.relid = t.root
JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = l.attname AND NOT a.attisdropped
WHERE t.relid <> t.root AND NOT EXISTS (SELECT FROM labelled x WHERE x.relid = a.attrelid AND x.attnum = a.attnum)
UNION ALL
SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'materialized view' WHEN 'v' THEN 'view' ELSE 'rule' END,
	c.oid::regclass::text, v.attname::text, v.label,
	CASE c.relkind WHEN 'm' THEN 'holds copies of ' || v.source::regclass::text || ': refused to governed roles until its columns are labelled'
		WHEN 'v' THEN 'reads ' || v.source::regclass::text || ', masked'
		ELSE 'a rule reads ' || v.source::regclass::text END
FROM views v JOIN pg_class c ON c.oid = v.relid
UNION ALL
SELECT DISTINCT 'function', d.objid::regprocedure::text, d.attname::text, d.label,
	'its body reads ' || d.relid::regclass::text || ', masked'
FROM dependent d WHERE d.classid = 'pg_proc'::regclass
UNION ALL
SELECT DISTINCT 'function', p.oid::regprocedure::text, NULL, NULL,
	'its text names ' || l.relid::regclass::text || CASE WHEN p.prosecdef THEN ', SECURITY DEFINER' ELSE '' END
FROM held l
JOIN pg_proc p ON p.prosqlbody IS NULL AND p.prosrc ~* ('\m' || regexp_replace(l.relname, '([^[:alnum:]_])', '\\\1', 'g') || '\M')
JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'warden')
UNION ALL
SELECT DISTINCT 'index', d.objid::regclass::text, d.attname::text, d.label,
	'keys hold raw values; its statistics are hidden'
FROM dependent d
JOIN pg_index i ON i.indexrelid = d.objid
JOIN pg_class c ON c.oid = d.objid AND NOT c.relispartition
JOIN pg_depend e ON e.classid = d.classid AND e.objid = d.objid
	AND e.refobjid = d.relid AND e.refobjsubid = d.attnum
WHERE d.classid = 'pg_class'::regclass
UNION ALL
SELECT DISTINCT 'statistics', s.stxnamespace::regnamespace::text || '.' || quote_ident(s.stxname),
	d.attname::text, d.label, 'holds raw values, hidden'
FROM dependent d JOIN pg_statistic_ext s ON s.oid = d.objid
WHERE d.classid = 'pg_statistic_ext'::regclass
UNION ALL
SELECT DISTINCT 'trigger', l.relid::regclass::text || '.' || quote_ident(g.tgname), NULL, NULL,
	'its function ' || g.tgfoid::regprocedure::text || ' sees raw rows'
FROM held l JOIN pg_trigger g ON g.tgrelid = l.relid AND NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT DISTINCT CASE WHEN a.attgenerated <> '' THEN 'generated column' ELSE 'default' END,
	f.adrelid::regclass::text, a.attname::text, d.label,
	'computed from ' || d.attname || ', treated as labelled'
FROM dependent d
JOIN pg_attrdef f ON f.oid = d.objid
JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
WHERE d.classid = 'pg_attrdef'::regclass AND a.attnum <> d.attnum
UNION ALL
SELECT DISTINCT 'constraint', l.relid::regclass::text || '.' || quote_ident(o.conname),
	l.attname::text, l.label, pg_get_constraintdef(o.oid)
FROM held l JOIN pg_constraint o ON o.conrelid = l.relid AND l.attnum = ANY (o.conkey) AND o.coninhcount = 0
UNION ALL
SELECT DISTINCT 'policy', y.polrelid::regclass::text || '.' || quote_ident(y.polname),
	d.attname::text, d.label, 'works on raw values: a declared disclosure'
FROM dependent d JOIN pg_policy y ON y.oid = d.objid
WHERE d.classid = 'pg_policy'::regclass
UNION ALL
SELECT DISTINCT 'column of rows', a.attrelid::regclass::text, a.attname::text, NULL,
	'can hold rows of ' || l.relid::regclass::text || ', and is not labelled'
FROM held l
JOIN pg_type r ON r.typrelid = l.relid
JOIN pg_type t ON r.oid IN (t.oid, t.typelem, t.typbasetype)
JOIN pg_attribute a ON a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f', 'm')
WHERE NOT EXISTS (SELECT FROM held x WHERE x.relid = a.attrelid AND x.attnum = a.attnum)
UNION ALL
SELECT DISTINCT 'publication', quote_ident(p.pubname), NULL, NULL,
	'replicates raw values of ' || l.relid::regclass::text
FROM held l
JOIN pg_class c ON c.oid = l.relid
JOIN pg_publication p ON p.puballtables
	OR EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)
	OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = l.relid
		AND (r.prattrs IS NULL OR l.attnum = ANY (r.prattrs)))
UNION ALL
SELECT DISTINCT 'foreign table', f.ftrelid::regclass::text, a.attname::text, NULL,
	'not labelled, and named like the labelled ' || l.relid::regclass::text || '.' || quote_ident(l.attname)
FROM held l
JOIN pg_foreign_table f ON f.ftrelid <> l.relid
JOIN pg_class c ON c.oid = f.ftrelid
JOIN pg_attribute a ON a.attrelid = f.ftrelid AND a.attnum > 0 AND NOT a.attisdropped
	AND (a.attname = l.attname OR ('column_name=' || l.attname) = ANY (a.attfdwoptions))
WHERE (c.relname = l.relname OR ('table_name=' || l.relname) = ANY (f.ftoptions))
	AND NOT EXISTS (SELECT FROM held x WHERE x.relid = a.attrelid AND x.attnum = a.attnum)
ORDER BY 1, 2, 3, 5
$$;
REVOKE ALL ON FUNCTION warden.coverage() FROM PUBLIC;
COMMENT ON FUNCTION warden.coverage()
	IS 'every labelled column, and everything through which its values could be copied or seen';

CREATE FUNCTION warden.column_label(relation pg_catalog.oid, attnum pg_catalog.int2)
RETURNS pg_catalog.text
LANGUAGE c STABLE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_column_label';
REVOKE ALL ON FUNCTION warden.column_label(pg_catalog.oid, pg_catalog.int2) FROM PUBLIC;
COMMENT ON FUNCTION warden.column_label(pg_catalog.oid, pg_catalog.int2)
	IS 'the semantic type by which a column is labelled, itself or through its tree, or NULL';

CREATE FUNCTION warden.suggest_labels(sample_rows pg_catalog.int4 DEFAULT 1000)
RETURNS TABLE (relation pg_catalog.regclass, "column" pg_catalog.name,
	semantic_type pg_catalog.text, reason pg_catalog.text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	candidate record;
	pattern record;
	matches float8;
BEGIN
	FOR candidate IN
		SELECT c.oid::regclass AS rel, a.attname, t.typcategory, t.typname
		FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition
			AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'warden', 'pg_toast')
			AND n.nspname NOT LIKE 'pg\_temp%'
			AND warden.column_label(c.oid, a.attnum) IS NULL
		ORDER BY n.nspname, c.relname, a.attnum
	LOOP
		relation := candidate.rel;
		"column" := candidate.attname;
		semantic_type := CASE
			WHEN candidate.attname ~* '(^|_)(ssn|social_security|national_id|tax_id|nin)(_|$|[0-9])' THEN 'ssn'
			WHEN candidate.attname ~* 'e_?mail' THEN 'email'
			WHEN candidate.attname ~* '(phone|mobile|(^|_)tel(_|$)|(^|_)fax(_|$))' THEN 'phone'
			WHEN candidate.attname ~* '(card_?(no|num|number)|(^|_)pan(_|$)|credit_?card)' THEN 'card'
			WHEN candidate.attname ~* '(birth|(^|_)dob(_|$))' THEN 'birth_date'
			WHEN candidate.attname ~* '(first|last|full|middle|maiden|family|given|sur)_?name' THEN 'name'
			WHEN candidate.attname ~* '(passw|secret|api_?key|private_?key|credential)' THEN 'secret'
			WHEN candidate.attname ~* '(^|_)ip(_|$|addr)' OR candidate.typname = 'inet' THEN 'ip'
			WHEN candidate.attname ~* '(^|_)token(_|$)' THEN 'token'
			WHEN candidate.attname ~* '(salary|income|diagnos|religio|ethnic|iban|passport|address|street)' THEN 'full'
		END;
		IF semantic_type IS NOT NULL THEN
			reason := 'the name of the column';
			RETURN NEXT;
			CONTINUE;
		END IF;
		-- Policies call functions of the table's owner, with the caller's rights.
		CONTINUE WHEN candidate.typcategory <> 'S'
			OR NOT has_column_privilege(candidate.rel, candidate.attname, 'SELECT')
			OR row_security_active(candidate.rel);
		FOR pattern IN
			SELECT * FROM (VALUES
				('ssn', '^[0-9]{3}-[0-9]{2}-[0-9]{4}$'),
				('email', '^[^@[:space:]]+@[^@[:space:]]+\.[a-zA-Z]{2,}$'),
				('card', '^[0-9]{4}([ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}$'),
				('phone', '^\+?[0-9][-0-9 ().]{6,18}[0-9]$'),
				('ip', '^[0-9]{1,3}(\.[0-9]{1,3}){3}$')) AS p (type, regex)
		LOOP
			BEGIN
				EXECUTE format('SELECT avg((v::text ~ $1)::int) FROM (SELECT %I AS v FROM %s WHERE %1$I IS NOT NULL LIMIT $2) s',
					candidate.attname, candidate.rel)
					INTO matches USING pattern.regex, sample_rows;
			EXCEPTION WHEN OTHERS THEN
				-- A server out of reach, a view that was never filled.
				EXIT;
			END;
			IF matches >= 0.5 THEN
				semantic_type := pattern.type;
				reason := format('%s %% of the values sampled look like it', round(matches::numeric * 100));
				RETURN NEXT;
				EXIT;
			END IF;
		END LOOP;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION warden.suggest_labels(pg_catalog.int4) FROM PUBLIC;
COMMENT ON FUNCTION warden.suggest_labels(pg_catalog.int4)
	IS 'unlabelled columns whose name or content suggests personal data; reads a sample of each text column that the caller may read past row security';

GRANT EXECUTE ON FUNCTION warden.column_label(pg_catalog.oid, pg_catalog.int2),
	warden.coverage(), warden.suggest_labels(pg_catalog.int4)
	TO warden_admin;

CREATE FUNCTION warden.see_as(agent pg_catalog.text, sql pg_catalog.text)
RETURNS SETOF pg_catalog.jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'warden_sql_see_as';
REVOKE ALL ON FUNCTION warden.see_as(pg_catalog.text, pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.see_as(pg_catalog.text, pg_catalog.text)
	IS 'the rows of a query as an agent would get them, for administrators';
GRANT EXECUTE ON FUNCTION warden.see_as(pg_catalog.text, pg_catalog.text) TO warden_admin;

CREATE FUNCTION warden.statistics_visible(relation pg_catalog.oid,
	attnum pg_catalog.int2)
RETURNS pg_catalog.bool
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_statistics_visible';
COMMENT ON FUNCTION warden.statistics_visible(pg_catalog.oid, pg_catalog.int2)
	IS 'whether the session may see statistics of a column; filters pg_statistic for governed roles';

CREATE FUNCTION warden.extended_statistics_visible(statistics pg_catalog.oid)
RETURNS pg_catalog.bool
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'warden_sql_extended_statistics_visible';
COMMENT ON FUNCTION warden.extended_statistics_visible(pg_catalog.oid)
	IS 'the same for an extended statistics object';

GRANT SELECT ON TABLE warden.semantic_types, warden.mask_rules,
	warden.exemptions, warden.allowed_functions
	TO warden_admin, warden_reviewer, warden_auditor;
GRANT EXECUTE ON FUNCTION
	warden.label_role(pg_catalog.name, pg_catalog.text),
	warden.label_column(pg_catalog.regclass, pg_catalog.name, pg_catalog.text),
	warden.define_type(pg_catalog.text, pg_catalog.text, pg_catalog.text),
	warden.set_mask(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text),
	warden.grant_exemption(pg_catalog.name, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.text),
	warden.revoke_exemption(pg_catalog.int8),
	warden.allow_function(pg_catalog.regprocedure),
	warden.disallow_function(pg_catalog.regprocedure)
	TO warden_admin;
GRANT EXECUTE ON FUNCTION
	warden.statistics_visible(pg_catalog.oid, pg_catalog.int2),
	warden.extended_statistics_visible(pg_catalog.oid)
	TO PUBLIC;

-- ---------------------------------------------------------------------
-- Identity: agents, tokens, people, delegation, enter and leave (identity.c)
-- ---------------------------------------------------------------------

-- [identity section]

CREATE TABLE warden.agents (
	agent text COLLATE "C" PRIMARY KEY,
	role regrole NOT NULL,
	apply_role regrole,
	description text,
	enabled boolean NOT NULL DEFAULT true,
	require_on_behalf_of boolean NOT NULL DEFAULT false,
	max_rows integer DEFAULT 1000 CHECK (max_rows OPERATOR(pg_catalog.>) 0),
	statement_timeout text DEFAULT '60s',
	lock_timeout text DEFAULT '10s',
	work_mem text,
	temp_file_limit text,
	max_calls integer CHECK (max_calls OPERATOR(pg_catalog.>) 0),
	statements_per_hour integer
		CHECK (statements_per_hour OPERATOR(pg_catalog.>) 0),
	rows_per_hour bigint CHECK (rows_per_hour OPERATOR(pg_catalog.>) 0),
	person_statements_per_hour integer
		CHECK (person_statements_per_hour OPERATOR(pg_catalog.>) 0),
	person_rows_per_hour bigint
		CHECK (person_rows_per_hour OPERATOR(pg_catalog.>) 0),
	max_open_changes integer
		CHECK (max_open_changes OPERATOR(pg_catalog.>) 0),
	changes_per_hour integer
		CHECK (changes_per_hour OPERATOR(pg_catalog.>) 0),
	keep_images boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by regrole
);
COMMENT ON TABLE warden.agents IS 'agents, the role each one runs as, and its limits; made by warden.create_agent, limits are set with UPDATE';
COMMENT ON COLUMN warden.agents.agent IS 'name of the agent';
COMMENT ON COLUMN warden.agents.role IS 'role that its statements run as';
COMMENT ON COLUMN warden.agents.apply_role IS 'role that its approved changes are applied as; NULL: they can be approved and not applied';
COMMENT ON COLUMN warden.agents.description IS 'what it is for';
COMMENT ON COLUMN warden.agents.enabled IS 'may act; see warden.disable_agent';
COMMENT ON COLUMN warden.agents.require_on_behalf_of IS 'acts only for a person, never for itself';
COMMENT ON COLUMN warden.agents.max_rows IS 'rows that one result is cut at; NULL: no limit';
COMMENT ON COLUMN warden.agents.statement_timeout IS 'highest statement_timeout, written as the setting; NULL: no limit';
COMMENT ON COLUMN warden.agents.lock_timeout IS 'highest lock_timeout, written as the setting; NULL: no limit';
COMMENT ON COLUMN warden.agents.work_mem IS 'highest work_mem, written as the setting; NULL: no limit';
COMMENT ON COLUMN warden.agents.temp_file_limit IS 'highest temp_file_limit, written as the setting; NULL: no limit';
COMMENT ON COLUMN warden.agents.max_calls IS 'calls or statements that it may run at once; NULL: no limit';
COMMENT ON COLUMN warden.agents.statements_per_hour IS 'statements in a clock hour; NULL: no limit';
COMMENT ON COLUMN warden.agents.rows_per_hour IS 'rows sent in a clock hour, beyond which statements are refused; NULL: no limit';
COMMENT ON COLUMN warden.agents.person_statements_per_hour IS 'statements in a clock hour for one person, through whichever agent; NULL: no limit';
COMMENT ON COLUMN warden.agents.person_rows_per_hour IS 'rows sent in a clock hour for one person, through whichever agent; NULL: no limit';
COMMENT ON COLUMN warden.agents.max_open_changes IS 'changes of its that may wait for people at once; NULL: no limit';
COMMENT ON COLUMN warden.agents.changes_per_hour IS 'changes that it may propose in an hour; NULL: no limit';
COMMENT ON COLUMN warden.agents.keep_images IS 'rows that its changes touch are kept for warden.revert()';
COMMENT ON COLUMN warden.agents.created_at IS 'when it was made';
COMMENT ON COLUMN warden.agents.created_by IS 'login role that made it';
CREATE INDEX agents_role_idx ON warden.agents (role);
REVOKE ALL ON warden.agents FROM PUBLIC;

CREATE TABLE warden.agent_tokens (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	agent text COLLATE "C" NOT NULL
		REFERENCES warden.agents (agent) ON DELETE CASCADE,
	digest bytea NOT NULL UNIQUE
		CHECK (pg_catalog.length(digest) OPERATOR(pg_catalog.=) 32),
	on_behalf_of text,
	issued_by regrole NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz
);
COMMENT ON TABLE warden.agent_tokens IS 'digests of the tokens that agents badge in with; nobody but a superuser reads it, see warden.tokens; not dumped';
COMMENT ON COLUMN warden.agent_tokens.id IS 'number of the token';
COMMENT ON COLUMN warden.agent_tokens.agent IS 'the agent that it stands for';
COMMENT ON COLUMN warden.agent_tokens.digest IS 'digest of the token, which is kept nowhere';
COMMENT ON COLUMN warden.agent_tokens.on_behalf_of IS 'the person that it is bound to, if any';
COMMENT ON COLUMN warden.agent_tokens.issued_by IS 'login role that issued it, and can not approve what comes of it';
COMMENT ON COLUMN warden.agent_tokens.created_at IS 'when it was issued';
COMMENT ON COLUMN warden.agent_tokens.expires_at IS 'its end';
COMMENT ON COLUMN warden.agent_tokens.revoked_at IS 'when it was revoked';
CREATE INDEX agent_tokens_agent_idx ON warden.agent_tokens (agent);
REVOKE ALL ON warden.agent_tokens FROM PUBLIC;

CREATE VIEW warden.tokens WITH (security_barrier) AS
	SELECT t.id, t.agent, t.on_behalf_of, t.issued_by, t.created_at,
		t.expires_at, t.revoked_at,
		t.revoked_at IS NULL
			AND t.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()
			AND a.enabled
			AND EXISTS (SELECT FROM pg_catalog.pg_shseclabel l
				WHERE l.provider OPERATOR(pg_catalog.=) 'warden'
				AND l.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
				AND l.objoid OPERATOR(pg_catalog.=) a.role) AS valid
	FROM warden.agent_tokens t
	JOIN warden.agents a ON a.agent OPERATOR(pg_catalog.=) t.agent;
COMMENT ON VIEW warden.tokens IS 'tokens without what they are checked against';
COMMENT ON COLUMN warden.tokens.id IS 'number of the token, for warden.revoke_token';
COMMENT ON COLUMN warden.tokens.agent IS 'the agent that it stands for';
COMMENT ON COLUMN warden.tokens.on_behalf_of IS 'the person that it is bound to, if any';
COMMENT ON COLUMN warden.tokens.issued_by IS 'login role that issued it';
COMMENT ON COLUMN warden.tokens.created_at IS 'when it was issued';
COMMENT ON COLUMN warden.tokens.expires_at IS 'its end';
COMMENT ON COLUMN warden.tokens.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN warden.tokens.valid IS 'can be used now';
REVOKE ALL ON warden.tokens FROM PUBLIC;

CREATE TABLE warden.delegations (
	agent text COLLATE "C" NOT NULL
		REFERENCES warden.agents (agent) ON DELETE CASCADE,
	person_pattern text COLLATE "C" NOT NULL,
	PRIMARY KEY (agent, person_pattern)
);
COMMENT ON TABLE warden.delegations IS 'persons that an agent may say it acts for; those cannot approve what it then proposes';
COMMENT ON COLUMN warden.delegations.agent IS 'the agent';
COMMENT ON COLUMN warden.delegations.person_pattern IS 'a person, with * for any text and ? for one character';
REVOKE ALL ON warden.delegations FROM PUBLIC;

CREATE TABLE warden.people (
	person text COLLATE "C" NOT NULL,
	role regrole NOT NULL UNIQUE,
	PRIMARY KEY (person, role)
);
COMMENT ON TABLE warden.people IS 'whose login a role is; approvals are counted by person';
COMMENT ON COLUMN warden.people.person IS 'the person, as agents name it in on_behalf_of';
COMMENT ON COLUMN warden.people.role IS 'a login role of that person''s';
REVOKE ALL ON warden.people FROM PUBLIC;

CREATE TABLE warden.identity_issuers (
	issuer text COLLATE "C" PRIMARY KEY,
	audience text NOT NULL,
	scope text,
	leeway integer NOT NULL DEFAULT 30
		CHECK (leeway OPERATOR(pg_catalog.>=) 0
			AND leeway OPERATOR(pg_catalog.<=) 300),
	enabled boolean NOT NULL DEFAULT true,
	jwks_uri text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE warden.identity_issuers IS 'who may issue JWTs that agents badge in with';
COMMENT ON COLUMN warden.identity_issuers.issuer IS 'the claim iss';
COMMENT ON COLUMN warden.identity_issuers.audience IS 'must be the claim aud, or in it: this database as the issuer knows it';
COMMENT ON COLUMN warden.identity_issuers.scope IS 'words that the claim scope must have, all of them; NULL: none';
COMMENT ON COLUMN warden.identity_issuers.leeway IS 'seconds by which clocks may differ';
COMMENT ON COLUMN warden.identity_issuers.enabled IS 'its tokens are taken';
COMMENT ON COLUMN warden.identity_issuers.jwks_uri IS 'where its public keys are published, for warden-mcp --refresh-keys';
COMMENT ON COLUMN warden.identity_issuers.created_at IS 'when it was put on file';
REVOKE ALL ON warden.identity_issuers FROM PUBLIC;

CREATE TABLE warden.identity_keys (
	issuer text COLLATE "C" NOT NULL
		REFERENCES warden.identity_issuers (issuer) ON DELETE CASCADE,
	kid text COLLATE "C" NOT NULL,
	algorithm text NOT NULL CHECK (algorithm IN ('RS256', 'ES256', 'EdDSA')),
	spki bytea NOT NULL,
	set_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	set_by regrole,
	PRIMARY KEY (issuer, kid, spki)
);
COMMENT ON TABLE warden.identity_keys IS 'public keys of issuers; set with warden.set_identity_keys';
COMMENT ON COLUMN warden.identity_keys.issuer IS 'whose it is';
COMMENT ON COLUMN warden.identity_keys.kid IS 'its name in the issuer''s set, empty where it has none';
COMMENT ON COLUMN warden.identity_keys.algorithm IS 'the one algorithm that it is for';
COMMENT ON COLUMN warden.identity_keys.spki IS 'the public key (SubjectPublicKeyInfo in DER)';
COMMENT ON COLUMN warden.identity_keys.set_at IS 'when it was set';
COMMENT ON COLUMN warden.identity_keys.set_by IS 'login role that set it';
REVOKE ALL ON warden.identity_keys FROM PUBLIC;

CREATE TABLE warden.identity_subjects (
	issuer text COLLATE "C" NOT NULL
		REFERENCES warden.identity_issuers (issuer) ON DELETE CASCADE,
	subject_claim text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	agent text COLLATE "C" NOT NULL
		REFERENCES warden.agents (agent) ON DELETE CASCADE,
	on_behalf_of text,
	person_claim text,
	issued_after timestamptz,
	PRIMARY KEY (issuer, subject_claim, subject),
	CHECK (on_behalf_of IS NULL OR person_claim IS NULL)
);
COMMENT ON TABLE warden.identity_subjects IS 'which agent a JWT stands for; set with warden.map_subject';
COMMENT ON COLUMN warden.identity_subjects.issuer IS 'issuer of the JWT';
COMMENT ON COLUMN warden.identity_subjects.subject_claim IS 'claim that is looked at';
COMMENT ON COLUMN warden.identity_subjects.subject IS 'what it must be, with * for any text and ? for one character; an exact one goes before patterns, two patterns that match are none';
COMMENT ON COLUMN warden.identity_subjects.agent IS 'the agent';
COMMENT ON COLUMN warden.identity_subjects.on_behalf_of IS 'the person that it is bound to, if always the same';
COMMENT ON COLUMN warden.identity_subjects.person_claim IS 'claim that names the person, if any';
COMMENT ON COLUMN warden.identity_subjects.issued_after IS 'JWTs issued before (claim iat) are void, and those that do not say; NULL: none is';
CREATE INDEX identity_subjects_agent_idx ON warden.identity_subjects (agent);
REVOKE ALL ON warden.identity_subjects FROM PUBLIC;

CREATE FUNCTION warden.guard_registry() RETURNS trigger
	AS 'MODULE_PATHNAME', 'warden_sql_guard_registry'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.guard_registry() FROM PUBLIC;
COMMENT ON FUNCTION warden.guard_registry() IS 'checks the rows of the registry and makes every session look again';

CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.agents
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.agent_tokens
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.delegations
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.people
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.agents
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.agent_tokens
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.delegations
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.people
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
COMMENT ON TRIGGER guard_registry ON warden.agents IS 'rows are checked and changes take effect at once';
COMMENT ON TRIGGER guard_registry ON warden.agent_tokens IS 'changes take effect at once';
COMMENT ON TRIGGER guard_registry ON warden.delegations IS 'rows are checked and changes take effect at once';
COMMENT ON TRIGGER guard_registry ON warden.people IS 'rows are checked and changes take effect at once';
COMMENT ON TRIGGER guard_truncate ON warden.agents IS 'changes take effect at once';
COMMENT ON TRIGGER guard_truncate ON warden.agent_tokens IS 'changes take effect at once';
COMMENT ON TRIGGER guard_truncate ON warden.delegations IS 'changes take effect at once';
COMMENT ON TRIGGER guard_truncate ON warden.people IS 'changes take effect at once';

CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.identity_issuers
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.identity_issuers
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
COMMENT ON TRIGGER guard_registry ON warden.identity_issuers IS 'edits are a person''s and are audited';
COMMENT ON TRIGGER guard_truncate ON warden.identity_issuers IS 'edits are a person''s';
ALTER TABLE warden.identity_issuers ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.identity_issuers ENABLE ALWAYS TRIGGER guard_truncate;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.identity_keys
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.identity_keys
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
COMMENT ON TRIGGER guard_registry ON warden.identity_keys IS 'edits are a person''s and are audited';
COMMENT ON TRIGGER guard_truncate ON warden.identity_keys IS 'edits are a person''s';
ALTER TABLE warden.identity_keys ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.identity_keys ENABLE ALWAYS TRIGGER guard_truncate;
CREATE TRIGGER guard_registry BEFORE INSERT OR UPDATE OR DELETE
	ON warden.identity_subjects
	FOR EACH ROW EXECUTE FUNCTION warden.guard_registry();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.identity_subjects
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_registry();
COMMENT ON TRIGGER guard_registry ON warden.identity_subjects IS 'edits are a person''s and are audited';
COMMENT ON TRIGGER guard_truncate ON warden.identity_subjects IS 'edits are a person''s';
ALTER TABLE warden.identity_subjects ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.identity_subjects ENABLE ALWAYS TRIGGER guard_truncate;

-- They fire for session_replication_role = replica as well.
ALTER TABLE warden.agents ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.agents ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.agent_tokens ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.agent_tokens ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.delegations ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.delegations ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.people ENABLE ALWAYS TRIGGER guard_registry;
ALTER TABLE warden.people ENABLE ALWAYS TRIGGER guard_truncate;

CREATE FUNCTION warden.enter(token text, on_behalf_of text, request jsonb,
		leave_key text)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_enter'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.enter(text, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.enter(text, text, jsonb, text) IS 'binds a gateway''s session to an agent until warden.leave or the end of the transaction; send credential and key as bind parameters, and set log_parameter_max_length and log_parameter_max_length_on_error to 0 for the gateway''s role so that no log shows them';

CREATE FUNCTION warden.leave(leave_key text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'warden_sql_leave'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.leave(text) FROM PUBLIC;
COMMENT ON FUNCTION warden.leave(text) IS 'ends the binding made by warden.enter, for who knows its key, and tells what the call did';

CREATE FUNCTION warden.whoami() RETURNS jsonb
	AS 'MODULE_PATHNAME', 'warden_sql_whoami'
	LANGUAGE C STRICT STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.whoami() FROM PUBLIC;
COMMENT ON FUNCTION warden.whoami() IS 'agent, person, roles, class and limits of this session';

CREATE FUNCTION warden.create_agent(agent text, role name,
		apply_role name DEFAULT NULL, description text DEFAULT NULL,
		create_role boolean DEFAULT false, read_schemas name[] DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_create_agent'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.create_agent(text, name, name, text, boolean, name[]) FROM PUBLIC;
COMMENT ON FUNCTION warden.create_agent(text, name, name, text, boolean, name[]) IS 'registers an agent that runs as the role, labels the role if it is not, and lets the gateway set it; can make the role (NOLOGIN NOINHERIT) and let it read the tables in schemas';

CREATE FUNCTION warden.disable_agent(agent text) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_disable_agent'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.disable_agent(text) FROM PUBLIC;
COMMENT ON FUNCTION warden.disable_agent(text) IS 'stops an agent: revokes its tokens, cancels what it runs, refuses its next call';

CREATE FUNCTION warden.enable_agent(agent text) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_enable_agent'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.enable_agent(text) FROM PUBLIC;
COMMENT ON FUNCTION warden.enable_agent(text) IS 'lets a disabled agent act again; it needs new tokens';

CREATE FUNCTION warden.issue_token(agent text, on_behalf_of text DEFAULT NULL,
		valid_for interval DEFAULT '90 days')
	RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_issue_token'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.issue_token(text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION warden.issue_token(text, text, interval) IS 'makes a token for an agent, bound to a person if one is named; shown once and stored nowhere';

CREATE FUNCTION warden.revoke_token(id bigint) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_revoke_token'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.revoke_token(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.revoke_token(bigint) IS 'makes a token of warden.tokens useless';

CREATE FUNCTION warden.allow_delegation(agent text, person_pattern text)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_allow_delegation'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.allow_delegation(text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.allow_delegation(text, text) IS 'lets an agent say that it acts for persons matching the pattern (* and ?)';

CREATE FUNCTION warden.add_person(person text, role name) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_add_person'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.add_person(text, name) FROM PUBLIC;
COMMENT ON FUNCTION warden.add_person(text, name) IS 'says whose login a role is';

CREATE FUNCTION warden.set_issuer(issuer text, audience text,
		jwks_uri text DEFAULT NULL, scope text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_set_issuer'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.set_issuer(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.set_issuer(text, text, text, text) IS 'puts an issuer of JWTs on file, or changes what its tokens must say';

CREATE FUNCTION warden.set_identity_keys(issuer text, jwks jsonb)
	RETURNS integer
	AS 'MODULE_PATHNAME', 'warden_sql_set_identity_keys'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.set_identity_keys(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION warden.set_identity_keys(text, jsonb) IS 'replaces the public keys of an issuer by those of a JWK set; returns how many are usable';

CREATE FUNCTION warden.map_subject(issuer text, subject text, agent text,
		on_behalf_of text DEFAULT NULL, subject_claim text DEFAULT 'sub',
		person_claim text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_map_subject'
	LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.map_subject(text, text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.map_subject(text, text, text, text, text, text) IS 'maps a subject of an issuer to an agent, and to the person it acts for';

CREATE FUNCTION warden.acting_agents(OUT pid integer, OUT agent text,
		OUT on_behalf_of text, OUT login_role regrole, OUT role regrole,
		OUT bound boolean, OUT since timestamptz)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'warden_sql_acting_agents'
	LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.acting_agents() FROM PUBLIC;
COMMENT ON FUNCTION warden.acting_agents() IS 'sessions of this database that act as an agent at this moment';

CREATE FUNCTION warden.mask_for(role regrole, relation regclass,
		attnum smallint)
	RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_mask_for'
	LANGUAGE C STRICT STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.mask_for(regrole, regclass, smallint) FROM PUBLIC;
COMMENT ON FUNCTION warden.mask_for(regrole, regclass, smallint) IS 'the mask that an agent of the role sees of a column: clear, refused, or a mask';

CREATE FUNCTION warden.function_permitted(function oid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'warden_sql_function_permitted'
	LANGUAGE C STRICT STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.function_permitted(oid) FROM PUBLIC;
COMMENT ON FUNCTION warden.function_permitted(oid) IS 'whether agents may execute a function at all';

-- The one grantee that an ACL gives something to, of those the role gets
-- privileges from: itself, PUBLIC (-), or a role that it inherits from.
CREATE FUNCTION warden.granted_via(role oid, owner oid, acl aclitem[],
		privilege text)
	RETURNS text
	LANGUAGE SQL STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN owner = role THEN 'owner'
		WHEN pg_has_role(role, owner, 'USAGE') THEN owner::regrole::text
		ELSE (SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' WHEN role THEN 'own'
					ELSE g.grantee::regrole::text END
				FROM aclexplode(acl) g
				WHERE g.privilege_type = privilege
					AND (g.grantee = 0 OR pg_has_role(role, g.grantee, 'USAGE'))
				ORDER BY g.grantee <> role, g.grantee = 0, g.grantee
				LIMIT 1)
		END
	$$;
REVOKE ALL ON FUNCTION warden.granted_via(oid, oid, aclitem[], text) FROM PUBLIC;
COMMENT ON FUNCTION warden.granted_via(oid, oid, aclitem[], text) IS 'where a role has a privilege from: own, owner, another role, or PUBLIC alone';

CREATE FUNCTION warden.access_report(role name)
	RETURNS TABLE (kind text, object text, access text, mask text, via text)
	LANGUAGE SQL STABLE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE agent AS (
		SELECT quote_ident($1)::regrole::oid AS oid
	), memberships AS (
		SELECT m.roleid, m.roleid::regrole::text AS path
		FROM pg_auth_members m, agent a WHERE m.member = a.oid
		UNION
		SELECT m.roleid, s.path || ' > ' || m.roleid::regrole::text
		FROM memberships s JOIN pg_auth_members m ON m.member = s.roleid
	), schemas AS (
		SELECT n.oid, n.nspname, n.nspowner, n.nspacl
		FROM pg_namespace n, agent a
		WHERE n.nspname NOT LIKE 'pg\_%'
			AND n.nspname NOT IN ('information_schema', 'warden')
			AND has_schema_privilege(a.oid, n.oid, 'USAGE')
	), relations AS (
		SELECT c.oid, c.relowner, c.relkind,
			format('%I.%I', s.nspname, c.relname) AS name,
			coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
		FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
	), report AS (
		SELECT 1 AS part, 'membership' AS kind, s.roleid::regrole::text AS object,
			CASE WHEN pg_has_role(a.oid, s.roleid, 'USAGE')
				THEN 'inherits' ELSE 'member' END AS access,
			NULL AS mask, s.path AS via
		FROM memberships s, agent a
		UNION ALL
		SELECT 2, 'schema', quote_ident(s.nspname),
			CASE WHEN has_schema_privilege(a.oid, s.oid, 'CREATE')
				THEN 'use, propose DDL' ELSE 'use, propose DDL by grant' END,
			NULL, warden.granted_via(a.oid, s.nspowner,
				coalesce(s.nspacl, acldefault('n', s.nspowner)), 'USAGE')
		FROM schemas s, agent a
		UNION ALL
		SELECT 3, 'column', r.name || '.' || quote_ident(t.attname), 'read',
			CASE WHEN r.relkind = 'v' THEN 'as its tables'
				ELSE warden.mask_for(a.oid, r.oid, t.attnum) END,
			coalesce(warden.granted_via(a.oid, r.relowner, r.acl, 'SELECT'),
				warden.granted_via(a.oid, r.relowner, t.attacl, 'SELECT'))
		FROM relations r JOIN pg_attribute t ON t.attrelid = r.oid, agent a
		WHERE t.attnum > 0 AND NOT t.attisdropped
			AND has_column_privilege(a.oid, r.oid, t.attnum, 'SELECT')
		UNION ALL
		SELECT 4, 'table', r.name, 'propose ' || p.privilege, NULL,
			warden.granted_via(a.oid, r.relowner, r.acl, p.privilege)
		FROM relations r, agent a,
			unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p (privilege)
		WHERE has_table_privilege(a.oid, r.oid, p.privilege)
		UNION ALL
		SELECT 5, 'function', f.oid::regprocedure::text,
			CASE WHEN NOT warden.function_permitted(f.oid)
				THEN 'refused by the gate' ELSE 'call' END,
			NULL, warden.granted_via(a.oid, f.proowner,
				coalesce(f.proacl, acldefault('f', f.proowner)), 'EXECUTE')
		FROM pg_proc f JOIN schemas s ON s.oid = f.pronamespace, agent a
		WHERE has_function_privilege(a.oid, f.oid, 'EXECUTE')
	)
	SELECT r.kind, r.object, r.access, r.mask, r.via
	FROM report r ORDER BY r.part, r.object COLLATE "C", r.access
	$$;
REVOKE ALL ON FUNCTION warden.access_report(name) FROM PUBLIC;
COMMENT ON FUNCTION warden.access_report(name) IS 'everything that an agent of the role could read, call or propose, under which mask, and where it has the right from';

CREATE FUNCTION warden.agent_bar(role oid) RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_agent_bar'
	LANGUAGE C STRICT STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.agent_bar(oid) FROM PUBLIC;
COMMENT ON FUNCTION warden.agent_bar(oid) IS 'why a role can not act as an agent, or NULL';

CREATE FUNCTION warden.check()
	RETURNS TABLE (kind text, object text, problem text, hint text)
	LANGUAGE SQL STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE labelled AS (
		SELECT l.objoid AS oid, l.label FROM pg_shseclabel l
		WHERE l.provider = 'warden' AND l.classoid = 'pg_authid'::regclass
	), governed AS (
		SELECT r.oid, r.rolname, max(CASE l.label WHEN 'masked' THEN 1 ELSE 2 END) AS class
		FROM pg_roles r JOIN labelled l ON l.oid = r.oid
			OR (NOT r.rolsuper AND pg_has_role(r.oid, l.oid, 'USAGE'))
		GROUP BY r.oid, r.rolname
	), loading AS (
		SELECT s.setrole, s.setdatabase, c.value ~
			'(^|[=,/" ])pg_warden(\.so)?("? *,|"? *$)' AS ours
		FROM pg_db_role_setting s, unnest(s.setconfig) AS c (value)
		WHERE c.value LIKE 'session\_preload\_libraries=%'
	), columns AS (
		SELECT l.objoid AS relid, a.attname, btrim(split_part(l.label, ',', 1)) AS type
		FROM pg_seclabel l
		JOIN pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid
		WHERE l.provider = 'warden' AND l.classoid = 'pg_class'::regclass
	), tree AS (
		SELECT c.relid FROM columns c
		UNION
		SELECT CASE t.relid WHEN i.inhparent THEN i.inhrelid ELSE i.inhparent END
		FROM tree t JOIN pg_inherits i ON t.relid IN (i.inhparent, i.inhrelid)
	), code AS (
		SELECT DISTINCT d.refobjid::regprocedure AS function,
			coalesce(t.tgrelid, o.conrelid, x.indrelid, f.adrelid, y.polrelid) AS relid
		FROM pg_depend d
		LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
		LEFT JOIN pg_constraint o ON d.classid = 'pg_constraint'::regclass AND o.oid = d.objid
		LEFT JOIN pg_index x ON d.classid = 'pg_class'::regclass AND x.indexrelid = d.objid
		LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
			AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.adrelid
				AND a.attnum = f.adnum AND a.attgenerated <> '')
		LEFT JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
		WHERE d.refclassid = 'pg_proc'::regclass
	), report AS (
		SELECT 'agent' AS kind, a.agent AS object,
			format('its role %s does not exist any more', a.role) AS problem,
			'Delete it from warden.agents, or make it again with warden.create_agent().' AS hint
		FROM warden.agents a
		WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.role)
		UNION ALL
		SELECT 'mask', format('%s%s', m.type, ' for ' || m.role),
			format('its function %s does not exist any more: all values are hidden', m.function),
			format('SELECT warden.set_mask(%L, mask%s);', m.type, ', ' || quote_literal(m.role))
		FROM (SELECT s.name AS type, NULL::text AS role, s.mask FROM warden.semantic_types s
			UNION ALL
			SELECT r.semantic_type, r.role::text, r.mask FROM warden.mask_rules r) s,
			LATERAL (SELECT s.type, s.role, substring(s.mask FROM '^\s*func\s*\(\s*(.*?)\s*\)\s*$') AS function) m
		WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE ARRAY[n.nspname, p.proname]::text[] = parse_ident(m.function))
			AND m.function IS NOT NULL
		UNION ALL
		SELECT 'agent', a.agent,
			format(CASE WHEN EXISTS (SELECT FROM labelled l WHERE l.oid = a.role)
				THEN 'its role %s has the class masked, which writes by itself where it logs in'
				ELSE 'its role %s carries no label, so it is refused' END, a.role),
			format('SELECT warden.label_role(%L, ''agent'');', r.rolname)
		FROM warden.agents a JOIN pg_roles r ON r.oid = a.role
		WHERE NOT EXISTS (SELECT FROM governed g WHERE g.oid = a.role AND g.class = 2)
		UNION ALL
		SELECT 'agent', a.agent, format('its apply role %s %s', a.apply_role, p.problem),
			'Name another in warden.agents.apply_role; its changes can not be applied until then.'
		FROM warden.agents a LEFT JOIN pg_roles r ON r.oid = a.apply_role
		CROSS JOIN LATERAL (
			SELECT 'does not exist any more' AS problem WHERE r.oid IS NULL
			UNION ALL SELECT 'is a superuser' WHERE r.rolsuper
			UNION ALL SELECT 'is governed by a label'
			WHERE EXISTS (SELECT FROM governed g WHERE g.oid = r.oid)
			UNION ALL SELECT 'has the agents'' role ' || b.role || ' as a member'
			FROM (SELECT DISTINCT b.role FROM warden.agents b JOIN pg_roles m ON m.oid = b.role
				WHERE NOT m.rolsuper AND m.oid <> r.oid) b
			WHERE pg_has_role(b.role, r.oid, 'MEMBER')) p
		WHERE a.apply_role IS NOT NULL
		UNION ALL
		SELECT 'role', quote_ident(g.rolname),
			'it can not act as an agent: ' || warden.agent_bar(g.oid),
			'Take that right from it, or the label; its statements are refused until then.'
		FROM governed g
		WHERE g.class = 2 AND warden.agent_bar(g.oid) IS NOT NULL
			AND (EXISTS (SELECT FROM labelled l WHERE l.oid = g.oid)
				OR NOT pg_has_role(g.oid, 'warden_gateway', 'MEMBER'))
		UNION ALL
		SELECT 'role', l.oid::regrole::text,
			format('its label %L is not a class of roles and counts as agent', l.label),
			'Label it agent, masked or ''agent, observe''.'
		FROM labelled l WHERE l.label NOT IN ('agent', 'masked', 'agent, observe')
		UNION ALL
		SELECT 'role', quote_ident(r.rolname),
			format('its logins%s do not load pg_warden: if the shared preload line is lost, nothing governs them',
				' in database ' || quote_ident(d.datname)),
			CASE WHEN l.label IS NOT NULL
				THEN format('SELECT warden.label_role(%L, %L);', r.rolname, l.label)
				ELSE format('ALTER ROLE %I%s SET session_preload_libraries = ''pg_warden'';',
					r.rolname, ' IN DATABASE ' || quote_ident(d.datname)) END
		FROM pg_roles r
		LEFT JOIN labelled l ON l.oid = r.oid
		CROSS JOIN LATERAL (
			SELECT 0::oid AS database
			UNION SELECT s.setdatabase FROM loading s WHERE s.setrole = r.oid) p
		LEFT JOIN pg_database d ON d.oid = p.database
		WHERE (l.oid IS NOT NULL OR r.rolcanlogin AND NOT r.rolsuper
				AND (EXISTS (SELECT FROM governed g WHERE g.oid = r.oid)
					OR pg_has_role(r.oid, 'warden_gateway', 'MEMBER')))
			AND NOT EXISTS (SELECT FROM loading s WHERE s.setrole = r.oid
				AND s.setdatabase = p.database AND s.ours)
		UNION ALL
		SELECT 'table', c.oid::regclass::text,
			format('the masked role %s %s, and may not: its code could see raw rows', g.rolname,
				CASE WHEN c.relowner = g.oid THEN 'owns it' ELSE 'holds TRIGGER on it' END),
			CASE WHEN c.relowner = g.oid
				THEN format('ALTER TABLE %s OWNER TO another role; its statements on it are refused until then.', c.oid::regclass)
				ELSE format('REVOKE TRIGGER ON %s FROM the role; its statements on it are refused until then.', c.oid::regclass) END
		FROM tree t
		JOIN pg_class c ON c.oid = t.relid
		JOIN governed g ON g.class = 1 AND (c.relowner = g.oid
			OR has_table_privilege(g.oid, c.oid, 'TRIGGER'))
		UNION ALL
		SELECT 'function', k.function::text,
			format('it runs on raw rows of %s and belongs to the masked role %s, which can replace it',
				k.relid::regclass, g.rolname),
			format('ALTER FUNCTION %s OWNER TO another role.', k.function)
		FROM code k
		JOIN tree t ON t.relid = k.relid
		JOIN pg_proc p ON p.oid = k.function
		JOIN governed g ON g.class = 1 AND g.oid = p.proowner
		UNION ALL
		SELECT 'column', format('%s.%I', c.relid::regclass, c.attname),
			format('its label names the type %s, which is not defined: it is masked as full', c.type),
			format('SELECT warden.define_type(%L, mask);', c.type)
		FROM columns c
		WHERE NOT EXISTS (SELECT FROM warden.semantic_types t WHERE t.name = c.type)
		UNION ALL
		SELECT 'materialized view', c.oid::regclass::text,
			'it holds copies of labelled data and is refused to governed roles (WD004)',
			'Label its columns, ''none'' for those that are clear.'
		FROM pg_class c
		WHERE c.relkind = 'm'
			AND warden.mask_for('warden_admin'::regrole, c.oid, 1::smallint) = 'refused'
		UNION ALL
		SELECT 'exemption', e.id::text, CASE
				WHEN r.oid IS NULL THEN format('its grantee %s does not exist any more', e.grantee)
				WHEN c.oid IS NULL THEN format('its table %s does not exist any more', e.relation)
				ELSE format('column %s of %s is not %s any more, so it lifts nothing',
					e.attnum, e.relation, quote_ident(e.attname)) END,
			format('SELECT warden.revoke_exemption(%s); and grant it anew if it is still wanted.', e.id)
		FROM warden.exemptions e
		LEFT JOIN pg_roles r ON r.oid = e.grantee
		LEFT JOIN pg_class c ON c.oid = e.relation
		WHERE e.until > now() AND (r.oid IS NULL OR e.relation IS NOT NULL
			AND (c.oid IS NULL OR e.attnum <> 0 AND NOT EXISTS (
				SELECT FROM pg_attribute a WHERE a.attrelid = e.relation
					AND a.attnum = e.attnum AND a.attname = e.attname)))
		UNION ALL
		SELECT 'mask rule', m.semantic_type, format('its role %s does not exist any more', m.role),
			'Delete it from warden.mask_rules.'
		FROM warden.mask_rules m
		WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.role)
		UNION ALL
		SELECT 'person', p.person, format('the role %s does not exist any more', p.role),
			'Delete the row from warden.people.'
		FROM warden.people p
		WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.role)
		UNION ALL
		SELECT 'person', p.person, format('the role %s is governed by a label and can not approve', p.role),
			'A person approves with a login of their own: delete the row from warden.people.'
		FROM warden.people p
		WHERE EXISTS (SELECT FROM governed g WHERE g.oid = p.role)
		UNION ALL
		SELECT 'person', min(p.person),
			'mapped more than once: ' || string_agg(DISTINCT p.person, ', ' ORDER BY p.person)
				|| ' count as different persons when they approve',
			'Where they are the same person, give all their roles one name in warden.people.'
		FROM warden.people p
		GROUP BY lower(regexp_replace(p.person, '[[:space:]]', '', 'g'))
		HAVING count(DISTINCT p.person) > 1
		UNION ALL
		SELECT 'approval rule', concat_ws(' ', a.risk, a.scope),
			'its scope names nothing that there is, so it asks nobody',
			'Correct the scope in warden.approval_rules, or delete the rule.'
		FROM warden.approval_rules a
		WHERE a.scope <> ''
			AND NOT EXISTS (SELECT FROM pg_namespace n
				WHERE a.scope = 'schema:' || n.nspname)
			AND NOT EXISTS (SELECT FROM warden.semantic_types t
				WHERE a.scope = 'label:' || t.name)
			AND NOT EXISTS (SELECT FROM columns c
				WHERE a.scope = 'label:' || c.type)
	)
	SELECT r.kind, r.object, r.problem, r.hint FROM report r
	ORDER BY r.kind COLLATE "C", r.object COLLATE "C", r.problem COLLATE "C"
	$$;
REVOKE ALL ON FUNCTION warden.check() FROM PUBLIC;
COMMENT ON FUNCTION warden.check() IS 'what is wrong with the registry, labels and exemptions, and what to do about it; no row is good';

SELECT pg_catalog.pg_extension_config_dump('warden.agents', '');
SELECT pg_catalog.pg_extension_config_dump('warden.delegations', '');
SELECT pg_catalog.pg_extension_config_dump('warden.people',
	'WHERE role::pg_catalog.oid IN (SELECT r.oid FROM pg_catalog.pg_roles r)');
SELECT pg_catalog.pg_extension_config_dump('warden.identity_issuers', '');
SELECT pg_catalog.pg_extension_config_dump('warden.identity_keys', '');
SELECT pg_catalog.pg_extension_config_dump('warden.identity_subjects', '');

-- A NOINHERIT login inherits no EXECUTE, and agents are in no group: these
-- three check who calls.
GRANT EXECUTE ON FUNCTION warden.enter(text, text, jsonb, text),
	warden.leave(text), warden.whoami() TO PUBLIC;
GRANT SELECT ON warden.agents, warden.tokens, warden.delegations,
	warden.people TO warden_admin, warden_auditor;
GRANT SELECT ON warden.agents, warden.people TO warden_reviewer;
GRANT UPDATE (apply_role, description, enabled, require_on_behalf_of,
	max_rows, statement_timeout, lock_timeout, work_mem, temp_file_limit,
	max_calls, statements_per_hour, rows_per_hour, person_statements_per_hour,
	person_rows_per_hour, max_open_changes, changes_per_hour,
	keep_images), DELETE
	ON warden.agents TO warden_admin;
GRANT INSERT, DELETE ON warden.delegations, warden.people TO warden_admin;
GRANT EXECUTE ON FUNCTION
	warden.create_agent(text, name, name, text, boolean, name[]),
	warden.disable_agent(text), warden.enable_agent(text),
	warden.issue_token(text, text, interval), warden.revoke_token(bigint),
	warden.allow_delegation(text, text), warden.add_person(text, name),
	warden.set_issuer(text, text, text, text),
	warden.map_subject(text, text, text, text, text, text)
	TO warden_admin;
GRANT EXECUTE ON FUNCTION warden.acting_agents(),
	warden.mask_for(regrole, regclass, smallint),
	warden.function_permitted(oid),
	warden.granted_via(oid, oid, aclitem[], text),
	warden.access_report(name), warden.agent_bar(oid), warden.check()
	TO warden_admin, warden_auditor;
GRANT SELECT ON warden.identity_issuers, warden.identity_keys,
	warden.identity_subjects TO warden_admin, warden_auditor;
GRANT UPDATE (audience, scope, leeway, enabled, jwks_uri), DELETE
	ON warden.identity_issuers TO warden_admin;
GRANT DELETE ON warden.identity_keys, warden.identity_subjects
	TO warden_admin;
GRANT UPDATE (issued_after) ON warden.identity_subjects TO warden_admin;
GRANT SELECT (issuer, jwks_uri, enabled) ON warden.identity_issuers
	TO warden_key_refresher;
GRANT EXECUTE ON FUNCTION warden.set_identity_keys(text, jsonb)
	TO warden_admin, warden_key_refresher;

-- ---------------------------------------------------------------------
-- Audit: the append-only store and its views (audit_*.c)
-- ---------------------------------------------------------------------

-- [audit section]

-- The worker makes its partitions, with their indexes (audit_partition.c).
-- The columns and their order are known to the library (audit_record.c): the
-- hash covers them all.
CREATE TABLE warden.audit_events (
	id pg_catalog.int8 NOT NULL,
	epoch pg_catalog.int8 NOT NULL,
	at pg_catalog.timestamptz NOT NULL,
	stored_at pg_catalog.timestamptz NOT NULL,
	kind pg_catalog.text NOT NULL,
	statement_id pg_catalog.int8,
	agent pg_catalog.text,
	on_behalf_of pg_catalog.text,
	asserted pg_catalog.bool,
	db_role pg_catalog.text,
	login_role pg_catalog.text,
	client_addr pg_catalog.inet,
	backend pg_catalog.int4,
	session_id pg_catalog.text,
	request_id pg_catalog.text,
	tool pg_catalog.text,
	prompt_ref pg_catalog.text,
	statement pg_catalog.text,
	statement_bytes pg_catalog.int8,
	statement_digest pg_catalog.bytea,
	parameters pg_catalog.text[],
	command pg_catalog.text,
	relations pg_catalog.text[],
	masked_columns pg_catalog.text[],
	clear_columns pg_catalog.text[],
	rows pg_catalog.int8,
	duration_us pg_catalog.int8,
	outcome pg_catalog.text,
	sqlstate pg_catalog.text,
	message pg_catalog.text,
	change_id pg_catalog.int8,
	detail pg_catalog.text,
	prev pg_catalog.bytea NOT NULL,
	hash pg_catalog.bytea NOT NULL
) PARTITION BY RANGE (stored_at);
REVOKE ALL ON TABLE warden.audit_events FROM PUBLIC;

COMMENT ON TABLE warden.audit_events IS
	'append-only audit trail: each record is chained to the one before';
COMMENT ON COLUMN warden.audit_events.id IS 'number of the record, without gaps';
COMMENT ON COLUMN warden.audit_events.epoch IS
	'id of the epoch record that it belongs to; a restore, a copy of the database or a failover begins a new one';
COMMENT ON COLUMN warden.audit_events.at IS 'when it happened';
COMMENT ON COLUMN warden.audit_events.stored_at IS 'when it was written here; never goes back';
COMMENT ON COLUMN warden.audit_events.kind IS
	'intent, read (what the statement reads beyond its intent), outcome, failure (before there was an intent), rollback (of a failed transaction), action (of policy or changes) or epoch';
COMMENT ON COLUMN warden.audit_events.statement_id IS 'of an outcome or read: id of the intent';
COMMENT ON COLUMN warden.audit_events.agent IS 'registered name of the agent, else its role';
COMMENT ON COLUMN warden.audit_events.on_behalf_of IS 'the person; of an action: who acted';
COMMENT ON COLUMN warden.audit_events.asserted IS
	'the person was named by the request rather than bound to the token';
COMMENT ON COLUMN warden.audit_events.db_role IS 'role that the statement ran as';
COMMENT ON COLUMN warden.audit_events.login_role IS 'role that the connection logged in as';
COMMENT ON COLUMN warden.audit_events.client_addr IS 'address of the client; null through a local socket';
COMMENT ON COLUMN warden.audit_events.backend IS 'process id of the backend';
COMMENT ON COLUMN warden.audit_events.session_id IS 'session that the request named';
COMMENT ON COLUMN warden.audit_events.request_id IS 'request id that the request named';
COMMENT ON COLUMN warden.audit_events.tool IS 'tool that the request named';
COMMENT ON COLUMN warden.audit_events.prompt_ref IS 'prompt that the request named';
COMMENT ON COLUMN warden.audit_events.statement IS
	'text as sent, up to warden.audit_statement_size';
COMMENT ON COLUMN warden.audit_events.statement_bytes IS
	'full length of a statement that was cut, else null';
COMMENT ON COLUMN warden.audit_events.statement_digest IS
	'SHA-256 of the full text of a statement that was cut, else null';
COMMENT ON COLUMN warden.audit_events.parameters IS 'bind values, as literals of their types';
COMMENT ON COLUMN warden.audit_events.command IS 'command tag';
COMMENT ON COLUMN warden.audit_events.relations IS 'tables that the plan reads or writes';
COMMENT ON COLUMN warden.audit_events.masked_columns IS
	'labelled columns that it reads masked, as schema.table.column=mask';
COMMENT ON COLUMN warden.audit_events.clear_columns IS
	'labelled columns that it reads in clear by a rule or an exemption';
COMMENT ON COLUMN warden.audit_events.rows IS 'rows returned';
COMMENT ON COLUMN warden.audit_events.duration_us IS 'microseconds from intent to outcome';
COMMENT ON COLUMN warden.audit_events.outcome IS
	'ok, truncated, diverted, refused, error; of an action: its name';
COMMENT ON COLUMN warden.audit_events.sqlstate IS 'SQLSTATE of the error or warning';
COMMENT ON COLUMN warden.audit_events.message IS 'text of the error';
COMMENT ON COLUMN warden.audit_events.change_id IS 'pending change that it is about';
COMMENT ON COLUMN warden.audit_events.detail IS 'more about an action or epoch';
COMMENT ON COLUMN warden.audit_events.prev IS 'hash of the record before';
COMMENT ON COLUMN warden.audit_events.hash IS 'SHA-256 over all other columns';

-- Rows of transactions' own, waiting for the worker to chain them.  Columns
-- are named as in the store.
CREATE TABLE warden.audit_outbox (
	id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,
	at pg_catalog.timestamptz NOT NULL,
	agent pg_catalog.text,
	on_behalf_of pg_catalog.text,
	asserted pg_catalog.bool,
	db_role pg_catalog.text,
	login_role pg_catalog.text,
	client_addr pg_catalog.inet,
	backend pg_catalog.int4,
	session_id pg_catalog.text,
	request_id pg_catalog.text,
	tool pg_catalog.text,
	prompt_ref pg_catalog.text,
	outcome pg_catalog.text NOT NULL,
	change_id pg_catalog.int8,
	detail pg_catalog.text,
	CONSTRAINT audit_outbox_pkey PRIMARY KEY (id)
) USING heap;
REVOKE ALL ON TABLE warden.audit_outbox FROM PUBLIC;
COMMENT ON TABLE warden.audit_outbox IS
	'actions written by their own transactions, on their way into warden.audit_events';

SELECT pg_catalog.pg_extension_config_dump('warden.audit_outbox', '');

CREATE FUNCTION warden.guard_audit() RETURNS pg_catalog.trigger
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'warden_sql_guard_audit';
REVOKE ALL ON FUNCTION warden.guard_audit() FROM PUBLIC;
COMMENT ON FUNCTION warden.guard_audit() IS 'keeps SQL from changing the audit tables';

CREATE TRIGGER guard_audit
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON warden.audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_audit();
ALTER TABLE warden.audit_events ENABLE ALWAYS TRIGGER guard_audit;
COMMENT ON TRIGGER guard_audit ON warden.audit_events IS
	'refuses every change by SQL, of owners and superusers too';
CREATE TRIGGER guard_audit
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON warden.audit_outbox
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_audit();
ALTER TABLE warden.audit_outbox ENABLE ALWAYS TRIGGER guard_audit;
COMMENT ON TRIGGER guard_audit ON warden.audit_outbox IS
	'refuses every change by SQL, of owners and superusers too';

CREATE FUNCTION warden.flush_audit() RETURNS pg_catalog.void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'warden_sql_flush_audit';
REVOKE ALL ON FUNCTION warden.flush_audit() FROM PUBLIC;
COMMENT ON FUNCTION warden.flush_audit() IS
	'waits until everything that has happened so far is in the audit trail';

CREATE FUNCTION warden.audit_open_statements() RETURNS pg_catalog.int8[]
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'warden_sql_list_audit_open';
REVOKE ALL ON FUNCTION warden.audit_open_statements() FROM PUBLIC;
COMMENT ON FUNCTION warden.audit_open_statements() IS
	'audit ids of statements that are running now';

CREATE FUNCTION warden.verify_audit(
		from_id pg_catalog.int8 DEFAULT NULL,
		to_id pg_catalog.int8 DEFAULT NULL,
		anchor pg_catalog.text DEFAULT NULL,
		OUT id pg_catalog.int8,
		OUT problem pg_catalog.text,
		OUT detail pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1 COST 1000000
	AS 'MODULE_PATHNAME', 'warden_sql_verify_audit';
REVOKE ALL ON FUNCTION warden.verify_audit(pg_catalog.int8, pg_catalog.int8,
	pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION warden.verify_audit(pg_catalog.int8, pg_catalog.int8,
	pg_catalog.text) IS
	'the first record of the audit trail that is not as it was written (altered, removed, inserted, swapped, cut, rewritten), or no row';

CREATE FUNCTION warden.audit_head() RETURNS pg_catalog.text
	LANGUAGE C STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'warden_sql_get_audit_head';
REVOKE ALL ON FUNCTION warden.audit_head() FROM PUBLIC;
COMMENT ON FUNCTION warden.audit_head() IS
	'id and hash of the last audit record, to be kept elsewhere as an anchor for verify_audit';

CREATE FUNCTION warden.drop_audit_before(before pg_catalog.timestamptz)
	RETURNS pg_catalog.int8
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'warden_sql_drop_audit_before';
REVOKE ALL ON FUNCTION warden.drop_audit_before(pg_catalog.timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION warden.drop_audit_before(pg_catalog.timestamptz) IS
	'drops the oldest partitions of the audit trail, those that end before a time, and records where the chain now begins; returns how many records they had';

-- A statement whose outcome is missing is "running" while its backend is at
-- it, and "unknown" once nobody can tell any more: a crash took the outcome.
-- The list of open statements is taken once per query.
CREATE VIEW warden.audit_log AS
	SELECT e.id, e.at, e.agent, e.on_behalf_of, e.db_role, e.login_role,
		   e.client_addr, e.session_id, e.request_id, e.tool, e.prompt_ref,
		   e.statement, e.parameters, e.command,
		   e.relations OPERATOR(pg_catalog.||) (
				SELECT pg_catalog.array_agg(DISTINCT n.name)
				FROM warden.audit_events r,
					 pg_catalog.unnest(r.relations) AS n(name)
				WHERE r.statement_id OPERATOR(pg_catalog.=) e.id
				  AND r.stored_at OPERATOR(pg_catalog.>=) e.stored_at
				  AND e.kind OPERATOR(pg_catalog.=) 'intent') AS relations,
		   e.masked_columns OPERATOR(pg_catalog.||) (
				SELECT pg_catalog.array_agg(DISTINCT n.name)
				FROM warden.audit_events r,
					 pg_catalog.unnest(r.masked_columns) AS n(name)
				WHERE r.statement_id OPERATOR(pg_catalog.=) e.id
				  AND r.stored_at OPERATOR(pg_catalog.>=) e.stored_at
				  AND e.kind OPERATOR(pg_catalog.=) 'intent') AS masked_columns,
		   COALESCE(o.rows, e.rows) AS rows,
		   COALESCE(o.duration_us, e.duration_us) AS duration_us,
		   CASE WHEN e.kind OPERATOR(pg_catalog.<>) 'intent'
				THEN e.outcome
				WHEN o.outcome IS NOT NULL
				THEN o.outcome
				WHEN e.id OPERATOR(pg_catalog.=)
					 ANY ((SELECT warden.audit_open_statements())::pg_catalog.int8[])
				THEN 'running'
				ELSE 'unknown'
		   END AS outcome,
		   COALESCE(o.sqlstate, e.sqlstate) AS sqlstate,
		   COALESCE(o.message, e.message) AS message,
		   COALESCE(o.change_id, e.change_id) AS change_id,
		   e.clear_columns OPERATOR(pg_catalog.||) (
				SELECT pg_catalog.array_agg(DISTINCT n.name)
				FROM warden.audit_events r,
					 pg_catalog.unnest(r.clear_columns) AS n(name)
				WHERE r.statement_id OPERATOR(pg_catalog.=) e.id
				  AND r.stored_at OPERATOR(pg_catalog.>=) e.stored_at
				  AND e.kind OPERATOR(pg_catalog.=) 'intent') AS clear_columns,
		   e.asserted, e.kind, e.detail, e.backend,
		   e.statement_bytes, e.statement_digest
	FROM warden.audit_events e
	LEFT JOIN warden.audit_events o
		   ON o.statement_id OPERATOR(pg_catalog.=) e.id
		   AND o.stored_at OPERATOR(pg_catalog.>=) e.stored_at
		   AND o.kind OPERATOR(pg_catalog.=) 'outcome'
	WHERE e.kind OPERATOR(pg_catalog.=)
		  ANY (ARRAY['intent', 'failure', 'rollback', 'action']);
REVOKE ALL ON TABLE warden.audit_log FROM PUBLIC;
COMMENT ON VIEW warden.audit_log IS
	'one row per statement of an agent, and per action of policy or changes';

CREATE VIEW warden.audit_columns AS
	SELECT l.id, l.at, l.agent, l.on_behalf_of,
		   pg_catalog.regexp_replace(c.entry, '=.*$', '') AS column_name,
		   pg_catalog.substring(c.entry, '=(.*)$') AS mask,
		   c.clear, l.rows, l.outcome
	FROM warden.audit_log l
	CROSS JOIN LATERAL (
		SELECT m.entry, false AS clear
		FROM pg_catalog.unnest(l.masked_columns) AS m(entry)
		UNION ALL
		SELECT k.entry, true
		FROM pg_catalog.unnest(l.clear_columns) AS k(entry)) c;
REVOKE ALL ON TABLE warden.audit_columns FROM PUBLIC;
COMMENT ON VIEW warden.audit_columns IS
	'one row per statement and labelled column that it read';

-- Names are those of the Elastic Common Schema; what it has no field for is
-- under "warden".
CREATE VIEW warden.audit_ecs AS
	SELECT l.id, l.at, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
		'@timestamp', l.at,
		'ecs', pg_catalog.jsonb_build_object('version', '8.11'),
		'event', pg_catalog.jsonb_build_object(
			'id', l.id::pg_catalog.text,
			'kind', 'event',
			'module', 'pg_warden',
			'category', CASE WHEN l.kind OPERATOR(pg_catalog.=) 'action'
				THEN '["configuration"]' ELSE '["database"]' END::pg_catalog.jsonb,
			'type', CASE
				WHEN l.outcome OPERATOR(pg_catalog.=) 'refused' THEN '["denied"]'
				WHEN l.kind OPERATOR(pg_catalog.=) 'action' THEN '["change"]'
				WHEN l.outcome OPERATOR(pg_catalog.=) 'error' THEN '["error"]'
				ELSE '["access"]' END::pg_catalog.jsonb,
			'action', COALESCE(pg_catalog.lower(l.command), l.outcome),
			'outcome', CASE
				WHEN l.kind OPERATOR(pg_catalog.=) 'action' THEN 'success'
				WHEN l.outcome OPERATOR(pg_catalog.=)
					 ANY (ARRAY['ok', 'truncated', 'diverted']) THEN 'success'
				WHEN l.outcome OPERATOR(pg_catalog.=)
					 ANY (ARRAY['refused', 'error']) THEN 'failure'
				ELSE 'unknown' END,
			'code', l.sqlstate,
			'duration', l.duration_us OPERATOR(pg_catalog.*) 1000,
			'original', l.statement),
		'user', pg_catalog.jsonb_build_object(
			'name', l.login_role,
			'effective', pg_catalog.jsonb_build_object('name', l.db_role)),
		'client', pg_catalog.jsonb_build_object(
			'ip', pg_catalog.host(l.client_addr)),
		'process', pg_catalog.jsonb_build_object('pid', l.backend),
		'error', pg_catalog.jsonb_build_object('code', l.sqlstate,
											   'message', l.message),
		'related', pg_catalog.jsonb_build_object('user',
			pg_catalog.array_remove(ARRAY[l.login_role, l.db_role, l.agent,
										  l.on_behalf_of], NULL)),
		'warden', pg_catalog.jsonb_build_object(
			'kind', l.kind, 'outcome', l.outcome, 'agent', l.agent,
			'on_behalf_of', l.on_behalf_of, 'asserted', l.asserted,
			'session_id', l.session_id, 'request_id', l.request_id,
			'tool', l.tool, 'prompt_ref', l.prompt_ref,
			'parameters', l.parameters, 'relations', l.relations,
			'masked_columns', l.masked_columns,
			'clear_columns', l.clear_columns, 'rows', l.rows,
			'change_id', l.change_id, 'detail', l.detail))) AS line
	FROM warden.audit_log l;
REVOKE ALL ON TABLE warden.audit_ecs FROM PUBLIC;
COMMENT ON VIEW warden.audit_ecs IS
	'audit_log as one JSON document a row, in the field names of the Elastic Common Schema';

CREATE VIEW warden.audit_by_agent AS
	SELECT l.agent, pg_catalog.count(*) AS statements,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'diverted') AS diverted,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'refused') AS refused,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'error') AS errors,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'unknown') AS unknown,
		   pg_catalog.sum(l.rows) AS rows,
		   pg_catalog.count(DISTINCT l.on_behalf_of) AS persons,
		   pg_catalog.min(l.at) AS first_at, pg_catalog.max(l.at) AS last_at
	FROM warden.audit_log l
	WHERE l.agent IS NOT NULL
		  AND l.kind OPERATOR(pg_catalog.<>) 'action'
	GROUP BY l.agent;
REVOKE ALL ON TABLE warden.audit_by_agent FROM PUBLIC;
COMMENT ON VIEW warden.audit_by_agent IS 'what each agent did, in numbers';

CREATE VIEW warden.audit_by_person AS
	SELECT l.on_behalf_of, l.agent, pg_catalog.count(*) AS statements,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'diverted') AS diverted,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'refused') AS refused,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'error') AS errors,
		   pg_catalog.count(*) FILTER (WHERE l.outcome OPERATOR(pg_catalog.=) 'unknown') AS unknown,
		   pg_catalog.sum(l.rows) AS rows,
		   pg_catalog.min(l.at) AS first_at, pg_catalog.max(l.at) AS last_at
	FROM warden.audit_log l
	WHERE l.on_behalf_of IS NOT NULL
		  AND l.kind OPERATOR(pg_catalog.<>) 'action'
	GROUP BY l.on_behalf_of, l.agent;
REVOKE ALL ON TABLE warden.audit_by_person FROM PUBLIC;
COMMENT ON VIEW warden.audit_by_person IS 'what was done for each person, by agent, in numbers';

CREATE FUNCTION warden.audit_queue(
		OUT worker_pid pg_catalog.int4,
		OUT records pg_catalog.int4,
		OUT oldest_at pg_catalog.timestamptz,
		OUT bytes pg_catalog.int8,
		OUT limit_bytes pg_catalog.int8,
		OUT open_statements pg_catalog.int4,
		OUT last_error pg_catalog.text)
	RETURNS pg_catalog.record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'warden_sql_get_audit_queue';
REVOKE ALL ON FUNCTION warden.audit_queue() FROM PUBLIC;
COMMENT ON FUNCTION warden.audit_queue() IS
	'audit records of this database that are not on disk yet, and who writes them';

CREATE VIEW warden.status AS
	SELECT pg_catalog.current_setting('warden.audit') AS audit,
		   q.worker_pid, q.records AS queued_records,
		   q.bytes AS queued_bytes, q.limit_bytes AS queue_limit_bytes,
		   COALESCE(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) q.oldest_at,
					'0') AS worker_lag,
		   q.open_statements, q.last_error,
		   e.id AS last_durable_id, e.at AS last_durable_at,
		   s.acting AS acting_sessions, s.bound AS bound_sessions
	FROM warden.audit_queue() q
	LEFT JOIN (
		SELECT l.id, l.at FROM warden.audit_events l
		ORDER BY l.id USING OPERATOR(pg_catalog.>) LIMIT 1) e ON true
	CROSS JOIN (
		SELECT pg_catalog.count(*) AS acting,
			   pg_catalog.count(*) FILTER (WHERE a.bound) AS bound
		FROM warden.acting_agents() a) s;
REVOKE ALL ON TABLE warden.status FROM PUBLIC;
COMMENT ON VIEW warden.status IS
	'one row: how far the audit worker is, what waits for it, and how many sessions act as agents in this database now';
COMMENT ON COLUMN warden.status.audit IS 'setting warden.audit of this session';
COMMENT ON COLUMN warden.status.worker_pid IS 'process of the audit worker; NULL while there is nothing to write';
COMMENT ON COLUMN warden.status.queued_records IS 'audit records that are not on disk yet';
COMMENT ON COLUMN warden.status.queued_bytes IS 'room that they take';
COMMENT ON COLUMN warden.status.queue_limit_bytes IS 'room in the queue that all databases share';
COMMENT ON COLUMN warden.status.worker_lag IS 'how long the first of them has waited';
COMMENT ON COLUMN warden.status.open_statements IS 'statements whose outcome is still to come';
COMMENT ON COLUMN warden.status.last_error IS 'why the last attempt to write failed; NULL after a success';
COMMENT ON COLUMN warden.status.last_durable_id IS 'the last audit record on disk';
COMMENT ON COLUMN warden.status.last_durable_at IS 'and its time';
COMMENT ON COLUMN warden.status.acting_sessions IS 'sessions that act as an agent, see warden.acting_agents()';
COMMENT ON COLUMN warden.status.bound_sessions IS 'of these, gateway sessions between enter and leave';

GRANT SELECT ON TABLE warden.status TO warden_admin, warden_auditor;
GRANT EXECUTE ON FUNCTION warden.audit_queue() TO warden_admin, warden_auditor;
GRANT SELECT ON TABLE warden.audit_events, warden.audit_log,
	warden.audit_columns, warden.audit_ecs, warden.audit_by_agent,
	warden.audit_by_person
	TO warden_auditor;
GRANT EXECUTE ON FUNCTION warden.flush_audit(), warden.audit_open_statements(),
	warden.verify_audit(pg_catalog.int8, pg_catalog.int8, pg_catalog.text),
	warden.audit_head() TO warden_auditor;
GRANT EXECUTE ON FUNCTION warden.flush_audit(), warden.audit_head(),
	warden.drop_audit_before(pg_catalog.timestamptz) TO warden_admin;

-- ---------------------------------------------------------------------
-- Changes: pending changes, reviews, approval, apply (pending*.c, review.c)
-- ---------------------------------------------------------------------

-- [changes section]

CREATE TABLE warden.pending_changes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	status text NOT NULL DEFAULT 'proposed'
		CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn',
			'expired', 'stale', 'applying', 'applied', 'unknown', 'failed')),
	agent text NOT NULL,
	on_behalf_of text,
	asserted boolean NOT NULL,
	token_issuer regrole,
	agent_role regrole NOT NULL,
	apply_role regrole,
	title text,
	reason text,
	risk text NOT NULL
		CHECK (risk IN ('low', 'moderate', 'high', 'critical')),
	statement_count integer NOT NULL CHECK (statement_count > 0),
	digest text NOT NULL,
	context jsonb NOT NULL,
	approvals integer NOT NULL DEFAULT 0,
	required_approvals integer NOT NULL CHECK (required_approvals > 0),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
	expires_at timestamptz NOT NULL
		DEFAULT pg_catalog.statement_timestamp() OPERATOR(pg_catalog.+) '7 days'::interval,
	decided_at timestamptz,
	applied_at timestamptz,
	applied_by regrole,
	broken_glass text,
	reverts bigint,
	attempts integer NOT NULL DEFAULT 0,
	last_error text,
	last_sqlstate text
);
COMMENT ON TABLE warden.pending_changes IS 'changes that agents proposed: one row per change, moved from state to state by approve, reject, apply and withdraw only';
COMMENT ON COLUMN warden.pending_changes.id IS 'number of the change';
COMMENT ON COLUMN warden.pending_changes.status IS 'state as stored; a proposed or approved change past expires_at counts as expired, see warden.open_changes';
COMMENT ON COLUMN warden.pending_changes.agent IS 'agent that proposed it';
COMMENT ON COLUMN warden.pending_changes.on_behalf_of IS 'person it acted for';
COMMENT ON COLUMN warden.pending_changes.asserted IS 'the person was named by the request, not by the credential';
COMMENT ON COLUMN warden.pending_changes.token_issuer IS 'role that issued the agent''s token';
COMMENT ON COLUMN warden.pending_changes.agent_role IS 'role the agent ran as';
COMMENT ON COLUMN warden.pending_changes.apply_role IS 'role it will be applied as';
COMMENT ON COLUMN warden.pending_changes.title IS 'one line by the agent';
COMMENT ON COLUMN warden.pending_changes.reason IS 'why, by the agent';
COMMENT ON COLUMN warden.pending_changes.risk IS 'highest risk of its statements';
COMMENT ON COLUMN warden.pending_changes.statement_count IS 'number of statements';
COMMENT ON COLUMN warden.pending_changes.digest IS 'SHA-256 over statements, parameters, database, apply role, resolved objects and context';
COMMENT ON COLUMN warden.pending_changes.context IS 'settings that give the statements their meaning, restored at apply';
COMMENT ON COLUMN warden.pending_changes.approvals IS 'persons who have approved this digest';
COMMENT ON COLUMN warden.pending_changes.required_approvals IS 'persons who must, as the rules stood at proposal';
COMMENT ON COLUMN warden.pending_changes.created_at IS 'time of proposal';
COMMENT ON COLUMN warden.pending_changes.expires_at IS 'end of the time to approve, or once approved to apply';
COMMENT ON COLUMN warden.pending_changes.decided_at IS 'time of approval, rejection or withdrawal';
COMMENT ON COLUMN warden.pending_changes.applied_at IS 'time of apply';
COMMENT ON COLUMN warden.pending_changes.applied_by IS 'login role that applied it';
COMMENT ON COLUMN warden.pending_changes.broken_glass IS 'reason given where it was applied without approvals';
COMMENT ON COLUMN warden.pending_changes.reverts IS 'the applied change that this one undoes';
COMMENT ON COLUMN warden.pending_changes.attempts IS 'failed applies';
COMMENT ON COLUMN warden.pending_changes.last_error IS 'message of the last failed apply';
COMMENT ON COLUMN warden.pending_changes.last_sqlstate IS 'SQLSTATE of the last failed apply';
REVOKE ALL ON warden.pending_changes FROM PUBLIC;

-- An error may quote a row: reviewers who are masked themselves do not read it.
SECURITY LABEL FOR warden ON COLUMN warden.pending_changes.last_error IS 'full';

-- The reviewers' queue and an agent's own list are one index scan each,
-- however many decided changes there are.
CREATE INDEX pending_changes_open ON warden.pending_changes (id)
	WHERE status IN ('proposed', 'approved', 'applying', 'unknown');
CREATE INDEX pending_changes_agent ON warden.pending_changes (agent, id);

CREATE TABLE warden.change_statements (
	change_id bigint NOT NULL REFERENCES warden.pending_changes (id),
	ordinal integer NOT NULL CHECK (ordinal > 0),
	statement text NOT NULL,
	command text NOT NULL,
	objects jsonb NOT NULL,
	parameters jsonb,
	risk text NOT NULL,
	findings jsonb NOT NULL,
	estimated_rows double precision,
	expected_rows bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (change_id, ordinal)
);
COMMENT ON TABLE warden.change_statements IS 'the statements of a change, in the order and form in which they will run';
COMMENT ON COLUMN warden.change_statements.change_id IS 'the change';
COMMENT ON COLUMN warden.change_statements.ordinal IS 'place in the change, from 1';
COMMENT ON COLUMN warden.change_statements.statement IS 'text of the statement';
COMMENT ON COLUMN warden.change_statements.command IS 'command tag';
COMMENT ON COLUMN warden.change_statements.objects IS 'objects that its names resolved to, and a fingerprint of each; last, the path and the state of all that it could reach, and what of that runs SQL of its own making';
COMMENT ON COLUMN warden.change_statements.parameters IS 'bind parameters by type and value';
COMMENT ON COLUMN warden.change_statements.risk IS 'risk of this statement';
COMMENT ON COLUMN warden.change_statements.findings IS 'findings of the SQL review when it was proposed';
COMMENT ON COLUMN warden.change_statements.estimated_rows IS 'the planner''s estimate, from masked statistics';
COMMENT ON COLUMN warden.change_statements.expected_rows IS 'rows that it must touch when applied, 0 for any number';
REVOKE ALL ON warden.change_statements FROM PUBLIC;

CREATE TABLE warden.change_reviews (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	change_id bigint NOT NULL REFERENCES warden.pending_changes (id),
	decision text NOT NULL CHECK (decision IN ('approve', 'reject')),
	person text,
	role regrole NOT NULL,
	comment text,
	digest text NOT NULL,
	at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE warden.change_reviews IS 'who decided what about a change, when, and about which digest';
COMMENT ON COLUMN warden.change_reviews.id IS 'number of the decision';
COMMENT ON COLUMN warden.change_reviews.change_id IS 'the change';
COMMENT ON COLUMN warden.change_reviews.decision IS 'approve or reject';
COMMENT ON COLUMN warden.change_reviews.person IS 'the person behind the login role';
COMMENT ON COLUMN warden.change_reviews.role IS 'the login role';
COMMENT ON COLUMN warden.change_reviews.comment IS 'comment, which the agent can read too';
COMMENT ON COLUMN warden.change_reviews.digest IS 'digest that was decided about';
COMMENT ON COLUMN warden.change_reviews.at IS 'time of the decision';
CREATE INDEX change_reviews_change ON warden.change_reviews (change_id);
REVOKE ALL ON warden.change_reviews FROM PUBLIC;

-- Raw rows: nobody is granted anything on it.
CREATE TABLE warden.change_images (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	change_id bigint NOT NULL,
	ordinal integer NOT NULL,
	relation regclass NOT NULL,
	operation text NOT NULL,
	row_count integer NOT NULL,
	old_rows text,
	new_rows text,
	shape text,
	salt text NOT NULL
		DEFAULT pg_catalog.gen_random_uuid()::pg_catalog.text,
	at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE warden.change_images IS 'rows as they were before and after an apply, for warden.revert()';
COMMENT ON COLUMN warden.change_images.id IS 'order in which the statements ran';
COMMENT ON COLUMN warden.change_images.change_id IS 'the change that was applied';
COMMENT ON COLUMN warden.change_images.ordinal IS 'the statement of the change';
COMMENT ON COLUMN warden.change_images.relation IS 'the table that it wrote to, triggers'' writes included';
COMMENT ON COLUMN warden.change_images.operation IS 'INSERT, UPDATE or DELETE; NONE where no rows were kept, old_rows says why';
COMMENT ON COLUMN warden.change_images.row_count IS 'how many rows';
COMMENT ON COLUMN warden.change_images.old_rows IS 'the rows before, in the text form of the table''s type';
COMMENT ON COLUMN warden.change_images.new_rows IS 'the rows after';
COMMENT ON COLUMN warden.change_images.shape IS 'number, type and modifier of each column that the rows have';
COMMENT ON COLUMN warden.change_images.salt IS 'goes into the hash that a revert refers to the rows by, which could be guessed otherwise';
COMMENT ON COLUMN warden.change_images.at IS 'when; they go after warden.image_retention';
CREATE INDEX change_images_change ON warden.change_images (change_id, id);
CREATE INDEX change_images_at ON warden.change_images (at);
REVOKE ALL ON warden.change_images FROM PUBLIC;

-- Hashes of single rows could be guessed: nobody is granted anything on it.
CREATE TABLE warden.change_footprints (
	change_id bigint,
	ordinal integer,
	rows bigint NOT NULL,
	hash text,
	at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (change_id, ordinal)
);
COMMENT ON TABLE warden.change_footprints IS 'which rows the statements of a change touched in its latest preview; an apply that touches others is refused';
COMMENT ON COLUMN warden.change_footprints.change_id IS 'the change';
COMMENT ON COLUMN warden.change_footprints.ordinal IS 'the statement of the change';
COMMENT ON COLUMN warden.change_footprints.rows IS 'how many rows';
COMMENT ON COLUMN warden.change_footprints.hash IS 'of the rows as they were before; NULL: too many, their number counts';
COMMENT ON COLUMN warden.change_footprints.at IS 'time of the preview';
REVOKE ALL ON warden.change_footprints FROM PUBLIC;

CREATE TABLE warden.approval_rules (
	risk text NOT NULL
		CHECK (risk IN ('low', 'moderate', 'high', 'critical')),
	scope text NOT NULL DEFAULT ''
		CHECK (scope OPERATOR(pg_catalog.=) ''
			OR scope OPERATOR(pg_catalog.~) '^(schema|label):.'),
	approvals integer NOT NULL CHECK (approvals > 0),
	changed boolean NOT NULL DEFAULT false,
	PRIMARY KEY (risk, scope)
);
COMMENT ON TABLE warden.approval_rules IS 'how many persons must approve: the highest number among the rules that apply counts';
COMMENT ON COLUMN warden.approval_rules.risk IS 'applies to changes of this risk and above';
COMMENT ON COLUMN warden.approval_rules.scope IS 'empty for every change, schema:NAME or label:TYPE for those that touch it';
COMMENT ON COLUMN warden.approval_rules.approvals IS 'number of persons';
COMMENT ON COLUMN warden.approval_rules.changed IS 'differs from what was installed (kept by pg_dump)';
REVOKE ALL ON warden.approval_rules FROM PUBLIC;

INSERT INTO warden.approval_rules (risk, approvals)
	VALUES ('low', 1), ('moderate', 1), ('high', 2), ('critical', 2);

CREATE TABLE warden.review_rules (
	rule text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('error', 'warning', 'info', 'off')),
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE warden.review_rules IS 'rules of the SQL review and how loudly each speaks';
COMMENT ON COLUMN warden.review_rules.rule IS 'name of the rule';
COMMENT ON COLUMN warden.review_rules.level IS 'error, warning, info or off; off hides the finding and leaves the risk';
COMMENT ON COLUMN warden.review_rules.changed IS 'differs from what was installed (kept by pg_dump)';
REVOKE ALL ON warden.review_rules FROM PUBLIC;

CREATE FUNCTION warden.review_rule_defaults(OUT rule text, OUT level text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'warden_sql_review_rule_defaults'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION warden.review_rule_defaults() FROM PUBLIC;
COMMENT ON FUNCTION warden.review_rule_defaults() IS 'the rules that this version knows, with their levels as installed';

INSERT INTO warden.review_rules (rule, level)
	SELECT d.rule, d.level FROM warden.review_rule_defaults() d;

-- Privileges by default, memberships, roles, databases, extensions and the like
-- are in no class: an administrator makes those.
CREATE TABLE warden.proposable (
	class text PRIMARY KEY
		CHECK (class IN ('owner', 'privileges', 'security_definer')),
	enabled boolean NOT NULL DEFAULT false,
	description text NOT NULL,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE warden.proposable IS 'classes of statements that agents may propose where enabled; all are refused otherwise';
COMMENT ON COLUMN warden.proposable.class IS 'name of the class; the list is closed';
COMMENT ON COLUMN warden.proposable.enabled IS 'agents may propose such statements, which are refused otherwise';
COMMENT ON COLUMN warden.proposable.description IS 'what belongs to it';
COMMENT ON COLUMN warden.proposable.changed IS 'differs from what was installed (kept by pg_dump)';
REVOKE ALL ON warden.proposable FROM PUBLIC;

INSERT INTO warden.proposable (class, description) VALUES
	('owner', 'ALTER ... OWNER TO of relations, functions, types and schemas'),
	('privileges', 'GRANT and REVOKE on relations, functions, types and schemas'),
	('security_definer', 'functions in trusted languages that run with their owner''s rights');

-- Decisions and transitions all pass here; see pending_decide.c.
CREATE FUNCTION warden.guard_change() RETURNS trigger
	AS 'MODULE_PATHNAME', 'warden_sql_guard_change'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.guard_change() FROM PUBLIC;
COMMENT ON FUNCTION warden.guard_change() IS 'makes every update of a change a legal transition, or refuses it';

CREATE FUNCTION warden.guard_record() RETURNS trigger
	AS 'MODULE_PATHNAME', 'warden_sql_guard_record'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.guard_record() FROM PUBLIC;
COMMENT ON FUNCTION warden.guard_record() IS 'refuses to alter or remove what has been recorded about a change';

CREATE FUNCTION warden.guard_rule() RETURNS trigger
	AS 'MODULE_PATHNAME', 'warden_sql_guard_rule'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.guard_rule() FROM PUBLIC;
COMMENT ON FUNCTION warden.guard_rule() IS 'audits an edit of the rules and marks the row as changed';

CREATE TRIGGER guard_change BEFORE UPDATE ON warden.pending_changes
	FOR EACH ROW EXECUTE FUNCTION warden.guard_change();
CREATE TRIGGER guard_statement BEFORE UPDATE ON warden.pending_changes
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_change();
CREATE TRIGGER guard_done AFTER UPDATE ON warden.pending_changes
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_change();
CREATE TRIGGER guard_delete BEFORE DELETE ON warden.pending_changes
	FOR EACH ROW EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.pending_changes
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_record BEFORE UPDATE OR DELETE ON warden.change_statements
	FOR EACH ROW EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.change_statements
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_record BEFORE UPDATE OR DELETE ON warden.change_reviews
	FOR EACH ROW EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON warden.change_reviews
	FOR EACH STATEMENT EXECUTE FUNCTION warden.guard_record();
CREATE TRIGGER guard_rule BEFORE INSERT OR UPDATE OR DELETE
	ON warden.approval_rules
	FOR EACH ROW EXECUTE FUNCTION warden.guard_rule();
CREATE TRIGGER guard_rule BEFORE INSERT OR UPDATE OR DELETE
	ON warden.review_rules
	FOR EACH ROW EXECUTE FUNCTION warden.guard_rule();
CREATE TRIGGER guard_rule BEFORE INSERT OR UPDATE OR DELETE
	ON warden.proposable
	FOR EACH ROW EXECUTE FUNCTION warden.guard_rule();
COMMENT ON TRIGGER guard_change ON warden.pending_changes IS 'transitions only';
COMMENT ON TRIGGER guard_statement ON warden.pending_changes IS 'one change per statement';
COMMENT ON TRIGGER guard_done ON warden.pending_changes IS 'one change per statement';
COMMENT ON TRIGGER guard_delete ON warden.pending_changes IS 'changes are kept';
COMMENT ON TRIGGER guard_truncate ON warden.pending_changes IS 'changes are kept';
COMMENT ON TRIGGER guard_record ON warden.change_statements IS 'statements never change';
COMMENT ON TRIGGER guard_truncate ON warden.change_statements IS 'statements are kept';
COMMENT ON TRIGGER guard_record ON warden.change_reviews IS 'decisions never change';
COMMENT ON TRIGGER guard_truncate ON warden.change_reviews IS 'decisions are kept';
COMMENT ON TRIGGER guard_rule ON warden.approval_rules IS 'edits are audited';
COMMENT ON TRIGGER guard_rule ON warden.review_rules IS 'edits are audited';
COMMENT ON TRIGGER guard_rule ON warden.proposable IS 'edits are audited';

-- They fire for session_replication_role = replica as well.
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_change;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_statement;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_done;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_delete;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.change_statements ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE warden.change_statements ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.change_reviews ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE warden.change_reviews ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE warden.approval_rules ENABLE ALWAYS TRIGGER guard_rule;
ALTER TABLE warden.review_rules ENABLE ALWAYS TRIGGER guard_rule;
ALTER TABLE warden.proposable ENABLE ALWAYS TRIGGER guard_rule;

CREATE FUNCTION warden.propose(sql text, title text, reason text)
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'warden_sql_propose'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.propose(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.propose(text, text, text) IS 'records a script as one change that people decide about; for agents';

CREATE FUNCTION warden.withdraw(id bigint) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_withdraw'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.withdraw(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.withdraw(bigint) IS 'takes back a change that the same agent proposed';

CREATE FUNCTION warden.approve(id bigint, comment text,
		digest text DEFAULT NULL)
	RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_approve'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.approve(bigint, text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.approve(bigint, text, text) IS 'approves a change, with a digest only if it is still that one; returns the state it is in then';

CREATE FUNCTION warden.reject(id bigint, comment text) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_reject'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.reject(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.reject(bigint, text) IS 'rejects a change, finally';

CREATE PROCEDURE warden.apply(id bigint)
	AS 'MODULE_PATHNAME', 'warden_sql_apply'
	LANGUAGE C;
REVOKE ALL ON PROCEDURE warden.apply(bigint) FROM PUBLIC;
COMMENT ON PROCEDURE warden.apply(bigint) IS 'runs an approved change as its apply role, once';

CREATE FUNCTION warden.break_glass(id bigint, reason text) RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_break_glass'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.break_glass(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.break_glass(bigint, text) IS 'applies a change without its approvals, recorded as such';

CREATE FUNCTION warden.resolve(id bigint, outcome text, reason text)
	RETURNS void
	AS 'MODULE_PATHNAME', 'warden_sql_resolve'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.resolve(bigint, text, text) FROM PUBLIC;
COMMENT ON FUNCTION warden.resolve(bigint, text, text) IS 'settles a change whose apply was cut off: applied or failed';

CREATE FUNCTION warden.purge(before timestamptz) RETURNS bigint
	AS 'MODULE_PATHNAME', 'warden_sql_purge'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.purge(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION warden.purge(timestamptz) IS 'removes changes that ended before a time; their audit records stay';

CREATE FUNCTION warden.capture_image() RETURNS trigger
	AS 'MODULE_PATHNAME', 'warden_sql_capture_image'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.capture_image() FROM PUBLIC;
COMMENT ON FUNCTION warden.capture_image() IS 'keeps a row that an apply changes; attached by the executor, not by CREATE TRIGGER';

CREATE FUNCTION warden.revert(id bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'warden_sql_revert'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.revert(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.revert(bigint) IS 'proposes the inverse of an applied change, from the row images kept with it';

CREATE FUNCTION warden.apply_is_running(id bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'warden_sql_apply_is_running'
	LANGUAGE C STRICT STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.apply_is_running(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.apply_is_running(bigint) IS 'a session is running the statement of this change now';

CREATE FUNCTION warden.review(id bigint, OUT ordinal integer, OUT rule text,
		OUT level text, OUT message text, OUT advice text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'warden_sql_review'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.review(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.review(bigint) IS 'findings of the SQL review of a change, as things are now';

CREATE FUNCTION warden.preview(id bigint, OUT ordinal integer,
		OUT command text, OUT method text, OUT rows bigint,
		OUT duration_ms double precision, OUT locks text[],
		OUT rewritten text[], OUT detail text, OUT sample jsonb,
		OUT triggers text[], OUT compared text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'warden_sql_preview'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION warden.preview(bigint) FROM PUBLIC;
COMMENT ON FUNCTION warden.preview(bigint) IS 'runs a change as its apply role and rolls it back: what each statement does, or an estimate where it can not be taken back or the caller reads masks; and what an apply will compare with that';

CREATE FUNCTION warden.effective_status(status text, expires_at timestamptz)
	RETURNS text
	LANGUAGE SQL STABLE PARALLEL SAFE
	RETURN CASE WHEN status IN ('proposed', 'approved')
				AND expires_at <= pg_catalog.statement_timestamp()
			THEN 'expired' ELSE status END;
REVOKE ALL ON FUNCTION warden.effective_status(text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION warden.effective_status(text, timestamptz) IS 'the state of a change now: expiry is a matter of time, not of an update';

CREATE FUNCTION warden.acting_agent() RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_acting_agent'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.acting_agent() FROM PUBLIC;
COMMENT ON FUNCTION warden.acting_agent() IS 'the agent that this backend is, or NULL';

CREATE FUNCTION warden.acting_role() RETURNS regrole
	AS 'MODULE_PATHNAME', 'warden_sql_acting_role'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.acting_role() FROM PUBLIC;
COMMENT ON FUNCTION warden.acting_role() IS 'the role as which this backend''s agent acts, or NULL';

CREATE FUNCTION warden.acting_person() RETURNS text
	AS 'MODULE_PATHNAME', 'warden_sql_acting_person'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION warden.acting_person() FROM PUBLIC;
COMMENT ON FUNCTION warden.acting_person() IS 'the person that this backend''s agent acts for, or NULL';

CREATE VIEW warden.open_changes AS
	SELECT c.id,
		CASE WHEN c.status = 'applying' AND NOT warden.apply_is_running(c.id)
			THEN 'unknown' ELSE c.status END AS status,
		c.agent, c.on_behalf_of, c.title, c.reason,
		c.risk, c.statement_count, c.approvals, c.required_approvals,
		c.digest, c.created_at, c.expires_at, c.attempts, c.last_error
	FROM warden.pending_changes c
	WHERE c.status IN ('proposed', 'approved', 'applying', 'unknown')
		AND (c.expires_at > pg_catalog.statement_timestamp()
			OR c.status IN ('applying', 'unknown'));
COMMENT ON VIEW warden.open_changes IS 'the reviewers'' queue: changes that wait for a decision, an apply or a resolution';
REVOKE ALL ON warden.open_changes FROM PUBLIC;

-- Of a failed apply it says the class of its SQLSTATE: whoever writes a RAISE
-- chooses that, so that a whole one could carry data.
CREATE VIEW warden.my_changes WITH (security_barrier) AS
	SELECT c.id,
		CASE WHEN c.status IN ('proposed', 'approved')
				AND c.expires_at <= pg_catalog.statement_timestamp()
			THEN 'expired' ELSE c.status END AS status,
		c.agent, c.on_behalf_of, c.title, c.reason, c.risk,
		c.statement_count,
		(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
				'ordinal', s.ordinal, 'command', s.command,
				'statement', s.statement, 'risk', s.risk,
				'findings', s.findings)
				ORDER BY s.ordinal)
			FROM warden.change_statements s
			WHERE s.change_id = c.id) AS statements,
		(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
				'decision', r.decision, 'comment', r.comment, 'at', r.at)
				ORDER BY r.id), '[]')
			FROM warden.change_reviews r
			WHERE r.change_id = c.id) AS reviews,
		c.approvals, c.required_approvals, c.created_at, c.expires_at,
		c.decided_at, c.applied_at,
		CASE
			WHEN c.last_sqlstate OPERATOR(pg_catalog.~) '^WD0(0[1-9]|10)$'
				THEN c.last_sqlstate
			WHEN c.last_sqlstate
				OPERATOR(pg_catalog.~) '^(22|23|40|42|53|54|55|57)'
				THEN pg_catalog.left(c.last_sqlstate, 2)
					OPERATOR(pg_catalog.||) '000'
			WHEN c.last_sqlstate IS NOT NULL THEN 'P0000'
		END AS last_sqlstate
	FROM warden.pending_changes c
	-- a name can be given again, to an agent of another role
	WHERE c.agent = warden.acting_agent()
		AND c.agent_role = warden.acting_role()
		AND c.on_behalf_of IS NOT DISTINCT FROM warden.acting_person();
COMMENT ON VIEW warden.my_changes IS 'what the acting agent proposed for the person it acts for, with findings and the reviewers'' comments';
REVOKE ALL ON warden.my_changes FROM PUBLIC;

-- What was run, not its text: others may have sent statements for the same
-- person under the same name.  Without an outcome it runs, or nobody knows.
CREATE VIEW warden.my_audit WITH (security_barrier) AS
	SELECT e.id, e.at, e.session_id, e.request_id, e.tool, e.prompt_ref,
		e.command, e.relations, e.masked_columns,
		coalesce(o.rows, e.rows) AS rows,
		coalesce(o.duration_us, e.duration_us) AS duration_us,
		coalesce(o.outcome, e.outcome) AS outcome,
		coalesce(o.sqlstate, e.sqlstate) AS sqlstate,
		coalesce(o.change_id, e.change_id) AS change_id
	FROM warden.audit_events e
	LEFT JOIN warden.audit_events o
		ON o.statement_id = e.id AND o.stored_at >= e.stored_at
			AND o.kind = 'outcome'
	WHERE e.kind IN ('intent', 'failure', 'rollback')
		AND e.agent = warden.acting_agent()
		AND e.db_role = pg_catalog.pg_get_userbyid(warden.acting_role())::text
		AND e.on_behalf_of IS NOT DISTINCT FROM warden.acting_person()
		-- both names can be given again
		AND e.at >= coalesce((SELECT a.created_at FROM warden.agents a
			WHERE a.agent = warden.acting_agent()), '-infinity');
COMMENT ON VIEW warden.my_audit IS 'what the acting agent ran for the person it acts for, as the audit trail has it, without texts and values';
REVOKE ALL ON warden.my_audit FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('warden.pending_changes', '');
SELECT pg_catalog.pg_extension_config_dump('warden.pending_changes_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('warden.change_statements', '');
SELECT pg_catalog.pg_extension_config_dump('warden.change_reviews', '');
SELECT pg_catalog.pg_extension_config_dump('warden.change_reviews_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('warden.approval_rules', 'WHERE changed');
SELECT pg_catalog.pg_extension_config_dump('warden.review_rules', 'WHERE changed');
SELECT pg_catalog.pg_extension_config_dump('warden.proposable', 'WHERE changed');

-- Agents are in no group: these five check who calls.
GRANT EXECUTE ON FUNCTION warden.propose(text, text, text),
	warden.withdraw(bigint), warden.acting_agent(), warden.acting_role(),
	warden.acting_person()
	TO PUBLIC;
GRANT SELECT ON warden.my_changes, warden.my_audit TO PUBLIC;
GRANT SELECT ON warden.pending_changes, warden.change_statements,
	warden.change_reviews, warden.open_changes, warden.approval_rules,
	warden.review_rules, warden.proposable
	TO warden_reviewer, warden_auditor, warden_admin;
GRANT UPDATE (status) ON warden.pending_changes TO warden_reviewer;
GRANT EXECUTE ON FUNCTION warden.approve(bigint, text, text),
	warden.reject(bigint, text), warden.review(bigint),
	warden.preview(bigint), warden.revert(bigint) TO warden_reviewer;
GRANT EXECUTE ON PROCEDURE warden.apply(bigint) TO warden_reviewer;
GRANT EXECUTE ON FUNCTION warden.break_glass(bigint, text),
	warden.resolve(bigint, text, text), warden.purge(timestamptz)
	TO warden_admin;
GRANT EXECUTE ON FUNCTION warden.apply_is_running(bigint)
	TO warden_reviewer, warden_auditor, warden_admin;
GRANT EXECUTE ON FUNCTION warden.effective_status(text, timestamptz)
	TO warden_reviewer, warden_auditor, warden_admin;
GRANT INSERT (risk, scope, approvals), UPDATE (approvals), DELETE
	ON warden.approval_rules TO warden_admin;
GRANT UPDATE (level) ON warden.review_rules TO warden_admin;
GRANT UPDATE (enabled) ON warden.proposable TO warden_admin;
