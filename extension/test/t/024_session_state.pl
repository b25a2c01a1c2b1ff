# Whatever an agent sends through a gateway's connection, the next call on that
# connection finds it as it was: settings, prepared statements, cursors,
# channels, locks, temporary objects, identity.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE SEQUENCE numbers;
CREATE SCHEMA planted;
CREATE TABLE big (id serial, data text);
GRANT USAGE ON SEQUENCE numbers TO support_agent;
GRANT ALL ON SCHEMA public, planted TO support_agent;
GRANT ALL ON big TO support_agent;
GRANT TEMP ON DATABASE postgres TO support_agent;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO support_agent;
SELECT lo_create(4242);
GRANT ALL ON LARGE OBJECT 4242 TO support_agent;
CREATE FUNCTION run(command text) RETURNS void LANGUAGE plpgsql
    AS $$BEGIN EXECUTE command; END$$;
CREATE FUNCTION keep() RETURNS text LANGUAGE plpgsql SET work_mem = '3MB'
    AS $$BEGIN PERFORM set_config('work_mem', '5MB', false); RETURN 'kept'; END$$;
CREATE PROCEDURE step() LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO support_agent;
SQL
my $token =
  $node->safe_psql('postgres', "SELECT warden.issue_token('support')");

# ---- what is sent ----------------------------------------------------------

# Settings with a value that is not the one they have.
my %values = (
    application_name => 'evil', search_path => 'planted', work_mem => '1MB',
    statement_timeout => '7s', lock_timeout => '7s',
    idle_in_transaction_session_timeout => '7s', client_encoding => 'LATIN1',
    DateStyle => 'German', TimeZone => 'Asia/Tokyo', IntervalStyle => 'iso_8601',
    extra_float_digits => '0', bytea_output => 'escape',
    xmloption => 'document', standard_conforming_strings => 'off',
    default_transaction_isolation => 'serializable',
    default_transaction_read_only => 'on', transaction_read_only => 'on',
    default_transaction_deferrable => 'on', enable_seqscan => 'off',
    random_page_cost => '9', client_min_messages => 'error',
    session_replication_role => 'replica', row_security => 'off',
    role => 'shop_writer', session_authorization => 'shop_writer',
    'warden.agent' => 'other', 'warden.on_behalf_of' => 'rita',
    'warden.audit' => 'async', 'warden.unlabelled_columns' => 'clear',
    'custom.setting' => 'x', plan_cache_mode => 'force_generic_plan',
    log_statement => 'all', max_parallel_workers_per_gather => '0',
    check_function_bodies => 'off', local_preload_libraries => 'x',
    'plpgsql.variable_conflict' => 'use_column', jit => 'off',
    default_tablespace => 'pg_default', temp_tablespaces => 'pg_default',
    lo_compat_privileges => 'on', backslash_quote => 'on',
    array_nulls => 'off', transform_null_equals => 'on');
my @statements;

