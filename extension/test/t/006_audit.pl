# No answer without a record: whatever is killed while agents work, each result
# that a client has received has its intent in the trail. And what cannot be
# recorded fails, in bounded time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use WardenTest;

my $clients = $ENV{WARDEN_FULL} ? 16 : 8;
my $rounds = $ENV{WARDEN_FULL} ? 200 : 6;
my $node = warden_node('main', conf => <<'CONF');
restart_after_crash = on
fsync = on
max_connections = 40
log_min_messages = warning
warden.audit_timeout = 3s
warden.audit_queue_size = 512kB
CONF

warden_shop($node);

# Asks until the server answers again.
sub await_server
{
    for (1 .. 600)
    {
        return
          if IPC::Run::run(
            [
                $node->installed_command('pg_isready'), '-q',
                '-h', $node->host, '-p', $node->port
            ]);
        sleep 0.1;
    }
    die 'the server did not come back';
}

sub trail
{
    my ($sql) = @_;

    $node->safe_psql('postgres', 'SELECT warden.flush_audit()');
    return $node->safe_psql('postgres', $sql);
}

sub chain_ok
{
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(trail('SELECT * FROM warden.verify_audit()'), '', $name);
    return;
}

sub worker_pid
{
    return $node->safe_psql('postgres',
        q{SELECT coalesce(max(pid), 0) FROM pg_stat_activity
           WHERE backend_type = 'warden audit worker'});
}

# Starts clients that each send many statements, every one with a token that
# comes back in its result.
sub start_load
{
    my ($round, $statements) = @_;
    my $dir = $PostgreSQL::Test::Utils::tmp_check;
    my @load;

    for my $client (1 .. $clients)
    {
        my ($in, $out) = map { "$dir/$_.$client" } qw(in out);

        open my $file, '>', $in or die "$in: $!";
        print $file
          "SELECT 't-$round-$client-$_', count(*) FROM customers;\n"
          for 1 .. $statements;
        close $file;
        my $harness = IPC::Run::start(
            [
                $node->installed_command('psql'), '-XAtq', '-d',
                $node->connstr('postgres') . ' user=support_agent'
            ],
            '<' => $in,
            '>' => $out,
            '2>' => "$dir/err.$client");
        push @load, { harness => $harness, out => $out };
    }
    return @load;
}

# What the clients received, as tokens.
sub finish_load
{
    my (@load) = @_;

    # a client that lost its server exits with a status of its own
    eval { $_->{harness}->finish } for @load;
    return map { slurp_file($_->{out}) =~ /^(t-\d+-\d+-\d+)\|2$/mg } @load;
}

sub check_round
{
    my ($round, $what, @received) = @_;
    my %stored;

    $stored{$_}++ for $node->safe_psql('postgres',
        qq{SELECT substring(statement, 't-[0-9-]+') FROM warden.audit_events
            WHERE kind = 'intent' AND statement LIKE '%t-$round-%'}
    ) =~ /^(\S+)$/mg;
    my @missing = grep { !$stored{$_} } @received;
    my @twice = grep { $stored{$_} > 1 } keys %stored;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    cmp_ok(scalar @received, '>', 0, "$what: clients have received results");
    is("@missing", '', "$what: every result has its intent");
    is("@twice", '', "$what: no intent is there twice");
    is( $node->safe_psql('postgres', <<'SQL'), '', "$what: times are in order");
SELECT concat_ws(' ', kind, outcome, detail, at, stored_at)
  FROM (SELECT kind, outcome, detail, at, stored_at, lag(stored_at) OVER (ORDER BY id) AS before
          FROM warden.audit_events) e
 WHERE at > stored_at OR stored_at < before
SQL
    chain_ok("$what: the chain is whole");
    return;
}

#
# The settings are what they say
#
is($node->safe_psql('postgres', 'SHOW max_worker_processes'),
    8 + 4, 'process slots are reserved');
$node->append_conf('postgresql.conf', 'max_worker_processes = 9');
$node->restart;
$node->reload;
is( $node->safe_psql('postgres',
        q{SELECT setting, pending_restart FROM pg_settings
           WHERE name = 'max_worker_processes'}),
    (9 + 4) . '|f', 'on top of what is configured, without complaints');
is( $node->safe_psql('postgres',
        'SET max_parallel_workers = 1000; SHOW max_parallel_workers'),
    '9', 'and no setting of parallel queries reaches them');
