# What is read below a statement is recorded before it is, with the statement
# that reads it: also where portals take turns, which takes the protocol itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main', conf => "warden.audit_timeout = 1s\n");

warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE other (v text);
INSERT INTO other VALUES ('x');
GRANT SELECT ON other TO support_agent;
CREATE FUNCTION late(i int) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF i < 2 THEN RETURN 'no'; END IF;
    RETURN (SELECT ssn FROM customers WHERE id = i - 1);
END $$;
CREATE FUNCTION stubborn() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT ssn FROM customers WHERE id = 1);
EXCEPTION WHEN OTHERS THEN
    RETURN (SELECT 'then ' || ssn FROM customers WHERE id = 1);
END $$;
CREATE FUNCTION parallel_read(i int) RETURNS text LANGUAGE plpgsql STABLE
    PARALLEL SAFE AS 'BEGIN RETURN (SELECT ssn FROM customers LIMIT 1); END';
SQL

my $socket = wire_connect($node, 'support_agent');
my ($answer) = wire_converse(
    $socket,
    wire_statement('', 'BEGIN')
      . wire_statement('p', 'SELECT late(i) FROM generate_series(1, 3) i', 1)
      . wire_statement('', 'SELECT v FROM other')
      . wire_message('E', "p\0" . pack('N', 0))
      . wire_statement('', 'COMMIT')
      . wire_message('S', ''));
like($answer, qr/^12C12Ds12DCDDC12CZ$/, 'portals take turns');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $node->safe_psql(
        'postgres', q{
    SELECT string_agg(substring(statement, 1, 11) || ' ' || rows || ' '
        || coalesce(relations::text, '-'), ', ' ORDER BY id)
      FROM warden.audit_log WHERE agent = 'support'}),
    'BEGIN 0 -, SELECT late 1 -, SELECT v FR 1 {public.other}, '
      . 'SELECT late 2 {public.customers}, COMMIT 0 -',
    'each has its rows, and what it read');

# A block that catches the refusal and reads again is refused again.
my $locker = $node->background_psql('postgres');
my ($out, $err) = ('', '');
my $reader = IPC::Run::start(
    [
        $node->installed_command('psql'), '-XAtq', '-v', 'VERBOSITY=verbose',
        '-d', $node->connstr('postgres') . ' user=support_agent',
        '-c', 'SELECT pg_sleep(3), stubborn()'
    ],
    '>' => \$out,
    '2>' => \$err);
wait_for_sql($node,
    q{SELECT count(*) = 1 FROM warden.audit_events
       WHERE statement LIKE '%stubborn%' AND kind = 'intent'});
$locker->query_safe(
    'BEGIN; LOCK TABLE warden.audit_events IN ACCESS EXCLUSIVE MODE');
$reader->finish;
like($err, qr/ERROR:  WD009:/, 'what can not be recorded is not read');
is($out, '', 'however often it is tried');
$locker->query_safe('ROLLBACK');
$locker->quit;

# Parallel workers read for the statement of their leader.
my $setting = $node->safe_psql('postgres',
    q{SELECT name FROM pg_settings
       WHERE name IN ('force_parallel_mode', 'debug_parallel_query')
       ORDER BY name LIMIT 1});
$node->append_conf('postgresql.conf', "$setting = on");
$node->reload;
warden_ok($node, 'support_agent', "SELECT parallel_read(1)", '***-**-4801',
    'a function in a parallel worker reads');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $node->safe_psql(
        'postgres', q{
    SELECT l.relations, count(r.backend), bool_or(r.backend <> l.backend)
      FROM warden.audit_log l
      JOIN warden.audit_events r ON r.statement_id = l.id AND r.kind = 'read'
     WHERE l.statement LIKE '%parallel_read%' GROUP BY l.id, l.relations}),
    '{public.customers}|1|t', 'and so it is recorded');
is($node->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
    '', 'the chain is whole');

$node->stop;
done_testing();