for my $name (sort keys %values)
{
    my $value = $values{$name};
    my $quoted = $name =~ /\./ ? $name : qq{"$name"};

    push @statements, "SET $quoted = '$value'", "SET SESSION $quoted TO '$value'",
      "SET LOCAL $quoted = '$value'", "RESET $quoted",
      "SELECT set_config('$name', '$value', false)",
      "SELECT pg_catalog.set_config('$name', '$value', true)",
      "DO \$\$BEGIN PERFORM set_config('$name', '$value', false); END\$\$",
      "SELECT run(\$\$SET $quoted = '$value'\$\$)",
      "UPDATE pg_settings SET setting = '$value' WHERE name = '$name'";
}
push @statements, split /\n/, <<'SQL';
SET NAMES 'LATIN1'
SET TIME ZONE 'Asia/Tokyo'
SET SCHEMA 'planted'
SET SEED TO 0.5
SELECT setseed(0.5)
SET XML OPTION DOCUMENT
SET ROLE shop_writer
SET ROLE NONE
SET LOCAL ROLE gateway
RESET ROLE
SET SESSION AUTHORIZATION shop_writer
SET SESSION AUTHORIZATION DEFAULT
RESET SESSION AUTHORIZATION
RESET ALL
SET U&"r\006Fle" = 'gateway'
SELECT set_config('r' || 'ole', 'gateway', false)
SET TRANSACTION READ ONLY
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET CONSTRAINTS ALL DEFERRED
ALTER ROLE support_agent SET work_mem = '1MB'
ALTER ROLE CURRENT_USER SET search_path = planted
ALTER DATABASE postgres SET work_mem = '1MB'
ALTER SYSTEM SET work_mem = '1MB'
SELECT keep()
SELECT current_setting('custom.unknown', true)
DISCARD ALL
DISCARD TEMP
DISCARD PLANS
DISCARD SEQUENCES
PREPARE p AS SELECT 1
PREPARE p (int) AS SELECT $1
PREPARE p AS UPDATE customers SET name = 'x'
SELECT run('PREPARE p AS SELECT 1')
DO $$BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END$$
EXECUTE p
DEALLOCATE p
DEALLOCATE ALL
DECLARE c CURSOR FOR SELECT 1
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM customers
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1
SELECT run('DECLARE c CURSOR WITH HOLD FOR SELECT 1')
DO $$DECLARE c refcursor := 'left'; BEGIN OPEN c FOR SELECT 1; END$$
FETCH c
CLOSE ALL
LISTEN evil
LISTEN warden_changes
SELECT run('LISTEN evil')
DO $$BEGIN LISTEN evil; END$$
UNLISTEN *
NOTIFY evil
SELECT pg_notify('evil', 'x')
CREATE TEMP TABLE t (a int)
CREATE TEMPORARY TABLE t AS SELECT * FROM customers
CREATE LOCAL TEMP TABLE t (a int) ON COMMIT PRESERVE ROWS
SELECT 1 AS a INTO TEMP t
CREATE TABLE pg_temp.t (a int)
CREATE TEMP VIEW v AS SELECT 1
CREATE TEMP SEQUENCE s
CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE TYPE pg_temp.ty AS (a int)
CREATE DOMAIN pg_temp.d AS int
CREATE SCHEMA pg_temp_evil
SELECT run('CREATE TEMP TABLE t (a int)')
DO $$BEGIN CREATE TEMP TABLE t (a int); END$$
SELECT pg_advisory_lock(1)
SELECT pg_advisory_lock(1, 2)
SELECT pg_advisory_lock_shared(1)
SELECT pg_advisory_lock_shared(1, 2)
SELECT pg_try_advisory_lock(1)
SELECT pg_try_advisory_lock(1, 2)
SELECT pg_try_advisory_lock_shared(1)
SELECT pg_try_advisory_lock_shared(1, 2)
SELECT pg_advisory_xact_lock(1)
SELECT pg_try_advisory_xact_lock(1)
SELECT pg_advisory_unlock(1)
SELECT pg_advisory_unlock_all()
SELECT 1 WHERE pg_try_advisory_lock(1)
SELECT (SELECT pg_try_advisory_lock(1))
SELECT run('SELECT pg_advisory_lock(1)')
DO $$BEGIN PERFORM pg_advisory_lock(1); END$$
SELECT query_to_xml('SELECT pg_advisory_lock(1)', true, true, '')
SELECT query_to_xml('SET work_mem = ''1MB''', true, true, '')
SELECT query_to_xml('LISTEN evil', true, true, '')
LOCK TABLE customers
SELECT nextval('numbers')
SELECT setval('numbers', 99)
SELECT currval('numbers')
SELECT lastval()
SELECT run('SELECT nextval(''numbers'')')
DO $$BEGIN PERFORM nextval('numbers'); END$$
SELECT query_to_xml('SELECT nextval(''numbers'')', true, true, '')
INSERT INTO big (data) VALUES ('x')
ALTER SEQUENCE numbers RESTART WITH 50
SELECT lo_create(0)
SELECT lo_creat(-1)
SELECT lo_from_bytea(0, 'x')
SELECT lo_open(4242, 131072)
SELECT lo_put(4242, 0, 'evil')
SELECT lo_unlink(4242)
SELECT lo_import('/etc/passwd')
LOAD 'auto_explain'
LOAD '$libdir/plpgsql'
DO $$BEGIN LOAD 'auto_explain'; END$$
BEGIN
START TRANSACTION
COMMIT
END
COMMIT AND CHAIN
ROLLBACK
ROLLBACK AND CHAIN
ABORT
SAVEPOINT a
ROLLBACK TO a
RELEASE a
PREPARE TRANSACTION 'evil'
COMMIT PREPARED 'evil'
CALL step()
DO $$BEGIN COMMIT; END$$
DO $$BEGIN SET work_mem = '1MB'; EXCEPTION WHEN OTHERS THEN NULL; END$$
DO $$BEGIN PERFORM pg_advisory_lock(1); EXCEPTION WHEN OTHERS THEN NULL; END$$
DO $$BEGIN EXECUTE 'PREPARE p AS SELECT 1'; EXCEPTION WHEN OTHERS THEN NULL; END$$
SELECT 1 \; COMMIT \; SET work_mem = '1MB'
COMMIT \; SELECT pg_advisory_lock(1)
COMMIT \; LISTEN evil
ROLLBACK \; CREATE TEMP TABLE t (a int)
SET work_mem = '1MB' \; COMMIT
SELECT warden.leave('guess')
SELECT warden.leave('k')
SELECT warden.enter('x', NULL, '{}', 'k2')
SELECT pg_reload_conf()
SELECT pg_terminate_backend(pg_backend_pid())
SELECT pg_cancel_backend(pg_backend_pid())
SELECT pg_export_snapshot()
SELECT pg_create_physical_replication_slot('evil')
SELECT pg_stat_reset()
SELECT pg_switch_wal()
SELECT pg_replication_origin_session_setup('evil')
SELECT txid_current()
SELECT set_config(name, reset_val, false) FROM pg_settings
SELECT set_config('work_mem', '1MB', false) UNION ALL SELECT 'x'
EXPLAIN ANALYZE SELECT set_config('work_mem', '1MB', false)
COPY (SELECT set_config('work_mem', '1MB', false)) TO STDOUT
VALUES (set_config('work_mem', '1MB', false))
CREATE TABLE planted.t AS SELECT set_config('work_mem', '1MB', false) AS s
SELECT 1/0
SELEC 1
SQL
cmp_ok(scalar @statements, '>=', 300, 'some hundred statements');