$node->append_conf('postgresql.conf', 'max_parallel_workers = 500');
$node->restart;
is( $node->safe_psql('postgres',
        'SET max_parallel_workers = 2; RESET max_parallel_workers;
         SHOW max_parallel_workers'),
    '9', 'that of the configuration neither');

#
# A worker that is told to go loses nothing, outcomes included
#
my @load = start_load(1, 600);
for (1 .. 10)
{
    sleep 0.1;
    $node->safe_psql('postgres',
        q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE backend_type = 'warden audit worker'});
}
my @received = finish_load(@load);
is(scalar @received, 600 * $clients,
    'no statement fails because the worker was terminated');
check_round(1, 'terminated worker', @received);
is(trail(q{SELECT count(*) FROM warden.audit_log WHERE outcome <> 'ok'
            AND agent = 'support'}),
    '0', 'terminated worker: no outcome is missing');

#
# Kills
#
my %victims = (
    worker => \&worker_pid,
    backend => sub {
        $node->safe_psql('postgres',
            q{SELECT max(pid) FROM pg_stat_activity
               WHERE usename = 'support_agent'});
    },
    postmaster => sub {
        return (split /\n/,
            slurp_file($node->data_dir . '/postmaster.pid'))[0];
    });
for my $round (2 .. $rounds + 1)
{
    my $what = (sort keys %victims)[ $round % 3 ];
    my $pid;

    @load = start_load($round, 5000);
    sleep 0.3 + rand(0.5);
    for (1 .. 50)
    {
        $pid = $victims{$what}->();
        last if $pid;
        sleep 0.02;
    }
    kill 'KILL', $pid;
    @received = finish_load(@load);
    if ($what eq 'postmaster')
    {
        # The orphans have to notice first. Not with the node's own start: its
        # reports of failures hold the whole log.
        $node->{_pid} = undef;
        for (1 .. 600)
        {
            last
              if IPC::Run::run(
                [
                    $node->installed_command('pg_ctl'), '-s', '-w',
                    '-D', $node->data_dir, '-l', $node->logfile, 'start'
                ],
                '>' => '/dev/null',
                '2>' => '/dev/null');
            sleep 0.2;
        }
        $node->_update_pid(1);
    }
    await_server();
    check_round($round, "round $round, killed $what", @received);
}
is( trail(
        q{SELECT count(*) FROM warden.audit_log WHERE agent = 'support'
           AND outcome NOT IN ('ok', 'error', 'unknown')}),
    '0', 'what a crash took is called unknown');

#
# A store that cannot be written: an error, in time, and nothing is lost
#
my $locker = $node->background_psql('postgres');
my $read = 'SELECT count(*) FROM customers';

$locker->query_safe(
    'BEGIN; LOCK TABLE warden.audit_events IN ACCESS EXCLUSIVE MODE');
my $begun = time;
my ($code, $out, $err) =
  warden_psql($node, 'support_agent', "SELECT 'locked'; $read");
my $took = time - $begun;
like($err, qr/ERROR:  WD009:/, 'locked store: WD009');
like($err, qr/55P03.*is locked/, 'the error says what the worker met');
like($err, qr/^HINT:/m, 'and what to do');
is($out, '', 'and there is no row');
cmp_ok($took, '>=', 2.5, 'not before warden.audit_timeout');
cmp_ok($took, '<', 6, 'and soon after it');

my $waiting = IPC::Run::start(
    [
        $node->installed_command('psql'), '-XAtq', '-v', 'VERBOSITY=verbose',
        '-d', $node->connstr('postgres') . ' user=support_agent',
        '-c', "SELECT 'cancelled'"
    ],
    '>' => \$out,
    '2>' => \$err);
wait_for_sql($node,
    q{SELECT count(*) = 1 FROM pg_stat_activity
       WHERE usename = 'support_agent' AND state = 'active'});
$begun = time;
$node->safe_psql('postgres',
    q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
       WHERE usename = 'support_agent'});
$waiting->finish;
like($err, qr/ERROR:  57014:/, 'the wait can be cancelled');
cmp_ok(time - $begun, '<', 2.5, 'at once');
$locker->query_safe('ROLLBACK');
warden_ok($node, 'support_agent', $read, '2', 'unlocked: agents work again');
is( trail(
        q{SELECT string_agg(outcome || ' ' || sqlstate, ', ' ORDER BY id)
           FROM warden.audit_log
           WHERE statement IN ('SELECT ''locked''', 'SELECT ''cancelled''')}),
    'refused WD009, error 57014', 'what failed is recorded as failed');

