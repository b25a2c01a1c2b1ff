-- The full list of what the extension installs and who may do what with it: a
-- new object, a new grant or a missing comment fails this test.

-- nothing but these is PUBLIC's
SELECT pg_describe_object(o.classid, o.objid, 0) AS object, privilege_type
  FROM (
    SELECT 'pg_namespace'::regclass AS classid, oid AS objid,
           coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM pg_namespace
    UNION ALL
    SELECT 'pg_class'::regclass, oid,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char"
               ELSE 'r' END, relowner))
      FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
    UNION ALL
    SELECT 'pg_proc'::regclass, oid,
           coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
    UNION ALL
    SELECT 'pg_type'::regclass, oid,
           coalesce(typacl, acldefault('T', typowner)) FROM pg_type
     -- of tables and arrays: what they are made of decides
     WHERE typrelid = 0 AND typelem = 0
  ) o
  JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid
       AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND d.refobjid = (SELECT oid FROM pg_extension
                          WHERE extname = 'pg_warden'),
       aclexplode(acl)
 WHERE grantee = 0
 ORDER BY pg_describe_object(o.classid, o.objid, 0) COLLATE "C", 2;
SELECT attrelid::regclass, attname, attacl FROM pg_attribute
 WHERE attrelid IN (SELECT oid FROM pg_class
                     WHERE relnamespace = 'warden'::regnamespace)
   AND attacl::text ~ '[{,]=';

-- schema warden holds nothing but the extension's objects
SELECT relname, relkind FROM pg_class c
 WHERE relnamespace = 'warden'::regnamespace AND relkind NOT IN ('i', 't')
   AND NOT EXISTS (SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = c.oid
          AND deptype IN ('e', 'i', 'a'))
 ORDER BY 1;
SELECT p.oid::regprocedure AS function FROM pg_proc p
 WHERE pronamespace = 'warden'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend
        WHERE classid = 'pg_proc'::regclass AND objid = p.oid
          AND deptype = 'e')
 ORDER BY p.oid::regprocedure::text;

-- relations: everybody but the owner
SELECT c.oid::regclass AS relation, c.relkind AS kind,
       string_agg(CASE grantee WHEN 0 THEN 'PUBLIC'
           ELSE grantee::regrole::text END || ' ' || privileges, '; '
           ORDER BY grantee::regrole::text COLLATE "C") AS granted
  FROM pg_class c
  LEFT JOIN LATERAL (
    SELECT grantee, string_agg(lower(privilege_type), ','
               ORDER BY privilege_type) AS privileges
      FROM aclexplode(c.relacl) WHERE grantee <> c.relowner
     GROUP BY grantee) a ON true
 WHERE c.relnamespace = 'warden'::regnamespace AND NOT c.relispartition
       AND c.relkind IN ('r', 'p', 'v', 'S')
 GROUP BY c.oid, c.relkind ORDER BY c.relname COLLATE "C";
-- columns
SELECT attrelid::regclass AS relation, attname, grantee::regrole,
       lower(privilege_type) AS privilege
  FROM pg_attribute a, aclexplode(attacl)
 WHERE attrelid IN (SELECT oid FROM pg_class
                     WHERE relnamespace = 'warden'::regnamespace)
 ORDER BY attrelid::regclass::text COLLATE "C", attnum, 3::text, 4;
-- functions, and the way in which each is safe
SELECT p.oid::regprocedure AS function, prokind AS kind,
       provolatile AS v, proparallel AS p,
       CASE WHEN prosecdef THEN 'definer' END AS security,
       array_to_string(proconfig, ',') AS settings,
       (SELECT string_agg(CASE grantee WHEN 0 THEN 'PUBLIC'
               ELSE grantee::regrole::text END, ','
               ORDER BY grantee::regrole::text COLLATE "C")
          FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
         WHERE grantee <> proowner) AS execute
  FROM pg_proc p WHERE pronamespace = 'warden'::regnamespace
 ORDER BY p.oid::regprocedure::text COLLATE "C";
-- grants can not be handed on
SELECT c.oid::regclass, grantee::regrole FROM pg_class c, aclexplode(relacl)
 WHERE relnamespace = 'warden'::regnamespace AND is_grantable
   AND grantee <> relowner;
-- the group roles are members of nothing, and nothing is made with them
SELECT r.rolname, m.rolname AS member_of FROM pg_auth_members a
  JOIN pg_roles r ON r.oid = a.member JOIN pg_roles m ON m.oid = a.roleid
 WHERE r.rolname ~ '^warden_(admin|reviewer|auditor|gateway|key_refresher)$'
 ORDER BY 1, 2;

-- triggers hold for every session, that of a replica as well
SELECT tgrelid::regclass AS relation, tgname, tgenabled
  FROM pg_trigger
 WHERE tgrelid IN (SELECT oid FROM pg_class
                    WHERE relnamespace = 'warden'::regnamespace
                      AND NOT relispartition)
   AND NOT tgisinternal
 ORDER BY tgrelid::regclass::text COLLATE "C", tgname COLLATE "C";

-- what is dumped, and what is not: keys and tokens are a database's own
SELECT c.oid::regclass AS relation,
       extcondition[array_position(extconfig, c.oid)] AS condition
  FROM pg_extension, unnest(extconfig) u (oid) JOIN pg_class c ON c.oid = u.oid
 WHERE extname = 'pg_warden' ORDER BY c.relname COLLATE "C";

-- every member has a comment, and every column of the tables people read
SELECT pg_describe_object(classid, objid, 0) AS "no comment"
  FROM pg_depend d
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_warden')
   AND obj_description(objid, (SELECT relname FROM pg_class
                                WHERE oid = classid)) IS NULL
   AND NOT (classid = 'pg_class'::regclass
            AND (SELECT relkind FROM pg_class WHERE oid = objid) IN ('i', 'S'))
   AND NOT (classid = 'pg_type'::regclass
            AND (SELECT typrelid <> 0 OR typelem <> 0 FROM pg_type
                  WHERE oid = objid))
 ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";
SELECT attrelid::regclass AS relation, attname AS "no comment"
  FROM pg_attribute
 WHERE attrelid IN (SELECT oid FROM pg_class
                     WHERE relnamespace = 'warden'::regnamespace
                       AND relkind = 'r' AND relname <> 'audit_outbox')
   AND attnum > 0 AND NOT attisdropped
   AND col_description(attrelid, attnum) IS NULL
 ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT tgrelid::regclass AS relation, tgname AS "no comment"
  FROM pg_trigger t
 WHERE tgrelid IN (SELECT oid FROM pg_class
                    WHERE relnamespace = 'warden'::regnamespace)
   AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL
 ORDER BY 1, 2;
-- and every function's arguments have names
SELECT p.oid::regprocedure AS "unnamed arguments" FROM pg_proc p
 WHERE pronamespace = 'warden'::regnamespace AND pronargs > 0
   AND (proargnames IS NULL OR '' = ANY (proargnames))
 ORDER BY p.oid::regprocedure::text COLLATE "C";