# ---- what is looked at -----------------------------------------------------

my $look = <<'SQL';
SELECT 'user', current_user, session_user;
SELECT 'setting', name, setting FROM pg_catalog.pg_settings
 WHERE source = 'session' ORDER BY name;
SELECT 'prepared', name, statement FROM pg_catalog.pg_prepared_statements ORDER BY name;
SELECT 'cursor', name FROM pg_catalog.pg_cursors WHERE name <> '' ORDER BY name;
SELECT 'channel', c FROM pg_catalog.pg_listening_channels() c ORDER BY c;
SELECT 'lock', classid, objid, objsubid, mode FROM pg_catalog.pg_locks
 WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() ORDER BY 2, 3, 4, 5;
SELECT 'temporary', pg_catalog.pg_my_temp_schema();
SELECT 'custom', pg_catalog.current_setting('custom.setting', true);
SELECT 'looked';
SQL

# As a gateway: what SHOW says before the call, and as the agent all the rest.
my $enter = "BEGIN; SELECT warden.enter('$token', NULL, '{}', 'k');";
my $snapshot = "SHOW ALL;\n$enter\n$look SELECT warden.leave('k'); COMMIT;\n";
my %ends = (
    leave => "SELECT warden.leave('k');\nCOMMIT;",
    commit => 'COMMIT;',
    rollback => "SELECT warden.leave('k');\nROLLBACK;");
my @calls = map {
    my $statement = $_;
    map { { sql => $statement, end => $_ } } sort keys %ends
} @statements;