# Of a caller's own lock: nobody but the owner can take it, and the wait for
# the worker, which waits for the caller, ends as well.
($code, $out, $err) = $node->psql('postgres', <<'SQL', on_error_stop => 0);
\set VERBOSITY verbose
BEGIN;
LOCK TABLE warden.audit_events IN ACCESS EXCLUSIVE MODE;
SET LOCAL ROLE support_agent;
SELECT count(*) FROM customers;
ROLLBACK;
SQL
like($err, qr/WD009/, 'a lock of the caller itself ends in WD009');

# An index that cannot take a record.
$node->safe_psql('postgres',
    'CREATE INDEX bad ON warden.audit_events ((1 / (length(statement) - 12)))');
warden_fails($node, 'support_agent', "SELECT 'bad'", 'WD009',
    'an index that fails stops agents');
$node->safe_psql('postgres', 'DROP INDEX warden.bad');
warden_ok($node, 'support_agent', $read, '2', 'without it they work');

#
# A full queue
#
$node->append_conf('postgresql.conf', "warden.audit = 'async'");
$node->reload;
sleep 0.2;
$locker->query_safe(
    'BEGIN; LOCK TABLE warden.audit_events IN ACCESS EXCLUSIVE MODE');
my $flood = join '', map { "SELECT 'flood $_';\n" } 1 .. 400;
($code, $out, $err) = warden_psql($node, 'support_agent', $flood);
my $passed = () = $out =~ /^flood \d+$/mg;
like($err, qr/WD009: .*queue is full/, 'a full queue refuses');
cmp_ok($passed, '>', 20, 'not before it is full');
$locker->query_safe('ROLLBACK');
$locker->quit;
is( trail(
        q{SELECT count(*) FROM warden.audit_log WHERE outcome = 'ok'
           AND statement LIKE 'SELECT ''flood%'}),
    $passed, 'all that passed is in the trail');
chain_ok('the chain is whole after it');
$node->append_conf('postgresql.conf', "warden.audit = 'sync'");
$node->reload;

#
# A database without the extension has no store
#
$node->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
my $bare = -s $node->logfile;
(undef, undef, $err) = warden_psql($node, 'support_agent',
    "BEGIN;\nSELECT 'refused';\nSELECT 'too late';\nROLLBACK;",
    dbname => 'bare', on_error_stop => 0);
like($err, qr/WD001.*25P02/s, 'agents are refused there');
my $lines = slurp_file($node->logfile, $bare);
is(() = $lines =~ /pg_warden audit: .*"kind":"intent".*"statement":"BEGIN"/g,
    1, 'what they sent is in the log');
like($lines, qr/pg_warden audit: .*SELECT 'refused'.*"outcome":"refused"/,
    'with what became of it');
like($lines, qr/pg_warden audit: .*SELECT 'too late'.*"outcome":"error"/,
    'in a failed transaction too');
unlike($lines, qr/dropped .* audit records/, 'and not thrown away');
$node->safe_psql('postgres', 'DROP DATABASE bare');

#
# The worker is in nobody's way
#
warden_ok($node, 'support_agent', $read, '2', 'the worker is there');
isnt(worker_pid(), 0, 'it can be seen');
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
pass('a database can be copied while its worker is there');
warden_ok($node, 'support_agent', $read, '2', 'agents work in the copy',
    dbname => 'copy');
is( $node->safe_psql(
        'copy', q{SELECT warden.flush_audit();
        SELECT count(*) FROM warden.audit_events WHERE kind = 'epoch'}),
    "\n2", 'the copy has an epoch of its own');
is($node->safe_psql('copy', 'SELECT * FROM warden.verify_audit()'),
    '', 'and a whole chain');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO copied');
$node->safe_psql('postgres', 'DROP DATABASE copied');
pass('a database can be renamed and dropped');
wait_for_sql($node,
    q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity
       WHERE backend_type = 'warden audit worker')})
  or fail('an idle worker leaves');

#
# Heads in the server log, for whoever keeps them
#
my $offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "log_min_messages = log\n"
      . "warden.audit_head_interval = 1s");
$node->reload;
warden_ok($node, 'support_agent', $read, '2', 'a statement moves the head');
my $head = trail('SELECT warden.audit_head()');
for (1 .. 100)
{
    last if index(slurp_file($node->logfile, $offset), $head) >= 0;
    sleep 0.1;
}
ok(index(slurp_file($node->logfile, $offset), qq{"postgres": $head}) >= 0,
    'the head is in the server log');

$node->stop;
done_testing();
