# What must outlive the server: policy, pending changes, audit records. And
# what must come back with it: the audit worker, without which agents stop.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main', conf => "restart_after_crash = on\nfsync = on");
my $masked = "a******\@example.com|***-**-4801";
my $read = 'SELECT email, ssn FROM customers WHERE id = 1';

# One record per statement, whatever became of it.
sub outcomes
{
    return $node->safe_psql(
        'postgres',
        q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM warden.audit_log
           WHERE agent = 'support'});
}

warden_shop($node);
warden_ok($node, 'support_agent', $read, $masked, 'masked at first');
my ($code, $out, $err) = warden_psql($node, 'support_agent',
    q{UPDATE customers SET name = 'Alicia' WHERE id = 1});
like($err, qr/01WD1:.*\n.*change=1 /, 'a write becomes change 1');
warden_fails($node, 'support_agent', 'LOCK TABLE customers', 'WD002',
    'a refused statement');

# No answer has reached the agent before its record was durable, so a crash
# right now loses no intent; an outcome it may lose, and then says so.
$node->stop('immediate');
$node->start;

warden_ok($node, 'support_agent', $read, $masked, 'masked after a crash');
is( $node->safe_psql(
        'postgres', 'SELECT id, status FROM warden.pending_changes'),
    '1|proposed', 'the pending change survives');
like(outcomes(), qr/^(ok|unknown) (diverted|unknown) (refused|unknown) ok$/,
    'every statement has its audit record');
is($node->safe_psql('postgres', 'SELECT count(*) FROM warden.verify_audit()'),
    '0', 'the chain of records is whole');

# A clean stop drains the queue: nothing may be unknown after it.
warden_ok($node, 'support_agent', $read, $masked, 'masked before a restart');
$node->restart;
like(outcomes(), qr/ ok ok$/, 'a clean stop loses no outcome');

# A killed backend takes all shared memory with it, ours too.
$node->safe_psql('postgres', 'SELECT 1');
my $pid = $node->safe_psql(
    'postgres', q{SELECT pid FROM pg_stat_activity
                   WHERE backend_type = 'background writer'});
kill 'KILL', $pid;
wait_for_server($node);
wait_for_sql($node,
    "SELECT count(*) = 1 FROM pg_stat_activity
      WHERE backend_type = 'background writer' AND pid <> $pid");
warden_ok($node, 'support_agent', $read, $masked,
    'agents work again after a crash of a server process');
is($node->safe_psql('postgres', 'SELECT count(*) FROM warden.verify_audit()'),
    '0', 'the chain goes on');

# What people decide survives as well, and is done once.
my $id = 1;
warden_ok(
    $node, 'shop_reviewer',
    "SELECT warden.approve($id, 'fine')", qr/^.*$/, 'the change is approved');
$node->stop('immediate');
$node->start;
warden_ok($node, 'shop_reviewer', "CALL warden.apply($id)", qr/^.*$/s,
    'and applied after a crash');
warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)", 'WD007',
    'but not twice');
is( $node->safe_psql('postgres', 'SELECT name FROM customers WHERE id = 1'),
    'Alicia', 'the write has happened');

$node->stop;
done_testing();
