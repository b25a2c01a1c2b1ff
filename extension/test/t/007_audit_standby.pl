# A hot standby has no store: agents are refused there, or recorded in the
# server log. After a promotion the chain goes on, with an epoch of its own;
# after a restore of a dump it does so too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use WardenTest;

my $primary = warden_node('primary', init => { allows_streaming => 1 });
my $read = 'SELECT email FROM customers WHERE id = 1';
my $masked = 'a******@example.com';

warden_shop($primary);
warden_ok($primary, 'support_agent', $read, $masked, 'a read on the primary');
$primary->safe_psql('postgres', 'SELECT warden.flush_audit()');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SHOW max_worker_processes'),
    $primary->safe_psql('postgres', 'SHOW max_worker_processes'),
    'a standby that preloads the library has as many process slots');

#
# refuse
#
warden_fails($standby, 'support_agent', $read, 'WD010',
    'agents are refused on a standby');
is( $standby->safe_psql(
        'postgres', q{SELECT count(*) FROM warden.audit_log
                       WHERE outcome = 'ok' AND agent = 'support'}),
    '1', 'people can read the trail there');
is($standby->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
    '', 'and verify it');

#
# log
#
$standby->append_conf('postgresql.conf', "warden.standby_audit = 'log'");
$standby->reload;
sleep 0.3;
my $offset = -s $standby->logfile;
warden_ok($standby, 'support_agent', $read, $masked,
    'with warden.standby_audit = log they read, masked');
my @lines = grep { /pg_warden audit: / }
  split /\n/, slurp_file($standby->logfile, $offset);
is(scalar @lines, 2, 'intent and outcome are lines of the log');
like(
    $lines[0],
    qr/audit: \{"node":"\d+","host":"[^"]+","port":${\$standby->port},.*"kind":"intent".*"agent":"support".*"statement":"SELECT email FROM customers WHERE id = 1".*"masked_columns":\["public\.customers\.email=email"\].*\}$/,
    'with node, host, port, agent, statement and columns, as JSON');
like($lines[1], qr/"kind":"outcome".*"rows":1,.*"outcome":"ok"\}$/,
    'and the outcome');
$offset = -s $standby->logfile;
warden_ok($standby, 'support_agent', "$read /* wdn_ */", $masked,
    'a statement that looks as if it had a credential in it');
like(slurp_file($standby->logfile, $offset),
    qr/audit: .*"statement":"[^"]* wdn_ .*"masked_columns":\[.*\}$/m,
    'has a whole line');
$offset = -s $standby->logfile;
warden_ok($standby, 'support_agent', <<'SQL', qr//, 'lines of an agent');
DO $$
BEGIN
    RAISE LOG 'pg_warden audit: {"node":"1","agent":"somebody else"}';
    RAISE LOG 'audit head of database "postgres": 1:ab';
END
$$
SQL
unlike(
    slurp_file($standby->logfile, $offset),
    qr/LOG:  (?:pg_warden audit: \{"node":"1"|audit head of)/,
    'do not look like those of the library');
warden_fails(
    $standby, 'support_agent',
    q{UPDATE customers SET name = 'x' WHERE id = 1}, 'WD010',
    'writes are refused');

#
# Promotion
#
$primary->stop;
$standby->promote;
warden_ok($standby, 'support_agent', $read, $masked,
    'agents work on the promoted server');
$standby->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $standby->safe_psql(
        'postgres', q{SELECT string_agg(substring(detail, 'timeline=\d+'), ' '
                       ORDER BY id) FROM warden.audit_events
                       WHERE kind = 'epoch'}),
    'timeline=1 timeline=2', 'the promotion began an epoch');
is( $standby->safe_psql(
        'postgres', q{SELECT string_agg(outcome, ' ' ORDER BY id)
                       FROM warden.audit_log WHERE agent = 'support'}),
    'ok ok', 'what was read there while it was a standby is in its log only');
is($standby->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
    '', 'the chain is whole');

#
# Dump and restore
#
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/audit.sql';
my $anchor = $standby->safe_psql('postgres', 'SELECT warden.audit_head()');
command_ok([ 'pg_dump', '-f', $dump, '-d', $standby->connstr('postgres') ],
    'pg_dump');
$standby->safe_psql('postgres', 'CREATE DATABASE restored');
my ($code, $out, $err) = $standby->psql('restored', "\\i $dump",
    on_error_stop => 1);
is($err, '', 'the restore reports no errors');
warden_ok($standby, 'support_agent', $read, $masked,
    'agents work in the restored database', dbname => 'restored');
$standby->safe_psql('restored', 'SELECT warden.flush_audit()');
is( $standby->safe_psql(
        'restored', "SELECT * FROM warden.verify_audit(anchor => '$anchor')"),
    '', 'the restored chain is whole and holds the anchor');
is( $standby->safe_psql(
        'restored',
        q{SELECT count(*) FROM warden.audit_events WHERE kind = 'epoch'}),
    '3', 'the restore began an epoch');
($code, $out, $err) = $standby->psql('restored',
    'INSERT INTO warden.audit_events SELECT * FROM warden.audit_events');
like($err, qr/can not be changed by SQL/, 'once used it takes no more rows');

$standby->stop;
done_testing();