# What other sessions would see of it.
sub outside
{
    return $node->safe_psql('postgres', <<'SQL');
SELECT count(*), min(oid) FROM pg_largeobject_metadata;
SELECT count(*) FROM pg_largeobject;
SELECT last_value, is_called FROM numbers;
SELECT last_value, is_called FROM big_id_seq;
SELECT count(*) FROM pg_class WHERE relpersistence = 't';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pg\_temp\_%';
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT count(*) FROM pg_prepared_xacts;
SELECT count(*) FROM pg_replication_slots;
SELECT setconfig FROM pg_db_role_setting;
SELECT count(*) FROM big;
SELECT pg_catalog.pg_size_bytes(current_setting('work_mem'));
SQL
}

# One session that does all the calls, and says how it is after each.  A call
# that ended the session would leave the rest without an answer.
sub run_calls
{
    my @run = @_;
    # PL/pgSQL brings settings of its own when it is first used.
    my $script = "$enter\nDO \$\$BEGIN NULL; END\$\$;\n$ends{leave}\n";

    $script .= "\\echo \@\@first\n$snapshot\\echo \@\@-\n";

    for my $n (0 .. $#run)
    {
        $script .= "$enter\n$run[$n]{sql};\n$ends{$run[$n]{end}}\n"
          . "ROLLBACK;\n\\echo \@\@$n\n$snapshot\\echo \@\@-\n";
    }
    my ($code, $out, $err) = warden_psql($node, 'gateway', $script,
        on_error_stop => 0);
    my %state;
    my $at = '-';

    for (split /\n/, $out)
    {
        if (/^\@\@(.*)/) { $at = $1; $state{$at} //= ''; }
        else { $state{$at} .= "$_\n"; }
    }
    return \%state;
}

# ---- the looking finds what there is to find, as an agent too --------------

my ($code, $seen, $err) = warden_psql($node, 'postgres', <<"SQL");
SET work_mem = '1MB'; SET custom.setting = 'x'; PREPARE p AS SELECT 1;
LISTEN evil; SELECT pg_advisory_lock(1); CREATE TEMP TABLE t (a int);
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT;
SET ROLE support_agent;
$look
SQL
like($seen, qr/^setting\|work_mem\|/m, 'a setting is seen');
like($seen, qr/^prepared\|p\|/m, 'a prepared statement is seen');
like($seen, qr/^cursor\|c$/m, 'a held cursor is seen');
like($seen, qr/^channel\|evil$/m, 'a channel is seen');
like($seen, qr/^lock\|0\|1\|/m, 'an advisory lock is seen');
like($seen, qr/^temporary\|[1-9]/m, 'a temporary schema is seen');
like($seen, qr/^custom\|x$/m, 'a custom setting is seen');

($code, $seen, $err) = warden_psql($node, 'gateway',
    "LISTEN warden_changes; SET DateStyle = 'German';\n$snapshot");
like($seen, qr/^channel\|warden_changes$/m, 'a gateway\'s channel is seen');
like($seen, qr/^DateStyle\|German/m, 'a gateway\'s setting is seen');

# ---- nothing stays ---------------------------------------------------------

my $before = outside();
my $state = run_calls(@calls);
my $first = $state->{first} // '';
my @different = grep { ($state->{$_} // '') ne $first } 0 .. $#calls;

like($first, qr{^user[|]support_agent[|]gateway\n.*^looked\n}ms,
    'the state could be looked at');
is(scalar @different, 0,
    scalar(@calls) . ' calls leave the session as it was')
  or report($state, $first, @different);
is(outside(), $before, 'and the server');

sub report
{
    my ($states, $is, @bad) = @_;
    my %known = map { $_ => 1 } split /\n/, $is;

    for my $n (@bad[0 .. ($#bad > 9 ? 9 : $#bad)])
    {
        my %now = map { $_ => 1 } split /\n/, $states->{$n} // 'no answer';
        my @new = grep { !$known{$_} } sort keys %now;
        my @gone = grep { !$now{$_} } sort keys %known;

        diag("$calls[$n]{sql} ($calls[$n]{end}): now @new, no more @gone");
    }
}

$node->stop;
done_testing();
