# An apply that is killed: never twice, never half, never shown as what it is
# not, whether its statements run in a transaction or may not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main', conf => "restart_after_crash = on");
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE customers OWNER TO shop_writer;
GRANT CREATE ON SCHEMA public TO shop_writer;
CREATE TABLE other (id int PRIMARY KEY, n int);
INSERT INTO other VALUES (1, 0);
ALTER TABLE other OWNER TO shop_writer;
GRANT SELECT ON other TO support_agent;
CREATE ROLE shop_admin LOGIN;
GRANT warden_admin TO shop_admin;
SQL

# Records a script and approves it; returns its number.
sub approved
{
    my ($sql) = @_;
    my ($code, $id) = warden_psql($node, 'support_agent',
        "SELECT warden.propose(\$script\$$sql\$script\$, 'test', NULL)");

    warden_psql($node, 'shop_reviewer', "SELECT warden.approve($id, 'go')");
    return $id;
}

# The backend that runs CALL warden.apply().
my $applying = q{SELECT pid FROM pg_stat_activity
    WHERE query LIKE 'CALL warden.apply%' AND state = 'active'};

# Starts an apply that waits for a lock on table "other".
sub start_blocked_apply
{
    my ($id) = @_;
    my $lock = $node->background_psql('postgres');

    $lock->query_safe('BEGIN; LOCK TABLE other IN ROW EXCLUSIVE MODE;'
          . ' UPDATE other SET n = n WHERE id = 1;');
    my $apply = IPC::Run::start(
        [
            'psql', '-X', '-U', 'shop_reviewer', '-d',
            $node->connstr('postgres'), '-c', "CALL warden.apply($id)"
        ],
        '>', '/dev/null', '2>&1');
    $node->poll_query_until('postgres',
        "SELECT EXISTS ($applying AND wait_event_type = 'Lock')");
    return ($lock, $apply);
}

sub status_of
{
    my ($id) = @_;

    return $node->safe_psql('postgres',
        "SELECT status FROM warden.pending_changes WHERE id = $id");
}

sub shown_status_of
{
    my ($id) = @_;

    return $node->safe_psql('postgres',
        "SELECT status FROM warden.open_changes WHERE id = $id");
}

# In a transaction: the first statement has run, the second one waits.
my $script = q{UPDATE customers SET name = name || '!' WHERE id = 1;
UPDATE other SET n = n + 1 WHERE id = 1};
my $id = approved($script);

for my $how ('TERM', 'KILL')
{
    my ($lock, $apply) = start_blocked_apply($id);
    my $pid = $node->safe_psql('postgres', $applying);

    if ($how eq 'TERM')
    {
        $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
    }
    else
    {
        PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
    }
    eval { $apply->finish };
    eval { $lock->quit };
    wait_for_server($node);
    is(status_of($id), 'approved', "SIG$how: still approved");
    is( $node->safe_psql('postgres',
            'SELECT name FROM customers WHERE id = 1'),
        'Alice', "SIG$how: nothing of it remains");
}
warden_ok($node, 'shop_reviewer', "CALL warden.apply($id)", '',
    'then it can be applied');
is( $node->safe_psql('postgres',
        'SELECT name, n FROM customers, other WHERE customers.id = 1'),
    'Alice!|1', 'once');
warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)", 'WD007',
    'and not again');
$node->stop('immediate');
$node->start;
is(status_of($id), 'applied', 'applied after a crash of the server');
is( $node->safe_psql('postgres',
        'SELECT name, n FROM customers, other WHERE customers.id = 1'),
    'Alice!|1', 'and still once');

# Not in a transaction: an index build waits for a writer.
for my $how ('TERM', 'KILL')
{
    $id = approved("CREATE INDEX CONCURRENTLY other_n_$how ON other (n)");
    my ($lock, $apply) = start_blocked_apply($id);
    my $pid = $node->safe_psql('postgres', $applying);

    is(status_of($id), 'applying', 'applying while the index is built');
    is(shown_status_of($id), 'applying', 'and shown so');
    warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)", 'WD007',
        'nobody else applies it');
    warden_fails($node, 'shop_admin',
        "SELECT warden.resolve($id, 'failed', 'impatience')",
        'WD007', 'nor resolves it');
    if ($how eq 'TERM')
    {
        $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
    }
    else
    {
        PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
    }
    eval { $apply->finish };
    eval { $lock->quit };
    wait_for_server($node);
    is(shown_status_of($id), 'unknown', "SIG$how: shown as unknown");
    warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)", 'WD007',
        'not applied again by itself');
    warden_ok(
        $node,
        'shop_admin',
        "SELECT FROM warden.resolve($id, 'failed', 'index dropped')",
        qr/^\(?|^$/,
        'resolved by an administrator');
    is(status_of($id), 'failed', 'as failed');
    $node->safe_psql('postgres', "DROP INDEX IF EXISTS other_n_$how");
}

# A build that goes through, and one that cannot.
$id = approved('CREATE INDEX CONCURRENTLY other_n ON other (n)');
warden_ok($node, 'shop_reviewer', "CALL warden.apply($id)", '', 'built');
is(status_of($id), 'applied', 'and applied');
$node->safe_psql('postgres', 'INSERT INTO other VALUES (2, 1)');
$id = approved('CREATE UNIQUE INDEX CONCURRENTLY other_u ON other (n)');
warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)", '23505',
    'a unique index that can not be');
is(status_of($id), 'unknown', 'unknown');
like(
    $node->safe_psql('postgres',
        "SELECT last_error FROM warden.pending_changes WHERE id = $id"),
    qr/not valid: other_u/,
    'and the broken index is named');
warden_fails($node, 'shop_admin',
    "SELECT warden.resolve($id, 'applied', 'looks good')",
    'WD007', 'it is not settled as applied');
my ($code, $told, $warned) =
  warden_psql($node, 'shop_admin',
    "SELECT warden.resolve($id, 'failed', 'two rows alike')");
like($warned, qr/WARNING.*index not valid: other_u/,
    'settling it names the index again');
is(status_of($id), 'failed', 'and settles it');

# Whoever listens is told of each transition.
sub told
{
    my ($role, $sql) = @_;
    my ($code, $out) = warden_psql($node, $role, $sql, on_error_stop => 0);

    return join ' ', $out =~ /payload "(\{.*?\})"/g;
}

$node->safe_psql('postgres',
    'ALTER SEQUENCE warden.pending_changes_id_seq RESTART 500');
approved('UPDATE other SET n = 7 WHERE id = 2');
warden_psql($node, 'support_agent', "UPDATE customers SET name = '$_'")
  for 'a', 'b';
is( told(
        'shop_reviewer',
        'LISTEN warden_changes; CALL warden.apply(500);'
          . " SELECT warden.reject(501, 'no');"
          . ' SELECT warden.revert(500)'),
    '{"change":500,"status":"applied"} {"change":501,"status":"rejected"}'
      . ' {"change":503,"status":"proposed"}',
    'applied, rejected and proposed are told');
$node->safe_psql('postgres', 'ALTER TABLE customers ADD COLUMN more int');
is( told('shop_reviewer',
        'LISTEN warden_changes; SELECT warden.approve(502, NULL);'),
    '', 'what is refused is no transition');
$id = approved('CREATE INDEX CONCURRENTLY other_m ON other (n)');
is( told('shop_reviewer', "LISTEN warden_changes; CALL warden.apply($id)"),
    qq({"change":$id,"status":"applying"} {"change":$id,"status":"applied"}),
    'a build is told in two steps');

$node->stop;
done_testing();
