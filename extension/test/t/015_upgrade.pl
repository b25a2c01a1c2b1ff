# A database with policy, changes and a trail goes through pg_upgrade: it is
# governed as before, what was waiting for a decision can be decided and
# applied, and the chain goes on where it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

# Settings of the library are there in both clusters, as an administrator who
# copies the configuration has them.
my $conf = "warden.audit_partition = 1s\nwarden.audit_idle_timeout = 1s\n";
my $old = warden_node('old', conf => $conf);
my $new = warden_node('new', conf => $conf, stopped => 1);

warden_shop($old);
$old->safe_psql('postgres', <<'SQL');
CREATE FUNCTION public."Greet"(text) RETURNS text
    LANGUAGE internal VOLATILE STRICT AS 'upper';
CREATE FUNCTION public.shout(text) RETURNS text
    LANGUAGE internal VOLATILE STRICT AS 'upper';
SET quote_all_identifiers = on;
SELECT warden.allow_function('public."Greet"(text)');
SELECT warden.define_type('nickname', 'full');
SELECT warden.set_mask('email', 'hash');
SELECT warden.set_mask('ssn', 'null', 'support_agent', 'id = 2');
SELECT warden.set_mask('ssn', 'ssn', 'support_agent');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
ALTER ROLE gateway SET session_preload_libraries = 'pg_warden';
CREATE TABLE tickets (id int PRIMARY KEY, phone text);
INSERT INTO tickets VALUES (1, '555-0100');
SECURITY LABEL FOR warden ON COLUMN tickets.phone IS 'phone';
GRANT SELECT ON tickets TO support_agent;
SELECT warden.grant_exemption('support_agent', 'tickets.phone',
    now() + interval '1 day', 'for the upgrade');
CREATE DATABASE other;
SQL
$old->safe_psql('other', 'CREATE EXTENSION pg_warden');
my $token = $old->safe_psql('postgres', "SELECT warden.issue_token('support')");

sub proposed
{
    my ($node, $sql) = @_;
    my ($code, $out, $err) = warden_psql($node, 'support_agent', $sql);

    $err =~ /change=(\d+) / or die "no change: $err";
    return $1;
}

my $applied = proposed($old, q{UPDATE customers SET name = 'A' WHERE id = 1});
my $approved = proposed($old, q{UPDATE customers SET name = 'M' WHERE id = 2});
my $waiting = proposed($old, q{UPDATE customers SET name = 'X' WHERE id = 2});
warden_ok($old, 'shop_reviewer', "SELECT warden.approve($_, 'go')", 'approved',
    "change $_ is approved") for $applied, $approved;
warden_ok($old, 'shop_reviewer', "CALL warden.apply($applied)", '',
    'and one of them applied');

my $reads = 'SELECT id, email, ssn FROM customers ORDER BY id;'
  . 'SELECT phone FROM tickets';

# The trail is in parts, some of them signed off.
my $parts = q{SELECT count(DISTINCT tableoid) FROM warden.audit_events};
for (1 .. 300)
{
    warden_psql($old, 'support_agent', $reads);
    last
      if (split /\n/,
        $old->safe_psql('postgres', "SELECT FROM warden.flush_audit(); $parts"))
      [-1] >= 4;
    select undef, undef, undef, 0.1;
}
$old->safe_psql('postgres', <<'SQL');
SELECT warden.drop_audit_before(max(stored_at)) FROM warden.audit_events
 WHERE tableoid = (SELECT tableoid FROM warden.audit_events
                    ORDER BY id LIMIT 1);
SQL
cmp_ok($old->safe_psql('postgres', $parts), '>=', 3, 'the trail is in parts');
warden_ok($old, 'support_agent', q{SELECT "Greet"('you')}, 'YOU',
    'a function is allowed by name');
warden_fails($old, 'support_agent', q{SELECT shout('you')}, 'WD002',
    'another one is not');
my $seen = (warden_psql($old, 'support_agent', $reads))[1];
like($seen, qr/^1\|[0-9a-f]+\|\*{3}-\*\*-4801$/m, 'an agent sees masks');
$old->safe_psql('postgres', 'SELECT warden.flush_audit()');

# What is stored, but for the trail.
my $state = q{
    SELECT string_agg(c.oid::regclass || ' ' || md5(query_to_xml(format(
               'SELECT t::text FROM %s t ORDER BY 1', c.oid::regclass),
               true, false, '')::text), E'\n' ORDER BY c.relname)
      FROM pg_class c
     WHERE relnamespace = 'warden'::regnamespace AND relkind = 'r'
       AND relname !~ '^audit_';
    SELECT string_agg(objname || ' ' || label, E'\n' ORDER BY objname)
      FROM pg_seclabels WHERE provider = 'warden'};
