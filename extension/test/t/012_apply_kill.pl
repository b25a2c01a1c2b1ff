# Kills the backend, and the postmaster, at each step of an apply, stopped
# there by locks that others hold: a change is never applied twice, never half,
# never shown as something that it is not.
#
# With WARDEN_FULL=1 a few hundred rounds more, at moments that a fixed
# sequence of random numbers chooses.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'usleep';
use WardenTest;

my $rounds = $ENV{WARDEN_FULL} ? $ENV{WARDEN_KILL_ROUNDS} || 300 : 0;
my $node =
  warden_node('main', conf => "restart_after_crash = on\n"
      . "wal_level = replica\nmax_wal_senders = 2\n");

warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
GRANT CREATE ON SCHEMA public TO shop_writer;
CREATE ROLE shop_admin LOGIN;
GRANT warden_admin, shop_writer TO shop_admin;
CREATE ROLE shop_reviewer2 LOGIN IN ROLE warden_reviewer;
SELECT warden.add_person('ralf', 'shop_reviewer2');
SET ROLE shop_writer;
CREATE TABLE counter (id int PRIMARY KEY, n int);
INSERT INTO counter VALUES (1, 0);
CREATE TABLE ledger (n int PRIMARY KEY);
CREATE TABLE other (id int PRIMARY KEY, n int);
INSERT INTO other VALUES (1, 0);
CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER wait_here AFTER UPDATE ON counter
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_here();
GRANT SELECT ON counter, ledger, other TO support_agent;
SQL

my $applied = 0;

sub value
{
    my ($sql) = @_;

    return $node->safe_psql('postgres', $sql);
}

# Records a script and approves it; returns its number.
sub approved
{
    my ($sql) = @_;
    my ($code, $id) = warden_psql($node, 'support_agent',
        "SELECT warden.propose(\$script\$$sql\$script\$, 'test', NULL)");

    warden_psql($node, 'shop_reviewer', "SELECT warden.approve($id, 'go')");
    warden_psql($node, 'shop_reviewer2', "SELECT warden.approve($id, 'go')");
    return $id;
}

# A change that can be seen to have been applied once, whole.
sub counted
{
    my ($n) = @_;

    return approved("UPDATE counter SET n = n + 1 WHERE id = 1;"
          . " INSERT INTO ledger VALUES ($n);"
          . " UPDATE other SET n = n + 1 WHERE id = 1");
}

sub start_apply
{
    my ($id) = @_;

    return IPC::Run::start(
        [
            'psql', '-X', '-U', 'shop_reviewer', '-d',
            $node->connstr('postgres'), '-c', "CALL warden.apply($id)"
        ],
        '>', '/dev/null', '2>&1');
}

my $applying = q{SELECT pid FROM pg_stat_activity
    WHERE query LIKE 'CALL warden.apply%' AND state = 'active'};

sub wait_until_blocked
{
    $node->poll_query_until('postgres',
            "SELECT EXISTS ($applying AND (wait_event_type = 'Lock'"
          . " OR wait_event = 'SyncRep'))")
      or die 'the apply does not wait';
}

# A crash has been seen to when there is another checkpointer.
my $checkpointer = q{SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'checkpointer'};

sub present
{
    my ($how) = @_;

    return $how eq 'SIGKILL' ? value($checkpointer) : 0;
}

# Until the server is there and nobody applies anything.  It may go away in
# the middle of a question, and take the pipe to psql with it.
sub wait_for_server
{
    my ($before) = @_;
    my $tries = 1800;

    while ($tries-- > 0)
    {
        my $answer = eval {
            $node->psql(
                'postgres',
                "SELECT NOT EXISTS ($applying)"
                  . " AND ($checkpointer) IS DISTINCT FROM $before",
                stdout => \my $out);
            $out;
        };

        return if defined $answer && $answer eq 't';
        usleep(100_000);
    }
    die 'the server does not come back';
}

# Processes that lost their postmaster hold its memory for a moment.
sub start_again
{
    my $tries = 1800;

    while ($tries-- > 0)
    {
        return if $node->start(fail_ok => 1);
        usleep(100_000);
        $node->stop('immediate', fail_ok => 1);
    }
    die 'the server does not start';
}

# Ends the apply in one of the ways, whatever it was doing.
sub end_apply
{
    my ($how, $apply) = @_;
    my $pid = $how eq 'postmaster' ? '' : value($applying);
    my $before = present($how);

    if ($how eq 'postmaster')
    {
        $node->kill9;
        start_again();
    }
    elsif ($how eq 'SIGKILL' && $pid ne '')
    {
        PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
    }
    elsif ($how eq 'SIGTERM' && $pid ne '')
    {
        value("SELECT pg_terminate_backend($pid)");
    }
    eval { $apply->finish };
    wait_for_server($before);
}

