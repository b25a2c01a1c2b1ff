# The trail in parts: made by the worker as time goes on, guarded each, dropped
# from the oldest on, and the chain runs through all of them, in a restored
# dump too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use WardenTest;

my $node = warden_node('main', conf => "warden.audit_partition = 1s\n");
my $read = 'SELECT count(*) FROM customers';

warden_shop($node);

sub trail
{
    my ($sql, $dbname) = @_;

    return $node->safe_psql($dbname // 'postgres',
        "SET client_min_messages = error;
         DO 'BEGIN PERFORM warden.flush_audit(); END'; $sql");
}

# Records of each part, oldest first.
my $parts = q{SELECT count(*) FROM warden.audit_events GROUP BY tableoid
               ORDER BY min(id)};

for (1 .. 300)
{
    warden_psql($node, 'support_agent', $read);
    last if split(/\n/, trail($parts)) >= 4;
    sleep 0.1;
}
my @counts = split /\n/, trail($parts);
cmp_ok(scalar @counts, '>=', 4, 'the trail is in several parts');
is(trail('SELECT * FROM warden.verify_audit()'), '', 'one chain');
is( trail(
        q{SELECT count(*) = max(id) AND min(id) = 1 AND
                 count(DISTINCT id) = count(*) FROM warden.audit_events}),
    't', 'without gaps');
is( trail(
        q{SELECT count(*) FROM (SELECT id, stored_at,
            lag(stored_at) OVER (ORDER BY id) AS before
            FROM warden.audit_events) e WHERE stored_at < before}),
    '0', 'whose time of writing never goes back');
is( trail(
        q{SELECT count(*) FROM warden.audit_log
           WHERE agent = 'support' AND outcome <> 'ok'}),
    '0', 'outcomes are found across parts');
is( trail(
        q{SELECT count(*) FROM pg_inherits WHERE NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = inhrelid
              AND tgname = 'guard_audit' AND tgenabled = 'A')
           AND inhparent = 'warden.audit_events'::regclass}),
    '0', 'each has its guard');
