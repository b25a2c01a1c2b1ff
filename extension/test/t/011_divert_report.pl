# warden.divert_report = error stores a write in a transaction of its own. Where
# that does not work the statement fails with a reason and nothing is stored:
# no free background worker, a lock that somebody holds, a cancelled wait, and
# a worker that is ended.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

# One slot for all background workers, which the audit's takes.
my $node = warden_node(
    'main', conf => join("\n",
        'max_logical_replication_workers = 0', 'max_worker_processes = 0',
        'warden.audit_workers = 1', 'warden.audit_idle_timeout = 10min'));
my $loud = q{SET warden.divert_report = error;};
my $write = q{UPDATE customers SET name = 'Alicia' WHERE id = 1;};
my $count = 'SELECT count(*) FROM warden.pending_changes';

warden_shop($node);

my ($code, $out, $err) = warden_psql($node, 'support_agent', "$loud $write");
like($err, qr/ERROR: +53000: .*no background worker is free/,
    'no worker: an error');
is($node->safe_psql('postgres', $count), 0, 'no worker: nothing is stored');
warden_psql($node, 'support_agent', $write);
is($node->safe_psql('postgres', $count), 1, 'no worker: as a warning it is');

$node->append_conf('postgresql.conf', 'max_worker_processes = 4');
$node->restart;
($code, $out, $err) = warden_psql($node, 'support_agent', "$loud $write");
like($err, qr/ERROR: +01WD1: recorded as pending change (\d+).*\n.*change=\1 /,
    'with a worker it is an error that names the change');
is($node->safe_psql('postgres', $count), 2, 'and the change is there');

# Somebody holds a lock: the wait is cancelled, or the worker gives up first.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK warden.pending_changes IN EXCLUSIVE MODE');
($code, $out, $err) = warden_psql($node, 'support_agent',
    "SET statement_timeout = '1s'; $loud $write");
like($err, qr/ERROR: +57014: /, 'a wait can be cancelled');
($code, $out, $err) = warden_psql($node, 'support_agent', "$loud $write");
like($err, qr/ERROR: +55P03: canceling statement due to lock timeout/,
    'what the worker meets is reported');

# A worker that is ended while it waits has stored nothing.
my $waiting = q{SELECT pid FROM pg_stat_activity
                 WHERE backend_type = 'warden recorder'
                   AND wait_event_type = 'Lock'};
my $agent = $node->background_psql('postgres',
    extra_params => [ '-U', 'support_agent' ], on_error_stop => 0);
$agent->query_until(qr/sent/, "$loud\n\\echo sent\n$write\n");
ok($node->poll_query_until('postgres',
        "SELECT EXISTS ($waiting)"), 'the worker waits');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(($waiting LIMIT 1))");
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS
     (SELECT FROM pg_stat_activity WHERE usename = 'support_agent'
         AND state = 'active')}), 'its end ends the wait');
$agent->quit;
$holder->query_safe('ROLLBACK');
$holder->quit;
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS
     (SELECT FROM pg_stat_activity WHERE backend_type = 'warden recorder')}),
    'no worker is left');
is($node->safe_psql('postgres', $count), 2, 'and none stored anything');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $node->safe_psql(
        'postgres',
        q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM warden.audit_log
           WHERE agent = 'support' AND statement LIKE 'UPDATE%'}),
    'error diverted diverted error error error',
    'every statement has its audit record');
is($node->safe_psql('postgres', 'SELECT count(*) FROM warden.verify_audit()'),
    '0', 'the chain of records is whole');

$node->stop;
done_testing();
