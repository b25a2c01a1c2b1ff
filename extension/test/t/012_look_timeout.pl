# Whoever alters a table for hours must not hold up those who propose, review or
# approve a change of it: they are told after a moment, and nothing is decided.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');

warden_shop($node);
$node->safe_psql('postgres', q{
    CREATE ROLE ann LOGIN IN ROLE warden_reviewer;
    SELECT warden.add_person('ann', 'ann');});

my $propose = q{SELECT warden.propose(
    'UPDATE customers SET name = ''Alicia'' WHERE id = 1', 'locked', NULL)};

warden_ok($node, 'support_agent', $propose, 1, 'a change is proposed');

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE');

for my $case (
    [ 'support_agent', $propose, 'propose' ],
    [ 'ann', 'SELECT * FROM warden.review(1)', 'review' ],
    [ 'ann', 'SELECT warden.approve(1, NULL)', 'approve' ])
{
    my ($role, $sql, $name) = @$case;
    my ($code, $out, $err) = warden_psql($node, $role, $sql);

    like($err, qr/ERROR: +55P03: .*HINT: +Another session holds a lock/s,
        "$name ends with a reason");
}
is( $node->safe_psql(
        'postgres', 'SELECT id, status FROM warden.pending_changes'),
    '1|proposed', 'nothing was recorded or decided');
$holder->query_safe('ROLLBACK');
$holder->quit;
warden_ok($node, 'ann', 'SELECT warden.approve(1, NULL)', 'approved',
    'approved once the lock is gone');
warden_ok($node, 'ann', 'SHOW lock_timeout', '0', 'no setting is left behind');

$node->stop;
done_testing();