like(
    trail(
        q{SET enable_seqscan = off; SET enable_bitmapscan = off;
          EXPLAIN (COSTS OFF) SELECT * FROM warden.audit_columns
            WHERE on_behalf_of = 'ann' AND at > now() - interval '7 days'
              AND column_name = 'public.customers.ssn'}),
    qr/Index Scan using audit_events_\w+_person.*Index Cond: \(\(on_behalf_of = 'ann'::text\) AND \(at > /s,
    'and its indexes');

# A part that is taken out, or records that are moved into another one.
sub tampered
{
    my ($sql) = @_;

    return (split /\n/,
        $node->safe_psql('postgres',
            "BEGIN; SELECT FROM warden.flush_audit(); $sql;
             SELECT problem FROM warden.verify_audit(); ROLLBACK"))[-1];
}
my @names = split /\n/,
  trail(q{SELECT tableoid::regclass FROM warden.audit_events
           GROUP BY tableoid ORDER BY min(id)});
is( tampered(
        "SET LOCAL warden.allow_drop = on;
         ALTER TABLE warden.audit_events DETACH PARTITION $names[1]"),
    'removed', 'a part that was detached is missed');
is( tampered(
        "ALTER TABLE $names[1] DISABLE TRIGGER guard_audit;
         ALTER TABLE $names[2] DISABLE TRIGGER guard_audit;
         CREATE TEMP TABLE moved AS
            SELECT * FROM $names[1] ORDER BY id DESC LIMIT 1;
         UPDATE moved SET stored_at =
            (SELECT min(stored_at) FROM $names[2]);
         INSERT INTO $names[2] SELECT * FROM moved"),
    'inserted', 'a record in two parts is found');

#
# Retention
#
my ($code, $out, $err) = $node->psql('postgres',
    q{SET ROLE warden_admin; SELECT warden.drop_audit_before(now())});
like($err, qr/last 30 days are kept/, 'young records are kept');
my $bound = trail(
    qq{SELECT max(stored_at) FROM warden.audit_events
        WHERE tableoid = '$names[1]'::regclass});
my $anchor = trail('SELECT warden.audit_head()');
my $last = trail(
    "SELECT id || ':' || encode(hash, 'hex') FROM warden.audit_events"
      . " WHERE id = $counts[0]");
is( $node->safe_psql('postgres',
        "SELECT warden.drop_audit_before('$bound')"),
    $counts[0], 'the parts that end before a time are dropped');
is( trail('SELECT min(id) FROM warden.audit_events'),
    $counts[0] + 1, 'and no more');
is(trail("SELECT * FROM warden.verify_audit(anchor => '$anchor')"),
    '', 'the chain verifies from where that left it');
is(trail("SELECT * FROM warden.verify_audit(anchor => '$last')"),
    '', 'an anchor of the last record that went holds');
is( trail("SELECT problem FROM warden.verify_audit(anchor =>"
          . " '$counts[0]:' || repeat('0', 64))"),
    'rewritten', 'or does not');
is( trail(
        q{SELECT count(*) FROM warden.audit_log
           WHERE outcome = 'audit_dropped'}),
    '1', 'and says that something was dropped');
is( tampered(
        "SET LOCAL warden.allow_drop = on;
         ALTER TABLE warden.audit_events DETACH PARTITION $names[1]"),
    'removed', 'what goes without being signed for is missed');

my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM warden.audit_events');
($code, $out, $err) = $node->psql('postgres',
    q{SELECT warden.drop_audit_before(now())});
like($err, qr/somebody reads/, 'readers are not waited for without end');
warden_ok($node, 'support_agent', $read, '2', 'and agents not stopped');
$reader->quit;

#
# Dump and restore
#
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/audit.dump';
$anchor = trail('SELECT warden.audit_head()');
command_ok(
    [ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ],
    'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok(
    [ 'pg_restore', '-d', $node->connstr('restored'), $dump ],
    'pg_restore reports no errors');
warden_ok($node, 'support_agent', $read, '2',
    'agents work in the restored database', dbname => 'restored');
is(trail("SELECT * FROM warden.verify_audit(anchor => '$anchor')",
        'restored'),
    '', 'its chain is whole and holds the anchor');
is( trail(
        q{SELECT count(*) FROM pg_inherits i WHERE NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = inhrelid
              AND tgname = 'guard_audit' AND tgenabled = 'A')
           AND inhparent = 'warden.audit_events'::regclass},
        'restored'),
    '0', 'and its parts are guarded');
cmp_ok(
    trail(
        q{SELECT count(*) FROM warden.audit_log
           WHERE outcome = 'label' AND id > (SELECT max(id)
             FROM warden.audit_events WHERE kind = 'epoch')}, 'restored'),
    '>', 0, 'what the restore itself labelled is in the new epoch');

# A tablespace for what comes.
$node->safe_psql('postgres', <<"SQL");
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE elsewhere LOCATION '';
SQL
$node->safe_psql('postgres',
    'ALTER TABLE warden.audit_events SET TABLESPACE elsewhere');
for (1 .. 300)
{
    warden_psql($node, 'support_agent', $read);
    last
      if trail(q{SELECT count(*) FROM pg_tablespace t JOIN pg_class c
                    ON c.reltablespace = t.oid
                  WHERE spcname = 'elsewhere' AND relkind = 'i'});
    sleep 0.1;
}
is( trail(q{SELECT count(*) % 7 FROM pg_tablespace t JOIN pg_class c
               ON c.reltablespace = t.oid JOIN pg_inherits i
               ON c.oid = inhrelid OR c.oid IN (SELECT indexrelid
                 FROM pg_index WHERE indrelid = inhrelid)
             WHERE spcname = 'elsewhere' HAVING count(*) > 0}),
    '0', 'new parts and all their indexes are in the tablespace of the store');
is(trail('SELECT * FROM warden.verify_audit()'), '', 'the chain goes on');

$node->stop;
done_testing();