sub status_of
{
    my ($id) = @_;

    return value("SELECT COALESCE((SELECT status FROM warden.open_changes"
          . " WHERE id = $id), (SELECT status FROM warden.pending_changes"
          . " WHERE id = $id))");
}

# A backend that has lost its postmaster ends when it waits next; where the
# lock that stopped it goes first it may come to the end of its apply.
sub is_status
{
    my ($id, $expected, $how, $where) = @_;
    my $status = status_of($id);

    $expected = 'applied' if $how eq 'postmaster' && $status eq 'applied';
    is($status, $expected, "$how $where: $expected");
    return $expected;
}

# Everything there is agrees on how many changes were applied.
sub is_consistent
{
    my ($name) = @_;

    is( value('SELECT counter.n, other.n, (SELECT count(*) FROM ledger)'
              . ' FROM counter, other'),
        "$applied|$applied|$applied",
        $name);
}

sub hold
{
    my ($sql) = @_;
    my $session = $node->background_psql('postgres');

    $session->query_safe("BEGIN; $sql;");
    return $session;
}

# Commits are durable and wait for a standby that there is none of.  The
# checkpointer makes them, a moment after the setting is there to be seen: so
# somebody tries until they do.
my $probe;
my $probes = 0;

sub make_commits_wait
{
    $node->safe_psql('postgres',
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    $node->reload;
    while (1)
    {
        $probes++;
        $probe = IPC::Run::start(
            [
                'psql', '-X', '-d', $node->connstr('postgres'), '-c',
                "CREATE TABLE probe_$probes ()"
            ],
            '>', '/dev/null', '2>&1');
        $node->poll_query_until('postgres',
                "SELECT to_regclass('probe_$probes') IS NOT NULL OR EXISTS"
              . " (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')")
          or die 'no commit at all';
        last if value("SELECT to_regclass('probe_$probes')") eq '';
        $probe->finish;
    }
}

sub let_commits_go
{
    $node->safe_psql('postgres',
        'ALTER SYSTEM RESET synchronous_standby_names');
    $node->reload;
    eval { $probe->finish };
    $node->poll_query_until('postgres',
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity"
          . " WHERE wait_event = 'SyncRep')");
}

# ---- in a transaction ------------------------------------------------------

# Where it stops, by what, and what it must be after a kill there.
my @steps = (
    [
        'before it is loaded',
        'SELECT FROM warden.pending_changes WHERE id = %d FOR UPDATE',
        'approved'
    ],
    [
        'between statements',
        'UPDATE other SET n = n WHERE id = 1', 'approved'
    ],
    [
        'when its constraints are checked',
        'SELECT pg_advisory_xact_lock(4711)', 'approved'
    ],
    [
        'before its commit',
        'LOCK TABLE warden.change_images IN SHARE MODE', 'approved'
    ],
    [ 'after its commit, before the reply', undef, 'applied' ]);

sub kill_at_step
{
    my ($step, $how, $n) = @_;
    my ($where, $lock, $expected) = @$step;
    my $id = counted($n);
    my ($holder, $apply);

    $holder = hold(sprintf($lock, $id)) if defined $lock;
    make_commits_wait() if !defined $lock;
    $apply = start_apply($id);
    wait_until_blocked();
    end_apply($how, $apply);
    eval { $holder->quit } if $holder;
    let_commits_go() if !defined $lock;

    $expected = is_status($id, $expected, $how, $where);
    $applied++ if $expected eq 'applied';
    is_consistent("$how $where: whole or not at all");
    my ($code) =
      warden_psql($node, 'shop_reviewer', "CALL warden.apply($id)");
    $applied++ if $expected eq 'approved';
    is($code == 0 ? 'applied' : 'refused',
        $expected eq 'approved' ? 'applied' : 'refused',
        "$how $where: then applied once");
    is_consistent("$how $where: and once only");
}

my $n = 0;

for my $step (@steps)
{
    kill_at_step($step, $_, ++$n) for 'SIGKILL', 'postmaster', 'SIGTERM';
}

# ---- not in a transaction --------------------------------------------------

sub resolve
{
    my ($id, $outcome) = @_;

    warden_ok($node, 'shop_admin',
        "SELECT warden.resolve($id, '$outcome', 'looked')",
        '', "resolved as $outcome");
    is(status_of($id), $outcome, "and $outcome");
}

sub index_is
{
    my ($how, $expected) = @_;
    my $valid = value(
            "SELECT COALESCE((SELECT indisvalid::text FROM pg_index"
              . " WHERE indexrelid = to_regclass('other_n')), 'none')");

    # without its postmaster it may have come a little further
    $expected = 'false'
      if $how eq 'postmaster' && $expected eq 'none' && $valid eq 'false';
    is($valid, $expected, "the index is: $expected");
}

# Stops it by one lock, or with none at its first commit, and perhaps by a
# second one when the first is gone; returns what it was shown as.
sub kill_build
{
    my ($how, $where, $id, $lock, $then) = @_;
    my ($holder, $second, $apply);
    my $row = "SELECT FROM warden.pending_changes WHERE id = $id FOR UPDATE";

    $holder = hold($lock eq 'row' ? $row : $lock) if defined $lock;
    make_commits_wait() if !defined $lock;
    $apply = start_apply($id);
    wait_until_blocked();
    if ($then)
    {
        is(status_of($id), 'applying', 'applying while the index is built');
        $second = hold($row);
        $holder->quit;
        $node->poll_query_until('postgres',
                'SELECT indisvalid FROM pg_index'
              . " WHERE indexrelid = to_regclass('other_n')")
          or die 'no index';
        wait_until_blocked();
    }
    end_apply($how, $apply);
    eval { $holder->quit } if $holder && !$then;
    eval { $second->quit } if $second;
    let_commits_go() if !defined $lock;
}

for my $how ('SIGKILL', 'postmaster')
{
    for my $case (
        [ 'before it is marked', 'approved', 'none', 'row', 0 ],
        [ 'after it is marked', 'unknown', 'none', undef, 0 ],
        [ 'in the build', 'unknown', 'false', 'UPDATE other SET n = n', 0 ],
        [ 'after the build', 'unknown', 'true', 'UPDATE other SET n = n', 1 ])
    {
        my ($where, $expected, $index, $lock, $then) = @$case;
        my $id = approved('CREATE INDEX CONCURRENTLY other_n ON other (n)');

        kill_build($how, $where, $id, $lock, $then);
        $expected = is_status($id, $expected, $how, $where);
        index_is($how, $expected eq 'applied' ? 'true' : $index);
        if ($expected eq 'unknown')
        {
            warden_fails($node, 'shop_reviewer', "CALL warden.apply($id)",
                'WD007', 'nobody applies it again');
            resolve($id, $index eq 'true' ? 'applied' : 'failed');
        }
        value('DROP INDEX IF EXISTS other_n');
    }
}

# ---- at any moment ---------------------------------------------------------

srand(20261123);
my %seen;

for my $round (1 .. $rounds)
{
    my $how = ('SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGTERM', 'postmaster')
      [ int(rand(5)) ];
    my $id = counted(++$n);
    my $session = $node->background_psql('postgres',
        extra_params => [ '-U', 'shop_reviewer' ]);
    my $pid = $session->query_safe('SELECT pg_backend_pid()');
    my $before = present($how);

    $session->query_until(qr/now/, "\\echo now\nCALL warden.apply($id);\n");
    usleep(int(rand(12_000)));
    if ($how eq 'postmaster')
    {
        $node->kill9;
        start_again();
    }
    else
    {
        kill $how eq 'SIGKILL' ? 'KILL' : 'TERM', $pid;
    }
    eval { $session->quit };
    wait_for_server($before);
    my $status = status_of($id);
    $seen{"$how $status"}++;
    $applied++ if $status eq 'applied';
    die "round $round: $status" if $status !~ /^(approved|applied)$/;
    my ($code) =
      warden_psql($node, 'shop_reviewer', "CALL warden.apply($id)");
    $applied++ if $code == 0;
    die "round $round: applied twice" if $code == 0 && $status eq 'applied';
    die "round $round: not applied" if $code != 0 && $status eq 'approved';
    my $is = value('SELECT counter.n, other.n, (SELECT count(*) FROM ledger)'
          . ' FROM counter, other');
    die "round $round: $is for $applied" if $is ne "$applied|$applied|$applied";
}
if ($rounds)
{
    pass("$rounds rounds: "
          . join(', ', map { "$_ $seen{$_}" } sort keys %seen));
}

is( value(
        "SELECT count(*) FROM warden.pending_changes WHERE status = 'applied'"
          . " AND id IN (SELECT change_id FROM warden.change_statements"
          . " WHERE statement LIKE 'INSERT INTO ledger%')"),
    $applied,
    'as many are shown as applied as were');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is(value('SELECT * FROM warden.verify_audit()'), '',
    'and the audit trail is unbroken');
$node->stop;
done_testing();