my $before = $old->safe_psql('postgres', $state);
my $head = $old->safe_psql('postgres', 'SELECT warden.audit_head()');
my $log = 'SELECT count(*), md5(string_agg(l::text, chr(10) ORDER BY id))'
  . ' FROM warden.audit_log l';
my $trail = $old->safe_psql('postgres', $log);
my $last = (split /:/, $head)[0];
my $epochs = $old->safe_psql('postgres',
    q{SELECT count(*) FROM warden.audit_events WHERE kind = 'epoch'});
$old->stop;

#
# The upgrade
#
chdir $PostgreSQL::Test::Utils::tmp_check or die "no directory to work in: $!";
my @upgrade = (
    'pg_upgrade', '--no-sync',
    '-d', $old->data_dir, '-D', $new->data_dir,
    '-b', $ENV{PG_BINDIR}, '-B', $ENV{PG_BINDIR},
    '-s', $new->host, '-p', $old->port, '-P', $new->port);
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check finds nothing');
command_ok(\@upgrade, 'pg_upgrade');
$new->start;

is($new->safe_psql('postgres', $state), $before,
    'policy, identities, changes and labels are what they were');
is($new->safe_psql('postgres', $log), $trail, 'so is what the trail says');
is($new->safe_psql('postgres', 'SELECT warden.audit_head()'),
    $head, 'and where it ends');
is( $new->safe_psql('postgres',
        "SELECT * FROM warden.verify_audit(anchor => '$head')"),
    '', 'the chain is whole');
is($new->safe_psql('postgres', 'SELECT object, problem FROM warden.check()'),
    '', 'nothing is unguarded');

#
# Governed as before
#
is((warden_psql($new, 'support_agent', $reads))[1], $seen,
    'the agent sees the same masks, made with the same key');
warden_ok($new, 'support_agent',
    q{SELECT count(*) FROM customers WHERE ssn = '078-05-4801'},
    '0', 'and asks of them');
warden_ok($new, 'support_agent', q{SELECT "Greet"('you')}, 'YOU',
    'what was allowed is');
warden_fails($new, 'support_agent', q{SELECT shout('you')}, 'WD002',
    'and nothing else');
warden_ok(
    $new, 'gateway',
    "BEGIN; SELECT warden.enter('$token', NULL, '{}', 'k');"
      . q{SELECT count(*), min(ssn) FROM customers; SELECT warden.leave('k'); COMMIT},
    qr/^2\|\*{3}-\*\*-2210$/m,
    'the token that was issued is good');

#
# Changes
#
warden_ok($new, 'shop_reviewer', "CALL warden.apply($approved)", '',
    'what was approved can be applied');
warden_ok($new, 'shop_reviewer', "SELECT warden.approve($waiting, 'go')",
    'approved', 'what waited can be approved');
warden_ok($new, 'shop_reviewer', "CALL warden.apply($waiting)", '',
    'and applied');
my $inverse = (warden_psql($new, 'shop_reviewer',
        "SELECT warden.revert($applied)"))[1];
cmp_ok($inverse, '>', $waiting, 'what was applied can be reverted');
is(proposed($new, q{UPDATE customers SET name = 'Z' WHERE id = 2}),
    $inverse + 1, 'numbers of changes go on');
is( $new->safe_psql('postgres', 'SELECT name FROM customers ORDER BY id'),
    "A\nX", 'and the rows are what the changes made of them');

#
# The chain goes on, in an epoch of its own
#
$new->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $new->safe_psql('postgres',
        "SELECT kind, epoch = id FROM warden.audit_events
          WHERE id = $last + 1"),
    'epoch|t', 'the first record after the upgrade begins an epoch');
is( $new->safe_psql('postgres',
        q{SELECT count(*) FROM warden.audit_events WHERE kind = 'epoch'}),
    $epochs + 1, 'and no other one');
is( $new->safe_psql('postgres',
        "SELECT * FROM warden.verify_audit(anchor => '$head')"),
    '', 'the chain is whole from before to after');
like(
    $new->safe_psql('postgres', 'SELECT warden.audit_head()'),
    qr/^(??{ '(?!' . $last . ':)' })\d+:[0-9a-f]{64}/,
    'and its head has moved');
is( $new->safe_psql('postgres',
        q{SELECT count(*) FROM pg_inherits WHERE NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgrelid = inhrelid
              AND tgname = 'guard_audit' AND tgenabled = 'A')
           AND inhparent = 'warden.audit_events'::regclass}),
    '0', 'each part has its guard');
my ($code, $out, $err) = $new->psql('postgres', 'DELETE FROM warden.audit_events');
isnt($code, 0, 'which works');
is( $new->safe_psql('other',
        'SELECT FROM warden.flush_audit(); SELECT * FROM warden.verify_audit()'),
    '', 'the chain of another database is whole, too');

unlike(slurp_file($_->logfile), qr/\Q$token\E/, 'no token is in a log')
  for $old, $new;
$new->stop;
done_testing();
