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

-- ---------------------------------------------------------------------
-- Policy: semantic types, mask rules, exemptions, labels (policy.c, label.c)
-- ---------------------------------------------------------------------

-- [policy section]

-- ---------------------------------------------------------------------
-- Identity: agents, tokens, people, delegation, enter and leave (identity.c)
-- ---------------------------------------------------------------------

-- [identity section]

-- ---------------------------------------------------------------------
-- Audit: the append-only store and its views (audit_*.c)
-- ---------------------------------------------------------------------

-- [audit section]

-- ---------------------------------------------------------------------
-- Changes: pending changes, reviews, approval, apply (pending*.c, review.c)
-- ---------------------------------------------------------------------

-- [changes section]
